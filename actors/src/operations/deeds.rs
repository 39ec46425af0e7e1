//! What operators did while the log could not take it, or faster than it is told of it beforehand: kept in memory, and written
//! down when it can.
//!
//! It is gone with the process. The log has each once: what a caller did not wait for may have been stored all the same, and
//! is known by its id.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use millrace_model::ids::CommandId;
use millrace_model::operator::OperatorActed;
use tokio::sync::Notify;

use super::desk::DeskStream;
use crate::event_store::Store;

/// So many are kept; beyond that the oldest but one is lost, and counted.
pub const KEPT_MAX: usize = 1_000;
/// The pause before a log that did not take one is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What an operator did that no other event says, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// By which the log knows it again.
    pub id: CommandId,
    /// When he asked for it.
    pub at: DateTime<Utc>,
    /// Who did what.
    pub acted: OperatorActed,
}

impl Deed {
    /// As it is stored after the fact: the event's own time is that of its storing, so the note says when it was done.
    fn late(self) -> OperatorActed {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let done = format!("done at {at}, stored after that");
        let note = self.acted.note.map_or(done.clone(), |note| format!("{note} ({done})"));
        OperatorActed { note: Some(note), ..self.acted }
    }
}

/// What waits for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The oldest first.
    pub deeds: VecDeque<Deed>,
    /// How many were lost because there were too many.
    pub lost: u64,
}

/// What waits, shared by those who do and the one who writes it down.
#[derive(Debug, Clone, Default)]
pub(super) struct Deeds {
    waiting: Arc<Mutex<Waiting>>,
    more: Arc<Notify>,
}

impl Deeds {
    pub(super) fn keep(&self, deed: Deed) {
        self.with(|waiting| {
            waiting.deeds.push_back(deed);
            if waiting.deeds.len() > KEPT_MAX {
                // The first may be on its way into the log.
                waiting.deeds.remove(1);
                waiting.lost += 1;
            }
        });
        self.more.notify_one();
    }

    pub(super) fn waiting(&self) -> Waiting {
        self.with(|waiting| waiting.clone())
    }

    /// The oldest, once there is one.
    async fn oldest(&self) -> Deed {
        loop {
            if let Some(deed) = self.with(|waiting| waiting.deeds.front().cloned()) {
                return deed;
            }
            self.more.notified().await;
        }
    }

    fn written(&self, id: CommandId) {
        self.with(|waiting| waiting.deeds.retain(|deed| deed.id != id));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes down what waits, for as long as the incarnation lives.
pub(super) async fn write_down(deeds: Deeds, desk: DeskStream, store: Store) {
    store.ready().await;
    let mut obstacle = String::new();
    loop {
        let deed = deeds.oldest().await;
        let (id, at) = (deed.id, deed.at);
        match desk.acted(id, deed.late()).await {
            Ok(position) => {
                tracing::info!(position, done_at = %at, "what an operator did and the log did not have is in it now");
                deeds.written(id);
                obstacle.clear();
            }
            Err(error) => {
                let met = error.to_string();
                if met != obstacle {
                    tracing::warn!(%error, "what an operator did is not in the log yet; it is tried again every second");
                    obstacle = met;
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::operator::{Action, By};

    use super::*;

    fn deed(number: usize, note: Option<&str>) -> Deed {
        let (subject, note) = (Some("event_store".to_owned()), note.map(str::to_owned));
        let acted = OperatorActed { by: By::Token, action: Action::StartPart, subject, note };
        Deed { id: CommandId::of_fact(&[&number.to_string()]), at: DateTime::UNIX_EPOCH, acted }
    }

    #[test]
    fn too_many_lose_the_oldest_but_the_one_that_may_be_under_way() {
        let deeds = Deeds::default();
        (0..KEPT_MAX + 2).for_each(|number| deeds.keep(deed(number, None)));
        let waiting = deeds.waiting();
        assert_eq!((waiting.deeds.len(), waiting.lost, &waiting.deeds[0]), (KEPT_MAX, 2, &deed(0, None)));
        deeds.written(deed(0, None).id);
        assert_eq!(deeds.waiting().deeds[0], deed(3, None));
    }

    #[test]
    fn what_is_stored_late_says_when_it_was_done() {
        let said = "done at 1970-01-01T00:00:00Z, stored after that";
        assert_eq!(deed(1, None).late().note.unwrap(), said);
        assert_eq!(deed(1, Some("why")).late().note.unwrap(), format!("why ({said})"));
    }
}
