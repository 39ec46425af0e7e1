//! Decides what to do with a received deposit, by the terms of the moment.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::deposit::{Command, DecisionTerms, Deposit, Stage};

use crate::deposits::{Deposits, ExecuteError, Tracked};
use crate::supervision::{Reporter, Tree, TreeError};
use crate::worker::{self, Duty, Next};

/// The part's name in the tree.
pub const PART: &str = "decider";
/// How long until the terms, or the log, are asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The terms of the moment; `None` while there are none, such as with a stale book.
pub type TermsNow = Arc<dyn Fn() -> Option<DecisionTerms> + Send + Sync>;

/// Adds the decider to the tree.
pub fn start(tree: &Tree, deposits: Deposits, terms: TermsNow) -> Result<(), TreeError> {
    let store = deposits.clone();
    worker::start(tree, PART, deposits, move |report| Decider {
        deposits: store.clone(),
        terms: Arc::clone(&terms),
        report,
    })
}

struct Decider {
    deposits: Deposits,
    terms: TermsNow,
    report: Reporter,
}

impl Duty for Decider {
    fn concerns(&self, deposit: &Deposit) -> bool {
        deposit.stage == Stage::WaitDecide
    }

    async fn perform(&self, tracked: Arc<Tracked>) -> Next {
        let Some(terms) = (self.terms)() else {
            self.report.set("terms", "nothing can be decided: there is no trusted price");
            return Next::After(AGAIN_AFTER);
        };
        self.report.clear("terms");
        let id = tracked.deposit.receipt.id;
        match self.deposits.execute(id, &Command::Decide(terms)).await {
            Ok(_) => Next::Look,
            Err(ExecuteError::Rejected(rejection)) => {
                tracing::debug!(deposit = %id, %rejection, "nothing to decide");
                Next::Wait
            }
            Err(error) => {
                tracing::warn!(deposit = %id, %error, "the decision could not be stored");
                Next::After(AGAIN_AFTER)
            }
        }
    }
}
