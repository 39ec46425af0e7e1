//! The one way to send a message: with a deadline, and with an answer that says whether it may have been handled.

use std::time::Duration;

use xtra::Handler;

use super::address::Address;

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Its queue is full. Nothing was sent; ask again later.
    #[error("it has too much waiting already; nothing was sent")]
    Busy,
    /// It is down, stopped or gone. Nothing was sent.
    #[error("it is not running; nothing was sent")]
    Down,
    /// The deadline passed, or the incarnation died. **The message may have been handled or may yet be**: read back
    /// before acting, and repeat only what is idempotent.
    #[error("no answer in time; it may have happened or may yet happen")]
    Unknown,
}

/// Sends `message` and waits for the reply, at most `within`.
///
/// Asks must not form a circle: two actors that ask each other wait until a deadline. While the actor is between
/// two incarnations the message waits in its mailbox. Dropping this future once polled does not recall the message.
#[allow(clippy::disallowed_methods, reason = "this is the one place that gives every send a deadline")]
pub async fn ask<A, M>(
    address: &Address<A>,
    message: M,
    within: Duration,
) -> Result<<A as Handler<M>>::Return, AskError>
where
    A: Handler<M>,
    M: Send + 'static,
{
    if !address.gate.is_open() {
        return Err(AskError::Down);
    }
    // xtra would park us and serve the parked ones last come, first served. On the actor runtime nobody can come
    // between this look and the first poll below; elsewhere we might be parked, and then the deadline says Unknown.
    if address.mailbox.len() >= address.mailbox_max {
        return Err(AskError::Busy);
    }
    match tokio::time::timeout(within, address.mailbox.send(message)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(xtra::Error::Disconnected)) => Err(AskError::Down),
        Ok(Err(xtra::Error::Interrupted)) | Err(_) => Err(AskError::Unknown),
    }
}
