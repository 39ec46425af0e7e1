//! What is asked of the engine, and how it does that.

use std::sync::Arc;

use millrace_protocols::delivery::cursor::Position;
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
    /// Here is an endpoint, new or changed, paused or not. One that was disabled stays so until it is resumed. What the log
    /// says of it is followed once.
    Put(Box<Endpoint>),
    /// Send nothing to it.
    Pause(Uuid),
    /// Forget it.
    Remove(Uuid),
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
            Command::Remove(id) => {
                self.stand(id, Standing::Removed);
                self.numbers.remove(&id);
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
        let Endpoint { id, terms, filter, service, begins_after, told, .. } = endpoint;
        let way = Arc::new(Way { sink, filter: filter.clone() });
        let wanted = match service {
            Service::Running => Standing::Running,
            Service::Paused => Standing::Paused,
        };
        if let Some(number) = self.numbers.get(&id).copied() {
            let before = std::mem::replace(&mut self.entries[number.0 as usize], Entry { id, filter, way, told });
            self.scheduler.set_terms(number, terms);
            match (service, self.scheduler.standing(number)) {
                (Service::Running, Standing::Paused) => self.stand(id, Standing::Running),
                (Service::Paused, _) => self.stand(id, Standing::Paused),
                (Service::Running, Standing::Running | Standing::Disabled(_) | Standing::Removed) => {}
            }
            if told.is_resumed_after(before.told.through) {
                self.scheduler.set_standing(number, wanted);
            }
            self.move_on(number, before.told.through);
            return;
        }
        let stored = self.stored.remove(&id).map(|stored| stored.within(self.log_head));
        let stored = stored.unwrap_or_else(|| Stored::beginning_after(begins_after));
        let Stored { cursor, disabled, closed_until_ms, applied } = stored;
        let applied = applied.unwrap_or(told.through);
        let disabled = disabled.filter(|_| !told.is_resumed_after(applied));
        let standing = disabled.map_or(wanted, Standing::Disabled);
        self.untold.extend(disabled.map(|reason| Disabled { endpoint: id, reason }));
        let number = self.scheduler.add(terms, standing, cursor, closed_until_ms);
        self.numbers.insert(id, number);
        self.entries.push(Entry { id, filter, way, told });
        self.note_unknown(number, now_ms);
        self.move_on(number, applied);
    }

    /// Goes on where the log says, unless that was followed already.
    fn move_on(&mut self, number: EndpointNo, applied: Position) {
        if let Some(after) = self.entries[number.0 as usize].told.moved_after(applied) {
            self.scheduler.move_cursor(number, after);
        }
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
            fate: None,
            answer: Vec::new(),
            error: None,
            next_ms: Some(now_ms),
        }));
    }
}
