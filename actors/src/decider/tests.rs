//! What the decider leaves in the log.

use std::sync::Mutex;

use millrace_model::deposit::{PayoutTerms, Stage, Terms};
use millrace_model::money::Amount;

use super::*;
use crate::sender::tests::rig::Rig;

fn direct(rate: &str) -> Option<DecisionTerms> {
    Some(DecisionTerms {
        terms: Terms::Direct { rate: rate.parse().unwrap() },
        minimum: "0.001".parse().unwrap(),
        maximum: "10".parse().unwrap(),
        payout: PayoutTerms { decimals: 3, maximum: Amount::MAX },
    })
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_decided_by_the_terms_of_the_moment() {
    let rig = Rig::new().await;
    let terms = Arc::new(Mutex::new(None));
    let now = Arc::clone(&terms);
    start(&rig.tree, rig.deposits.clone(), Arc::new(move |_| now.lock().unwrap().clone())).unwrap();
    let id = rig.received(9, vec![]).await;
    rig.until_alarm(PART, "terms").await;
    assert_eq!(rig.deposits.get(id).unwrap().unwrap().deposit.stage, Stage::WaitDecide);
    *terms.lock().unwrap() = direct("500");
    let decided = rig.until(id, |deposit| deposit.stage == Stage::WaitSend).await;
    assert_eq!(decided.deposit.payout.as_ref().unwrap().amount, "500".parse().unwrap());
    rig.until_well(PART).await;
    assert_eq!(rig.count(id, "StatusWaitSend"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waited_before_the_start_is_decided_after_it() {
    let rig = Rig::new().await;
    let id = rig.received(9, vec![]).await;
    start(&rig.tree, rig.deposits.clone(), Arc::new(|_| direct("2"))).unwrap();
    rig.until(id, |deposit| deposit.stage == Stage::WaitSend).await;
}
