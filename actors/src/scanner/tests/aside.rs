//! What the chain shows of a deposit that cannot be read waits for it.

use millrace_model::chain::Seen;

use super::*;
use crate::event_store::poison::set_kind;

impl Desk {
    /// Gives a stored event another kind while nobody looks.
    async fn rename(&mut self, stream: &StreamName, version: Version, kind: &str) {
        self.running.tree.shutdown(SOON).await;
        set_kind(&self.dir.path().join("log.db"), stream, version, kind);
        self.restart().await;
        self.rounds(1).await;
    }

    fn set_aside(&self, id: DepositId) -> Vec<Seen> {
        let chain = load_chain(&self.running.store.reader().unwrap()).unwrap();
        chain.set_aside().get(&id).cloned().unwrap_or_default()
    }
}

/// O7: what happens to a deposit while it is set aside is not lost.
#[tokio::test(start_paused = true)]
async fn a_deposit_that_is_mined_while_it_cannot_be_read_is_received_once_it_can() {
    let mut desk = Desk::open().await;
    let poisoned = payment(1, &desk.bind("alice").await, 150_000_000);
    let neighbour = payment(2, &desk.bind("bob").await, 150_000_000);
    desk.node.set_mempool(vec![poisoned.clone(), neighbour.clone()]);
    desk.until(|desk| desk.ids().len() == 2).await;
    let (alice, bob) = (desk.id_of(&poisoned), desk.id_of(&neighbour));
    let stream = StreamName::Deposit(alice);
    desk.rename(&stream, 1, "Beamed").await;

    desk.mine().await;
    desk.node.abandon(1);
    desk.node.set_mempool(vec![poisoned, neighbour]);
    desk.node.mine_with(vec![]);
    desk.mine().await;
    for _ in 0..CONFIRMATIONS {
        desk.mine().await;
    }
    let received = ["Detected", "Mined", "Orphaned", "Mined", "Matured", "StatusWaitDecide"];
    assert_eq!(desk.story(bob), received);
    assert_eq!((desk.story(alice), desk.trouble()), (vec!["Beamed".to_owned()], None));
    assert!(matches!(*desk.set_aside(alice), [Seen::Mined { .. }, Seen::Orphaned { .. }, Seen::Mined { .. }]));

    desk.rename(&stream, 1, "Detected").await;
    desk.until(|desk| desk.story(alice).len() == received.len()).await;
    assert_eq!(desk.story(alice), received);
    assert_eq!(desk.set_aside(alice), []);
    assert_eq!(desk.ids().len(), 2, "nothing was detected twice");
}
