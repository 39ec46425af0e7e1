//! What is asked of the engine, and how it does that.

use std::sync::Arc;

use millrace_protocols::delivery::cursor::{Cursor, Position};
use millrace_protocols::delivery::scheduler::{EndpointNo, Standing, Sums, View};
use millrace_protocols::delivery::verdict::{Outcome, Trouble};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::super::attempts::{Row, Stored};
use super::super::endpoint::{Endpoint, Service};
use super::attempt::Way;
use super::{Disabled, Engine, Entry};

/// What is asked of the engine. An endpoint that it does not know is nobody's business.
#[derive(Debug)]
pub enum Command {
    /// Here is an endpoint, new or changed, paused or not. One that was disabled stays so until it is resumed.
    Put(Box<Endpoint>),
    /// Send nothing to it.
    Pause(Uuid),
    /// Send to it again, with its failures forgiven.
    Resume(Uuid),
    /// Forget it.
    Remove(Uuid),
    /// Go on after another position; what is owed stays owed.
    MoveCursor {
        /// Which endpoint.
        endpoint: Uuid,
        /// The last notification that it does not get again.
        through: Position,
    },
    /// Send some once more.
    Resend {
        /// Which endpoint.
        endpoint: Uuid,
        /// What.
        positions: Vec<Position>,
        /// Told when that is durable; dropped for an endpoint that is not known.
        answer: oneshot::Sender<()>,
    },
    /// Say what all endpoints come to.
    Sum {
        /// Where to.
        answer: oneshot::Sender<Sums>,
    },
    /// Say how it does; the answer is dropped for one that is not known.
    Show {
        /// Which endpoint.
        endpoint: Uuid,
        /// Where to.
        answer: oneshot::Sender<View>,
    },
}

impl Engine {
    pub(super) fn obey(&mut self, command: Command) {
        let now_ms = self.common.now_ms();
        match command {
            Command::Put(endpoint) => self.put(*endpoint, now_ms),
            Command::Pause(id) => self.stand(id, Standing::Paused),
            Command::Resume(id) => self.stand(id, Standing::Running),
            Command::Remove(id) => {
                self.stand(id, Standing::Removed);
                self.numbers.remove(&id);
            }
            Command::MoveCursor { endpoint, through } => {
                if let Some(number) = self.numbers.get(&endpoint) {
                    self.scheduler.move_cursor(*number, through);
                }
            }
            Command::Resend { endpoint, positions, answer } => {
                if let Some(number) = self.numbers.get(&endpoint) {
                    self.scheduler.resend(*number, &positions, now_ms);
                    self.asked.push(answer);
                }
            }
            Command::Sum { answer } => {
                // Whoever gave up needs no answer.
                let _ = answer.send(self.scheduler.sums());
            }
            Command::Show { endpoint, answer } => {
                if let Some(number) = self.numbers.get(&endpoint) {
                    // Whoever gave up needs no answer.
                    let _ = answer.send(self.scheduler.view(*number));
                }
            }
        }
    }

    /// A disabled endpoint that is paused stays disabled.
    fn stand(&mut self, id: Uuid, standing: Standing) {
        let Some(number) = self.numbers.get(&id).copied() else { return };
        let is_disabled = matches!(self.scheduler.standing(number), Standing::Disabled(_));
        if !(is_disabled && standing == Standing::Paused) {
            self.scheduler.set_standing(number, standing);
        }
    }

    fn put(&mut self, endpoint: Endpoint, now_ms: u64) {
        let sink = match self.sinks.sink(&endpoint) {
            Ok(sink) => sink,
            Err(error) => return tracing::error!(endpoint = %endpoint.id, %error, "an endpoint cannot be served"),
        };
        let Endpoint { id, terms, filter, service, begins_after, .. } = endpoint;
        let way = Arc::new(Way { sink, filter: filter.clone() });
        let entry = Entry { id, filter, way };
        if let Some(number) = self.numbers.get(&id) {
            self.entries[number.0 as usize] = entry;
            self.scheduler.set_terms(*number, terms);
            match (service, self.scheduler.standing(*number)) {
                (Service::Running, Standing::Paused) => self.stand(id, Standing::Running),
                (Service::Paused, _) => self.stand(id, Standing::Paused),
                (Service::Running, Standing::Running | Standing::Disabled(_) | Standing::Removed) => {}
            }
            return;
        }
        // Only what is stored may be of a log that was put back since; a new one begins where the log says.
        let Stored { cursor, disabled, closed_until_ms } = match self.stored.remove(&id) {
            Some(stored) => Stored { cursor: stored.cursor.within(self.log_head), ..stored },
            None => Stored { cursor: Cursor::restore(begins_after, [], []), disabled: None, closed_until_ms: 0 },
        };
        let wanted = match service {
            Service::Running => Standing::Running,
            Service::Paused => Standing::Paused,
        };
        let standing = disabled.map_or(wanted, Standing::Disabled);
        self.untold.extend(disabled.map(|reason| Disabled { endpoint: id, reason }));
        let number = self.scheduler.add(terms, standing, cursor, closed_until_ms);
        self.numbers.insert(id, number);
        self.entries.push(entry);
        self.note_unknown(number, now_ms);
    }

    /// What a process that ended had claimed gets its row before it is sent again.
    fn note_unknown(&mut self, number: EndpointNo, now_ms: u64) {
        let id = self.entries[number.0 as usize].id;
        self.rows.extend(self.scheduler.unknown(number).map(|(position, tries)| Row {
            endpoint: id,
            position,
            notification: None,
            attempt: tries.attempts,
            started_ms: now_ms,
            took_us: 0,
            outcome: Outcome::Failed(Trouble::Unknown),
            answer: Vec::new(),
            error: None,
            next_ms: Some(now_ms),
        }));
    }
}
