//! The hot wallet as its one owner holds it: what is free, who has a claim, what is reserved in the log.
//!
//! An output is claimed in memory before anything is created from it, and reserved on the wallet's stream in the append
//! that records the signed payout. The claim stands until it is known whether that append was stored: an output is never
//! free while bytes that spend it may be in the log.
//!
//! Free is only what came with a block as deep as that of a final payout. An output that is gone with its block strands the
//! payout that spends it, unless whoever made the output hands it in again; and after the log was lost that may be a payout
//! that nobody remembers.

mod entry;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Hash32, StreamName};
use millrace_model::money::{Amount, Sky};
use millrace_model::wallet::Wallet;
use millrace_protocols::payout::{FreeOutput, Shortage};
use millrace_protocols::wire::skycoin::hash::UxId;
use tokio::sync::RwLock;
use tokio::time::Instant;

use crate::event_store::{AppendError, ReadError, Reader, Store};
use crate::ports::{PortError, SkycoinNode};

pub use entry::{Change, Entry, Stored};
use state::State;

/// With fewer free outputs than this the node is asked for more before they run out.
const FREE_LOW: usize = 512;

/// Why there is no claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoClaim {
    /// Nothing fits.
    #[error(transparent)]
    Short(#[from] Shortage),
    /// The node does not say what there is.
    #[error(transparent)]
    Node(#[from] PortError),
}

/// Why the wallet's stream could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The log does not give it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The hot wallet. There is one owner at a time: the newest.
pub struct HotWallet {
    store: Store,
    node: Arc<dyn SkycoinNode>,
    /// How long the node is left alone after it was asked what there is.
    refresh_after: Duration,
    /// How deep the block of an output must be before it is spent.
    confirmations: u64,
    /// Held shared by everybody who writes to the stream; alone by whoever writes its snapshot or takes it over anew.
    gate: RwLock<()>,
    refreshing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

impl HotWallet {
    /// A wallet that owns nothing yet; see [`HotWallet::take_over`].
    pub fn new(store: Store, node: Arc<dyn SkycoinNode>, refresh_after: Duration, confirmations: u64) -> Self {
        Self {
            store,
            node,
            refresh_after,
            confirmations,
            gate: RwLock::default(),
            refreshing: Default::default(),
            state: Mutex::default(),
        }
    }

    /// Becomes the owner of the wallet's stream and reads what is reserved. Whoever owned it before writes nothing more.
    pub async fn take_over(&self) -> Result<(), WalletError> {
        let _alone = self.gate.write().await;
        if self.state().epoch.is_some() {
            return Ok(());
        }
        let ownership = self.store.own(StreamName::Wallet).await?;
        // What is committed under an older epoch was committed before the line above.
        let (wallet, events) = reserved(&*self.store.reader()?)?;
        self.state().take_over(ownership.epoch, wallet, events);
        Ok(())
    }

    /// Claims outputs for a payout; asking again gives the same ones. Asks the node when none fits or few are left.
    pub async fn claim(&self, id: DepositId, owed: Amount<Sky>) -> Result<Vec<FreeOutput>, NoClaim> {
        let began = Instant::now();
        if self.state().pool.len() < FREE_LOW && self.is_refresh_due() && self.refreshing.try_lock().is_ok() {
            // Whether it works is seen from what is free afterwards.
            let _ = self.refresh(began).await;
        }
        let claimed = self.state().claim(id, owed);
        if claimed.is_ok() {
            return Ok(claimed?);
        }
        self.refresh(began).await?;
        Ok(self.state().claim(id, owed)?)
    }

    /// Ends a claim of which nothing came: its outputs are free again.
    pub fn give_back(&self, id: DepositId) {
        self.state().give_back(id);
    }

    /// Ends a claim on outputs that are not what they seemed; they are free again when the node says so anew.
    pub fn discard(&self, id: DepositId) {
        self.state().discard(id);
    }

    /// The payout is signed and in the log, whatever was thought before: its claim is a reservation of these inputs.
    pub fn reserve_known(&self, id: DepositId, inputs: &[Hash32]) {
        let mut state = self.state();
        if state.has_claim(id) {
            state.adopt(id, &inputs.iter().map(|input| UxId(input.0)).collect::<Vec<_>>());
        }
    }

    /// Whether the inputs of this deposit's payout are reserved in the log.
    pub fn is_reserved(&self, id: DepositId) -> bool {
        !self.state().wallet.reserved_for(id).is_empty()
    }

    /// Frees an output that the node was just seen to have, such as the change of a final payout.
    pub fn offer(&self, output: FreeOutput) {
        self.state().offer(output);
    }

    /// Whether any output is in use by another payout than this one.
    pub fn is_in_use_besides(&self, id: DepositId) -> bool {
        self.state().is_in_use_besides(id)
    }

    fn is_refresh_due(&self) -> bool {
        self.state().asked.is_none_or(|asked| asked.elapsed() >= self.refresh_after)
    }

    /// Asks the node what there is, unless it was asked since `began` or a short while ago.
    async fn refresh(&self, began: Instant) -> Result<(), PortError> {
        let _one_at_a_time = self.refreshing.lock().await;
        {
            let mut state = self.state();
            if state.asked.is_some_and(|asked| asked >= began || asked.elapsed() < self.refresh_after) {
                return state.failure.clone().map_or(Ok(()), Err);
            }
            state.begin_refresh();
        }
        let answer = self.node.spendable(self.confirmations).await;
        self.state().end_refresh(answer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reservations in the log, and how many events lie behind the snapshot they were read from.
fn reserved(reader: &Reader) -> Result<(Wallet, u64), ReadError> {
    let snapshot = reader.snapshot(&StreamName::Wallet)?;
    let read = snapshot.and_then(|snapshot| Some((serde_json::from_str(&snapshot.state).ok()?, snapshot.version)));
    let (wallet, version) = read.unwrap_or_default();
    let events = reader.stream(&StreamName::Wallet, version)?;
    let count = events.len() as u64;
    let wallet = events.iter().fold(wallet, |wallet: Wallet, recorded| match &recorded.event {
        Event::Wallet(event) => wallet.evolve(event),
        _ => wallet,
    });
    Ok((wallet, count))
}
