//! The hot wallet's outputs: which are free, which are claimed by payouts under way.
//!
//! Claims are made in memory before anything is appended. What is reserved in the log follows from the deposits that are
//! signed and not final, so a start reads what is open and nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use millrace_model::ids::{DepositId, StreamName};
use millrace_model::money::{Amount, Sky};
use millrace_protocols::payout::{FreeOutput, Pool, Shortage};
use millrace_protocols::wire::skycoin::hash::UxId;
use tokio::time::Instant;

use crate::deposits::Deposits;
use crate::event_store::Epoch;
use crate::ports::SkycoinNode;

/// The node is not asked for the wallet's outputs more often.
const REFRESH_EVERY: Duration = Duration::from_millis(200);

/// The wallet's owner.
pub(super) struct HotWallet {
    deposits: Deposits,
    node: Arc<dyn SkycoinNode>,
    state: Mutex<State>,
    /// One refresh at a time; who waited for another's does not need his own.
    refreshing: tokio::sync::Mutex<Option<Instant>>,
}

struct State {
    epoch: Epoch,
    pool: Pool,
    claims: HashMap<DepositId, Vec<UxId>>,
    /// Everything that was claimed since the last refresh began.
    touched: HashSet<UxId>,
}

impl HotWallet {
    pub(super) fn new(deposits: Deposits, node: Arc<dyn SkycoinNode>) -> Self {
        let state = State { epoch: Epoch(0), pool: Pool::default(), claims: HashMap::new(), touched: HashSet::new() };
        Self { deposits, node, state: Mutex::new(state), refreshing: tokio::sync::Mutex::default() }
    }

    /// Becomes the owner and claims what signed payouts spend.
    pub(super) async fn take_over(&self) -> Result<(), String> {
        let owned = self.deposits.store().own(StreamName::Wallet).await.map_err(|error| error.to_string())?;
        let (_, ids) = self.deposits.open().map_err(|error| error.to_string())?;
        let mut claims = HashMap::new();
        for id in ids {
            let Some(tracked) = self.deposits.get(id).map_err(|error| error.to_string())? else { continue };
            if let Some(signed) = tracked.deposit.signed_payout() {
                claims.insert(id, signed.inputs.iter().map(|input| UxId(input.0)).collect());
            }
        }
        let mut state = self.state();
        state.epoch = owned.epoch;
        state.claims = claims;
        Ok(())
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.state().epoch
    }

    /// Outputs for a payout, claimed for it; or in words why there are none.
    pub(super) async fn claim(&self, id: DepositId, owed: Amount<Sky>) -> Result<Vec<UxId>, String> {
        // Of an earlier attempt whose outcome was unknown; its bytes are not in the log, or this would not be asked.
        self.give_back(id);
        match self.try_claim(id, owed) {
            Ok(inputs) => Ok(inputs),
            Err(_) => {
                self.refresh().await?;
                self.try_claim(id, owed).map_err(|shortage| shortage.to_string())
            }
        }
    }

    fn try_claim(&self, id: DepositId, owed: Amount<Sky>) -> Result<Vec<UxId>, Shortage> {
        let mut state = self.state();
        let inputs: Vec<UxId> = state.pool.take(owed)?.iter().map(|output| output.uxid).collect();
        state.touched.extend(&inputs);
        state.claims.insert(id, inputs.clone());
        Ok(inputs)
    }

    /// The payout came to nothing. Its outputs are free again when the node says so.
    pub(super) fn give_back(&self, id: DepositId) {
        self.state().claims.remove(&id);
    }

    /// The payout is final; its outputs will not come back.
    pub(super) fn spent(&self, id: DepositId) {
        self.state().claims.remove(&id);
    }

    /// Asks the node what can be spent. What was claimed when the question was asked, or since, is not free whatever the
    /// answer says: it may be older than a claim that has ended meanwhile.
    async fn refresh(&self) -> Result<(), String> {
        let asked = Instant::now();
        let mut last = self.refreshing.lock().await;
        if last.is_some_and(|last| last > asked || last.elapsed() < REFRESH_EVERY) {
            return Ok(());
        }
        let before: HashSet<UxId> = {
            let mut state = self.state();
            state.touched.clear();
            state.claims.values().flatten().copied().collect()
        };
        let spendable = self.node.spendable().await.map_err(|error| error.to_string())?;
        let mut state = self.state();
        let mut pool = Pool::default();
        for output in spendable {
            if !before.contains(&output.uxid) && !state.touched.contains(&output.uxid) {
                let (uxid, address) = (output.uxid, output.address);
                pool.insert(FreeOutput { uxid, address, coins: output.coins, hours: output.hours });
            }
        }
        state.pool = pool;
        *last = Some(Instant::now());
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the wallet")
    }
}
