//! The one mailbox of a part, and the receive that is under way.
//!
//! A pending receive of xtra's cannot be dropped safely: on its way out it looks whether a message has landed and
//! puts that back, but a message that lands between the look and the drop is gone without a trace. A supervisor
//! waits for messages and for orders at once, so the receive is kept here, and only the waiting for it is dropped.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use xtra::{Actor, Mailbox};

/// xtra keeps the types of a receive, a message and a dispatch private, so the first two are a parameter here (`R`
/// and its output) and the third is boxed.
pub(super) struct Inbox<A, R: Future> {
    mailbox: Mailbox<A>,
    receive: Option<R>,
    begin: fn(&Mailbox<A>) -> R,
    dispatch: Dispatch<A, R::Output>,
}

type Dispatch<A, M> = fn(M, &mut A) -> BoxFuture<'_, ControlFlow<()>>;

/// Takes charge of the mailbox, of which there must be no clone.
pub(super) fn inbox<A: Actor>(mailbox: Mailbox<A>) -> Inbox<A, impl Future<Output: Send> + Send + Unpin> {
    Inbox {
        mailbox,
        receive: None,
        begin: Mailbox::next,
        dispatch: |message, actor| message.dispatch_to(actor).boxed(),
    }
}

impl<A: Actor, R: Future + Unpin> Inbox<A, R> {
    /// The next message. May be dropped and asked again without losing any.
    pub(super) async fn next(&mut self) -> R::Output {
        poll_fn(|cx| {
            let receive = self.receive.get_or_insert_with(|| (self.begin)(&self.mailbox));
            let message = ready!(Pin::new(receive).poll(cx));
            self.receive = None;
            Poll::Ready(message)
        })
        .await
    }

    /// Hands `message` to `actor`; `Break` when the actor is to end. Dropping it cuts the handler off.
    pub(super) fn dispatch<'a>(&self, message: R::Output, actor: &'a mut A) -> BoxFuture<'a, ControlFlow<()>> {
        (self.dispatch)(message, actor)
    }

    pub(super) fn mailbox(&self) -> &Mailbox<A> {
        &self.mailbox
    }

    /// Whether nobody holds a strong address any more.
    pub(super) fn is_orphaned(&self) -> bool {
        self.mailbox.address().try_upgrade().is_none()
    }
}

#[cfg(test)]
mod tests {
    use xtra::{Context, Handler};

    use super::*;

    struct Counter(u32);
    struct Count;

    impl Actor for Counter {
        type Stop = ();

        async fn stopped(self) {}
    }

    impl Handler<Count> for Counter {
        type Return = ();

        async fn handle(&mut self, _: Count, _: &mut Context<Self>) {
            self.0 += 1;
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the mailbox itself is under test")]
    fn the_receive_under_way_is_kept_when_the_waiting_for_it_is_dropped() {
        let (address, mailbox) = Mailbox::unbounded();
        let mut inbox = inbox(mailbox);
        assert!(inbox.next().now_or_never().is_none());
        let _reply = address.send(Count).detach().now_or_never();
        assert!(address.is_empty(), "the message went to the receive under way, not into the queue");
        let message = inbox.next().now_or_never().expect("it is there");
        let mut counter = Counter(0);
        assert_eq!(inbox.dispatch(message, &mut counter).now_or_never(), Some(ControlFlow::Continue(())));
        assert_eq!(counter.0, 1);
    }

    /// The waiting is dropped again and again, as by a race that something else keeps winning, while another
    /// thread sends. With the receive dropped too, some of these messages are lost in most runs.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the mailbox itself is under test")]
    fn no_message_is_lost_when_the_waiting_is_dropped_while_another_thread_sends() {
        const MESSAGES: u32 = 20_000;
        let (address, mailbox) = Mailbox::unbounded();
        let mut inbox = inbox(mailbox);
        let mut counter = Counter(0);
        let sender = std::thread::spawn(move || {
            for _ in 0..MESSAGES {
                let sent = address.send(Count).detach().now_or_never();
                assert!(matches!(sent, Some(Ok(_))));
                // Let the receiver empty the queue: only a receive that finds nothing can be dropped pending.
                while !address.is_empty() {
                    std::thread::yield_now();
                }
            }
        });
        loop {
            let Some(message) = inbox.next().now_or_never() else {
                std::thread::yield_now();
                continue;
            };
            // The last message is the mailbox's own, when the sender has dropped the address.
            let flow = inbox.dispatch(message, &mut counter).now_or_never();
            if flow.expect("nothing in it waits").is_break() {
                break;
            }
        }
        sender.join().expect("it does not panic");
        assert_eq!(counter.0, MESSAGES);
    }
}
