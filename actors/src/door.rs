//! The bounded way from other threads into the actor runtime.
//!
//! xtra wakes a receiver while it holds a spin lock, so a thread that asks an actor of another runtime can spin away
//! whole time slices. HTTP threads therefore never touch an actor's address: they put a request through a [`Door`],
//! a task on the actor runtime takes it out of the [`Inside`], asks the actor there, and answers through a oneshot.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::supervision::AskError;

/// A door with room for `requests_max` (at least 1) waiting requests, and its inner side.
pub fn door<Req: Send>(requests_max: usize) -> (Door<Req>, Inside<Req>) {
    let (sender, receiver) = mpsc::channel(requests_max.max(1));
    (Door { sender }, Inside { receiver: Arc::new(Mutex::new(receiver)) })
}

/// The outer side: held by HTTP handlers and everybody else who lives on another runtime.
#[derive(Debug)]
pub struct Door<Req> {
    sender: mpsc::Sender<Req>,
}

impl<Req> Clone for Door<Req> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<Req: Send> Door<Req> {
    /// Hands a request in and waits for its answer, at most `within`.
    ///
    /// `Busy`: the door was full, nothing was handed in. `Down`: nobody is inside any more, nothing was handed in.
    /// `Unknown`: no answer in time, or whoever had the request went away; **it may still be carried out**.
    pub async fn call<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Req,
        within: Duration,
    ) -> Result<T, AskError> {
        let (reply, answer) = oneshot::channel();
        self.sender.try_send(request(reply)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AskError::Busy,
            mpsc::error::TrySendError::Closed(_) => AskError::Down,
        })?;
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(AskError::Unknown),
        }
    }
}

/// The inner side: drained on the actor runtime.
///
/// Clones share one queue, so an actor's constructor can hand a clone to each incarnation and the requests that wait
/// outlive a restart. The door is closed, and callers get `Down`, when the last clone is dropped.
#[derive(Debug)]
pub struct Inside<Req> {
    receiver: Arc<Mutex<mpsc::Receiver<Req>>>,
}

impl<Req> Clone for Inside<Req> {
    fn clone(&self) -> Self {
        Self { receiver: Arc::clone(&self.receiver) }
    }
}

impl<Req: Send> Inside<Req> {
    /// Serves requests, at most `at_once` (at least 1) at a time, until every [`Door`] is gone.
    ///
    /// Dropping this future drops the requests in hand, whose callers get `Unknown`; those still queued wait for
    /// the next server. A second server waits until the first has ended. A handler may ask the oneshot
    /// `is_closed()` to skip a request whose caller has given up.
    pub async fn serve<F, Fut>(&self, at_once: usize, handle: F)
    where
        F: FnMut(Req) -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut receiver = self.receiver.lock().await;
        futures::stream::poll_fn(|cx| receiver.poll_recv(cx)).for_each_concurrent(at_once.max(1), handle).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// Asks for a number's double.
    struct Double(u32, oneshot::Sender<u32>);

    async fn double(request: Double) {
        let _ = request.1.send(request.0 * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_from_another_thread_is_answered() {
        let (door, inside) = door(4);
        let outside = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("it builds");
            runtime.block_on(door.call(|reply| Double(21, reply), Duration::from_secs(60)))
        });
        inside.serve(2, double).await; // ends because the only door went with its thread
        assert_eq!(outside.join().expect("it does not panic"), Ok(42));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_door_is_busy_at_once() {
        let (door, inside) = door(1);
        let calls = async {
            tokio::join!(biased; door.call(|reply| Double(1, reply), SOON), async {
                let begun = tokio::time::Instant::now();
                let refused = door.call(|reply| Double(2, reply), SOON).await;
                (refused, begun.elapsed())
            })
        };
        let (answers, _) = tokio::join!(biased; calls, tokio::time::timeout(SOON, inside.serve(1, double)));
        assert_eq!(answers, (Ok(2), (Err(AskError::Busy), Duration::ZERO)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_missed_deadline_is_unknown_and_the_request_may_still_be_carried_out() {
        let (door, inside) = door(4);
        let carried_out = AtomicU32::new(0);
        assert_eq!(door.call(|reply| Double(1, reply), SOON).await, Err(AskError::Unknown));
        drop(door);
        inside
            .serve(1, async |_: Double| {
                carried_out.fetch_add(1, Ordering::SeqCst);
            })
            .await;
        assert_eq!(carried_out.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_server_dies_is_unknown_and_those_waiting_are_served_by_the_next() {
        let (door, inside) = door(4);
        let first = door.call(|reply| Double(1, reply), SOON * 9);
        let second = door.call(|reply| Double(2, reply), SOON * 9);
        let servers = async {
            let stuck = inside.serve(1, |request| async {
                let _held = request;
                std::future::pending().await
            });
            assert!(tokio::time::timeout(SOON, stuck).await.is_err());
            let _ = tokio::time::timeout(SOON, inside.serve(1, double)).await;
        };
        let (first, second, ()) = tokio::join!(biased; first, second, servers);
        assert_eq!((first, second), (Err(AskError::Unknown), Ok(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_door_with_nobody_inside_is_down() {
        let (door, inside) = door(4);
        drop(inside);
        assert_eq!(door.call(|reply| Double(1, reply), SOON).await, Err(AskError::Down));
    }
}
