//! Deposits on addresses of the desk that nobody was given: a condition for as long as an operator has not said what becomes of
//! them.

use millrace_model::deposit::StageName;

use super::totals::Totals;
use crate::supervision::Reporter;

/// The condition's kind.
const CONDITION: &str = "quarantined";

/// Raises the condition, or lifts it when none is left.
pub(super) fn tell(totals: &Totals, report: &Reporter) {
    let quarantined = totals.lines().iter().filter(|line| line.status == StageName::Quarantined.as_str());
    match quarantined.map(|line| line.deposits).sum::<u64>() {
        0 => report.clear(CONDITION),
        deposits => report.set(
            CONDITION,
            format!("deposits on addresses that nobody was given: {deposits}; an operator has to pay them back"),
        ),
    }
}
