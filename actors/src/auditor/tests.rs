//! Logs that are what was stored, and ones that are not.

use std::path::{Path, PathBuf};

use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::operator::By;
use uuid::Uuid;

use super::*;
use crate::event_store::poison::{self, mend_hashes, set_kind};
use crate::operations::{self, Note};
use crate::sender::tests::rig::Rig;

const WITHIN: Duration = Duration::from_secs(60);

struct Desk {
    rig: Rig,
    operations: Operations,
    audited: Audited,
}

/// A desk whose log is verified all the time.
fn audited(rig: Rig) -> Desk {
    let operations = operations::start(&rig.tree, rig.deposits.clone(), rig.keys()).unwrap();
    let store = rig.deposits.store().clone();
    let audited = start(&rig.tree, store, operations.clone(), Duration::from_millis(10)).unwrap();
    Desk { rig, operations, audited }
}

/// A log with three deposits of four events each, which was changed like this before it was opened again.
async fn desk(change: impl FnOnce(&Path)) -> Desk {
    let rig = Rig::new().await;
    for number in 9..=11 {
        rig.owe(number, "3").await;
    }
    audited(rig.between(change).await)
}

/// An event of the second deposit.
fn event_6_is_beamed(log: &Path) {
    damage(log, "UPDATE events SET kind = 'Beamed' WHERE position = 6");
}

fn damage(log: &Path, what: &str) {
    poison::damage(log, what);
}

impl Desk {
    fn log(&self) -> PathBuf {
        self.rig.folder().join("log.sqlite")
    }

    fn halts(&self) -> Vec<Vec<Damage>> {
        let halted = |event| match event {
            Event::Desk(millrace_model::desk::Event::Halted(halted)) => Some(halted.cause),
            _ => None,
        };
        let causes = self.rig.events(&StreamName::Desk).into_iter().filter_map(|recorded| halted(recorded.event));
        let damages = |cause| if let HaltCause::Damaged { damages } = cause { Some(damages) } else { None };
        causes.filter_map(damages).collect()
    }

    /// Waits for an audit that began after this call.
    async fn until_audited(&self) -> Verified {
        let mut audited = self.audited.clone();
        audited.mark_unchanged();
        let two = async {
            audited.changed().await.unwrap();
            audited.changed().await.unwrap();
        };
        tokio::time::timeout(WITHIN, two).await.expect("the log is verified");
        audited.borrow().unwrap()
    }

    async fn until(&self, wanted: impl Fn(&millrace_model::desk::Desk) -> bool) {
        let mut switches = self.operations.switches();
        let seen = switches.wait_for(|desk| wanted(desk));
        drop(tokio::time::timeout(WITHIN, seen).await.expect("the desk comes to that").unwrap());
    }

    async fn resume(&self) {
        self.operations.resume(Note::new("seen").unwrap(), By::Token).await.unwrap();
    }
}

/// O4: a changed digit halts the desk, which says where.
#[tokio::test]
async fn a_changed_digit_halts_the_desk_with_its_place() {
    let desk =
        desk(|log| damage(log, "UPDATE events SET payload = replace(payload, '3', '4') WHERE position = 8")).await;
    desk.until(|desk| desk.halt().is_some()).await;
    assert_eq!(desk.halts(), [[Damage::Changed { position: 8 }]]);
    let said = desk.rig.until_alarm(PART, "damaged").await;
    assert_eq!(said, "the log is damaged: position 8 is not what was stored there; compare it with a backup");
    let said = desk.rig.until_alarm(operations::PART, "halted").await;
    assert!(said.contains("position 8 is not what was stored there"), "{said}");
}

/// O4: an event that is gone halts it, in the middle and at the end, also while the desk runs.
#[tokio::test]
async fn a_missing_event_halts_the_desk_with_its_place() {
    let desk = desk(|log| damage(log, "DELETE FROM events WHERE position = 5")).await;
    desk.until(|desk| desk.halt().is_some()).await;
    assert_eq!(desk.halts(), [[Damage::Missing { position: 5 }]]);
    desk.resume().await;
    desk.until(|desk| desk.halt().is_none()).await;
    desk.rig.owe(12, "3").await;
    let end: Position = desk.rig.deposits.store().head();
    damage(&desk.log(), "DELETE FROM events WHERE position = (SELECT max(position) FROM events)");
    desk.until(|desk| desk.was_halted_for(&Damage::Missing { position: end })).await;
}

/// O4: an event that this version cannot read, and is what was stored, is no damage.
/// O7: nobody is halted for it.
#[tokio::test]
async fn an_event_that_nobody_can_read_and_is_what_was_stored_halts_nothing() {
    let desk = desk(|log| {
        event_6_is_beamed(log);
        mend_hashes(log);
    })
    .await;
    assert!(desk.rig.deposits.get(DepositId(Uuid::from_u128(10))).unwrap().is_none(), "it cannot be read");
    assert_eq!(desk.until_audited().await.head, 12);
    assert_eq!(desk.halts(), [[]; 0]);
    desk.rig.until_well(PART).await;
}

/// O4: damage that somebody resumed over is told for as long as it is there, and halts once.
#[tokio::test]
async fn who_resumes_over_damage_takes_the_log_as_it_is() {
    let desk = desk(|log| {
        event_6_is_beamed(log);
        damage(log, "UPDATE commands SET body = '[]' WHERE first_position = 9");
    })
    .await;
    // The command is one of four events, and what is found close by is told at once.
    desk.until(|desk| desk.halt().is_some()).await;
    let told = [6, 9, 10, 11, 12].map(|position| Damage::Changed { position });
    assert_eq!(desk.halts(), [told]);
    desk.resume().await;
    desk.until_audited().await;
    assert_eq!(desk.halts().len(), 1);
    let said = desk.rig.until_alarm(PART, "damaged").await;
    assert!(said.contains("position 6 is not what was stored there (4 more like this)"), "{said}");
}

/// O4: a halt for something else hides no damage.
#[tokio::test]
async fn damage_found_while_the_desk_is_halted_halts_it_when_it_is_resumed() {
    let rig = Rig::new().await;
    rig.owe(9, "3").await;
    let desk = audited(rig);
    desk.operations.halt(HaltCause::Operator { note: "look".to_owned() }).await.unwrap();
    set_kind(&desk.log(), &StreamName::Deposit(desk.rig.owe(10, "3").await), 2, "Beamed");
    desk.rig.until_alarm(PART, "damaged").await;
    assert_eq!(desk.halts(), [[]; 0]);
    desk.resume().await;
    desk.until(|desk| matches!(desk.halt(), Some(HaltCause::Damaged { .. }))).await;
    assert_eq!(desk.halts(), [[Damage::Changed { position: 7 }]]);
}

/// O4: a stop does not wait for an audit.
#[tokio::test]
async fn an_audit_is_no_reason_to_stop_late() {
    let desk = desk(|log| damage(log, "UPDATE events SET kind = 'Beamed' WHERE position = 1")).await;
    // The desk is halted, so that the damage of the next audit waits to be told.
    desk.until(|desk| desk.halt().is_some()).await;
    damage(&desk.log(), "UPDATE events SET kind = 'Beamed' WHERE position = 2");
    let begun = Instant::now();
    desk.rig.tree.shutdown(WITHIN).await;
    assert!(begun.elapsed() < WITHIN / 2, "{:?}", begun.elapsed());
}
