//! Decides what becomes of a receipt, by the desk's terms of that moment.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::deposit::{Command, DecisionTerms, Deposit, Detected, Stage};
use millrace_model::money::{Amount, Btc};

use crate::deposits::{Deposits, ExecuteError, Tracked};
use crate::event_store::AppendError;
use crate::supervision::{Alarm, Tree, TreeError};
use crate::worker::{self, Duty, Next};

/// The part's name in the tree.
pub const PART: &str = "decider";

/// How long the decider waits before it asks for terms again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it waits when the log has too much to do.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The terms of this moment for a deposit of so much; `None` while nobody can say, such as when the exchange's book is stale.
pub type TermsNow = Arc<dyn Fn(Amount<Btc>) -> Option<DecisionTerms> + Send + Sync>;

/// Adds the decider to the tree.
pub fn start(tree: &Tree, deposits: Deposits, terms: TermsNow) -> Result<(), TreeError> {
    let theirs = deposits.clone();
    worker::start(tree, PART, deposits, move |report| Decider {
        deposits: theirs.clone(),
        terms: Arc::clone(&terms),
        no_terms: Alarm::new("terms", report),
    })
}

/// The duty of one incarnation.
struct Decider {
    deposits: Deposits,
    terms: TermsNow,
    no_terms: Alarm,
}

impl Duty for Decider {
    fn concerns(&self, deposit: &Deposit) -> bool {
        deposit.stage == Stage::WaitDecide
    }

    async fn perform(&self, tracked: Arc<Tracked>) -> Next {
        let Detected { id, amount, .. } = tracked.deposit.receipt;
        let Some(terms) = (self.terms)(amount) else {
            self.no_terms.raise("there are no terms to decide by; deposits wait");
            return Next::After(PAUSE);
        };
        self.no_terms.clear();
        match self.deposits.execute(id, &Command::Decide(terms)).await {
            Ok(decided) => {
                tracing::info!(deposit = %id, stage = %decided.deposit.stage.name(), "decided");
                Next::Wait
            }
            // Somebody else moved it, such as a reorganisation: that rings.
            Err(ExecuteError::Rejected(rejection)) => {
                tracing::info!(deposit = %id, %rejection, "not decided");
                Next::After(PAUSE)
            }
            Err(ExecuteError::Append(AppendError::Busy)) => Next::After(BUSY_PAUSE),
            Err(error) => {
                tracing::warn!(deposit = %id, %error, "the decision is to be made again");
                Next::After(PAUSE)
            }
        }
    }
}

#[cfg(test)]
mod tests;
