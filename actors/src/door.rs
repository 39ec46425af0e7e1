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
