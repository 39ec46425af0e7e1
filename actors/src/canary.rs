//! Wrong on purpose: variants of the desk that its tests have to catch. Without the feature `canaries` nothing of them is built.
//!
//! Each stands at one place, as an `if` before what is right. Which one lives is chosen for a thread, since a simulated life
//! is one: others in the same process are not touched. `docs/decisions/canaries.md` says more.

#[cfg(feature = "canaries")]
use std::cell::Cell;
#[cfg(feature = "canaries")]
use std::marker::PhantomData;

/// Whether this build knows canaries at all. The program does not compile when it does.
pub const ARE_BUILT_IN: bool = cfg!(feature = "canaries");

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Canary {
    /// A payout is handed to the node before its bytes are in the log.
    SendFirst,
    /// An order is placed before its intention is in the log.
    OrderFirst,
    /// An order whose outcome is unknown is taken for refused, so that another id follows.
    BlindRetry,
    /// A payout whose outcome is unknown is taken for void, so that another is signed.
    SignAnew,
    /// What a deposit had done before its log was lost is not looked for.
    LookFirstLeftOut,
    /// Halts and switches are not asked for.
    HaltUnchecked,
    /// A deposit counts as received in its first block.
    NoDepth,
    /// An output that was seen before is another deposit.
    DetectedTwice,
    /// The cursor moves on before the block's deposits are in the log.
    CursorFirst,
    /// The outputs of a signed payout are free for others.
    ReservationForgotten,
    /// Whoever starts waits for news, and does not look at what is open.
    StartsBlind,
    /// A command's id is not recognised when it comes again.
    NoDedup,
    /// Each write of an append is a commit of its own.
    Autocommit,
    /// Nobody looks whether the commit worked.
    CommitUnchecked,
    /// The log is opened so that a power cut takes commits back.
    SyncNormal,
}

impl Canary {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::SendFirst,
        Self::OrderFirst,
        Self::BlindRetry,
        Self::SignAnew,
        Self::LookFirstLeftOut,
        Self::HaltUnchecked,
        Self::NoDepth,
        Self::DetectedTwice,
        Self::CursorFirst,
        Self::ReservationForgotten,
        Self::StartsBlind,
        Self::NoDedup,
        Self::Autocommit,
        Self::CommitUnchecked,
        Self::SyncNormal,
    ];
}

#[cfg(feature = "canaries")]
thread_local! {
    static LIVING: Cell<Option<Canary>> = const { Cell::new(None) };
}

/// Whether this is done wrong here and now.
#[cfg(feature = "canaries")]
pub(crate) fn lives(canary: Canary) -> bool {
    LIVING.get() == Some(canary)
}

/// Nothing is.
#[cfg(not(feature = "canaries"))]
pub(crate) const fn lives(_: Canary) -> bool {
    false
}

/// Does this wrong on this thread for as long as the result is held.
#[cfg(feature = "canaries")]
pub fn release(canary: Canary) -> Released {
    LIVING.set(Some(canary));
    Released(PhantomData)
}

/// A canary that lives. It stays on its thread.
#[cfg(feature = "canaries")]
#[derive(Debug)]
#[must_use = "it ends when this is dropped"]
pub struct Released(PhantomData<*const ()>);

#[cfg(feature = "canaries")]
impl Drop for Released {
    fn drop(&mut self) {
        LIVING.set(None);
    }
}
