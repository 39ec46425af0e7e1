//! Checks what the wallet signed. A signature costs more time than all else about a payout together, so it is looked at on
//! a thread of its own while the actors go on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use millrace_protocols::wire::skycoin::rest::{Created, Mismatch, Payout};
use tokio::sync::oneshot;

use crate::event_store::Execution;

/// How many may wait; beyond it, whoever asks for a check does it.
const WAITING_MAX: usize = 1_024;

/// Where checks are done; by whoever asks when there is no thread.
pub(super) struct Checker(Option<SyncSender<Check>>);

struct Check {
    payout: Payout,
    created: Created,
    reply: oneshot::Sender<thread::Result<Checked>>,
}

/// What was checked, and what is wrong with it.
type Checked = (Created, Result<(), Mismatch>);

impl Checker {
    pub(super) fn new(execution: Execution) -> Self {
        let (checks, waiting) = sync_channel(WAITING_MAX);
        let has_thread = match execution {
            Execution::Inline => false,
            Execution::Thread => {
                let signatures = thread::Builder::new().name("signatures".to_owned());
                signatures.spawn(move || run(&waiting)).is_ok()
            }
        };
        Self(has_thread.then_some(checks))
    }

    /// Whether this is the payout that was asked for, signed by the owners of what it spends.
    pub(super) async fn check(&self, payout: Payout, created: Created) -> Checked {
        let Some(checks) = &self.0 else { return check(&payout, created) };
        let (reply, checked) = oneshot::channel();
        match checks.try_send(Check { payout, created, reply }) {
            // A panic is the payout's it came from.
            Ok(()) => checked.await.expect("every check has a reply").unwrap_or_else(|panic| resume_unwind(panic)),
            Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => {
                check(&refused.payout, refused.created)
            }
        }
    }
}

fn check(payout: &Payout, created: Created) -> Checked {
    let found = payout.check(&created);
    (created, found)
}

/// Ends when the checker is dropped.
fn run(waiting: &Receiver<Check>) {
    while let Ok(Check { payout, created, reply }) = waiting.recv() {
        let checked = catch_unwind(AssertUnwindSafe(|| check(&payout, created)));
        // Nobody waits for it once the sender was stopped.
        let _ = reply.send(checked);
    }
}
