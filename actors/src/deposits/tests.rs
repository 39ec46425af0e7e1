//! A deposit of which an event cannot be read: set aside, and its neighbours do not notice.

use millrace_model::damage::Damage;
use millrace_model::deposit::{Command, HoldReason};
use millrace_model::ledger::Account;

use super::*;
use crate::event_store::VerifyError;
use crate::event_store::poison::set_kind;
use crate::projection::{self, Filter, LedgerCut, UNREADABLE, Views};
use crate::sender::tests::rig::Rig;

/// The views of this rig, kept up to date.
fn views(rig: &Rig) -> Views {
    let views = Views::new(&rig.folder().join("views.db"));
    projection::start(&rig.tree, rig.deposits.store().clone(), views.clone()).unwrap();
    views
}

async fn caught_up(rig: &Rig, views: &Views) -> Arc<LedgerCut> {
    let head = rig.deposits.store().head();
    views.caught_up(head, std::time::Duration::from_secs(60)).await;
    assert_eq!(views.position(), head, "{:?}", rig.tree.health());
    views.ledger()
}

async fn unreadable_shown(views: &Views) -> Vec<DepositId> {
    let filter = Filter { status: Some(UNREADABLE.to_owned()), rows_max: 10, ..Filter::default() };
    views.deposits(&filter).await.unwrap().iter().map(|row| row.id).collect()
}

/// What is on its way to customers.
fn owed(cut: &LedgerCut) -> Vec<i128> {
    let accounts = cut.balances.all();
    accounts.iter().filter(|balance| balance.account == Account::Payout).map(|balance| balance.units).collect()
}

/// O7: nobody is stopped by an event that cannot be read but its own deposit, and the desk says so.
#[tokio::test]
async fn an_unreadable_event_sets_its_deposit_aside_and_nobody_else() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().give("100", 50);
    let (poisoned, neighbour) = (rig.owe(9, "3").await, rig.owe(10, "5").await);
    let stream = StreamName::Deposit(poisoned);
    assert!(caught_up(&rig, &views(&rig)).await.unreadable.is_empty());
    let rig = rig.between(|log| set_kind(log, &stream, 4, "StatusTeleported")).await;
    let views = views(&rig);
    rig.send();
    rig.until_paid(neighbour).await;
    let hold = Command::Hold { reason: HoldReason::Operator { note: "n".to_owned() } };
    match rig.deposits.execute(poisoned, &hold).await {
        Err(ExecuteError::Unreadable { deposit, position: 4, why }) if deposit == poisoned => {
            assert!(why.contains("\"StatusTeleported\" is unknown"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(rig.deposits.get(poisoned).unwrap().is_none());
    assert!(!rig.deposits.open().unwrap().1.contains(&poisoned));
    let cut = caught_up(&rig, &views).await;
    let alarm = rig.until_alarm(projection::PART, "unreadable").await;
    assert!(alarm.starts_with(&format!("{stream} is set aside from position 4 on: ")), "{alarm}");
    assert_eq!(unreadable_shown(&views).await, [poisoned]);
    assert_eq!(cut.unreadable.keys().copied().collect::<Vec<_>>(), [poisoned]);
    assert_eq!((owed(&cut), rig.node.ledger().payments_to(9)), (vec![0], 0));

    // The next start says so again.
    let rig = rig.restart().await;
    let views = self::views(&rig);
    rig.until_alarm(projection::PART, "unreadable").await;
    assert_eq!(caught_up(&rig, &views).await.unreadable.len(), 1);

    // A version that can read it goes on where it was.
    let rig = rig.between(|log| set_kind(log, &stream, 4, "StatusWaitSend")).await;
    let views = self::views(&rig);
    rig.send();
    rig.until_paid(poisoned).await;
    let cut = caught_up(&rig, &views).await;
    assert_eq!((cut.unreadable.len(), owed(&cut)), (0, vec![0]));
    assert!(unreadable_shown(&views).await.is_empty());
    rig.until_well(projection::PART).await;
    assert_eq!([9, 10].map(|number| rig.node.ledger().payments_to(number)), [1, 1]);
    assert!(rig.deposits.store().reader().unwrap().verify().is_ok());
}

#[tokio::test]
async fn even_a_first_event_that_cannot_be_read_is_named_at_every_start() {
    let rig = Rig::new().await;
    let stream = StreamName::Deposit(rig.owe(9, "3").await);
    let mut rig = rig.between(|log| set_kind(log, &stream, 1, "Beamed")).await;
    for _ in 0..2 {
        let views = views(&rig);
        assert_eq!(caught_up(&rig, &views).await.unreadable.len(), 1);
        let alarm = rig.until_alarm(projection::PART, "unreadable").await;
        assert!(alarm.contains("from position 1 on"), "{alarm}");
        rig = rig.restart().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_checked_against_the_hashes_like_everything_else() {
    let rig = Rig::new().await;
    let stream = StreamName::Deposit(rig.owe(9, "3").await);
    let rig = rig.between(|log| set_kind(log, &stream, 2, "Beamed")).await;
    let verified = rig.deposits.store().reader().unwrap().verify();
    assert!(matches!(verified, Err(VerifyError::Damaged(Damage::Changed { position: 2 }))), "{verified:?}");
}
