//! Says in the process's own log how far the desk's log is, and the hash there: whoever collects those lines elsewhere can
//! prove later that nothing of the log up to there was changed, even by somebody who changed every hash after it.

use std::time::Duration;

use crate::event_store::Store;

/// The pause between two lines.
const EVERY: Duration = Duration::from_hours(1);

/// Says it when the log was opened, and every hour.
pub(super) async fn hourly(store: Store) {
    store.ready().await;
    loop {
        tell(&store);
        tokio::time::sleep(EVERY).await;
    }
}

/// Says it now. A log in which nothing has happened has no head.
pub(super) fn tell(store: &Store) {
    let position = store.head();
    match store.reader().and_then(|reader| reader.hash_at(position)) {
        Ok(Some(hash)) => tracing::info!(position, %hash, "the log's head"),
        Ok(None) => {}
        // Whose business that is says so.
        Err(error) => tracing::warn!(%error, "the log's head cannot be told"),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use millrace_model::ids::{Hash32, Position};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::super::tests::Desk;
    use super::*;

    /// Hears the heads that are told on this thread.
    #[derive(Clone, Default)]
    struct Listener(Arc<Mutex<Vec<(Position, String)>>>);

    #[derive(Default)]
    struct Line {
        message: String,
        position: Position,
        hash: String,
    }

    impl Visit for Line {
        fn record_u64(&mut self, field: &Field, value: u64) {
            if field.name() == "position" {
                self.position = value;
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            match field.name() {
                "message" => self.message = format!("{value:?}"),
                "hash" => self.hash = format!("{value:?}"),
                _ => {}
            }
        }
    }

    impl Subscriber for Listener {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut line = Line::default();
            event.record(&mut line);
            if line.message == "the log's head" {
                self.0.lock().unwrap().push((line.position, line.hash));
            }
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    impl Listener {
        fn heard(&self) -> Vec<(Position, String)> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn head(desk: &Desk) -> (Position, String) {
        let position = desk.store.head();
        let hash: Hash32 = desk.store.reader().unwrap().hash_at(position).unwrap().unwrap();
        (position, hash.to_string())
    }

    /// O4: what was changed in the log together with all hashes does not fit what was told outside.
    #[tokio::test(start_paused = true)]
    async fn the_head_is_told_at_the_start_every_hour_and_at_the_ordered_stop() {
        let listener = Listener::default();
        let _listening = tracing::subscriber::set_default(listener.clone());
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::start(dir.path()).await;
        desk.bind_many("first", 2).await;
        let first = head(&desk);
        desk.tree.shutdown(Duration::from_secs(5)).await;
        assert_eq!(listener.heard(), vec![first.clone()], "nothing had happened at the start");

        let desk = Desk::start(dir.path()).await;
        tokio::time::sleep(EVERY / 2).await;
        assert_eq!(listener.heard(), [first]);
        desk.bind_many("second", 3).await;
        let second = head(&desk);
        tokio::time::sleep(EVERY * 3).await;
        assert_eq!(listener.heard(), [second.clone(), second.clone(), second.clone()]);
        desk.tree.shutdown(Duration::from_secs(5)).await;
        assert_eq!(listener.heard(), [second]);
    }
}
