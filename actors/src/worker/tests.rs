//! A deposit on which the work panics, among others.

use std::sync::atomic::{AtomicUsize, Ordering};

use millrace_model::deposit::{Command, HoldReason, Stage};

use super::*;
use crate::sender::tests::rig::Rig;

const PART: &str = "holder";

/// Holds every deposit, and panics on one.
struct Holder {
    deposits: Deposits,
    feared: DepositId,
    panics: Arc<AtomicUsize>,
}

impl Duty for Holder {
    fn concerns(&self, deposit: &Deposit) -> bool {
        deposit.stage == Stage::WaitSend
    }

    async fn perform(&self, tracked: Arc<Tracked>) -> Next {
        let id = tracked.deposit.receipt.id;
        if id == self.feared {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("boo");
        }
        let hold = Command::Hold { reason: HoldReason::Operator { note: "seen".to_owned() } };
        self.deposits.execute(id, &hold).await.map_or(Next::Look, |_| Next::Wait)
    }
}

/// O7: a deposit that makes a part panic is set aside after three times, and the others are served.
#[tokio::test(start_paused = true)]
async fn a_deposit_that_makes_its_part_panic_is_set_aside_and_the_others_go_on() {
    let rig = Rig::new().await;
    let (feared, neighbour) = (rig.owe(1, "3").await, rig.owe(2, "5").await);
    let panics = Arc::new(AtomicUsize::new(0));
    let (deposits, counted) = (rig.deposits.clone(), Arc::clone(&panics));
    let holder = move |_| Holder { deposits: deposits.clone(), feared, panics: Arc::clone(&counted) };
    start(&rig.tree, PART, rig.deposits.clone(), holder).unwrap();
    let alarm = rig.until_alarm(PART, blame::CONDITION).await;
    assert_eq!(alarm, format!("deposit {feared} is set aside: the work on it panicked 3 times"));
    let is_held = |deposit: &Deposit| matches!(deposit.stage, Stage::Held { .. });
    rig.until(neighbour, is_held).await;
    let later = rig.owe(3, "7").await;
    rig.until(later, is_held).await;

    // Not even an event of its own, or another incarnation, makes anybody touch it.
    let hold = Command::Hold { reason: HoldReason::Operator { note: "n".to_owned() } };
    rig.deposits.execute(feared, &hold).await.unwrap();
    rig.deposits.execute(feared, &Command::Release { note: "n".to_owned() }).await.unwrap();
    rig.tree.restart(PART).await.unwrap();
    let last = rig.owe(4, "9").await;
    rig.until(last, is_held).await;
    assert_eq!(panics.load(Ordering::SeqCst), blame::PANICS_MAX as usize);
    let health = rig.tree.health().part(PART).unwrap();
    assert_eq!(health.conditions.len(), 1, "{health:?}");
    assert_eq!(rig.deposits.get(feared).unwrap().unwrap().deposit.stage, Stage::WaitSend);
}
