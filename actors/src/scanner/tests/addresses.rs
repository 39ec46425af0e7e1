//! Old addresses, other keys and other nodes.

use bitcoin::NetworkKind;
use bitcoin::bip32::{DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;

use millrace_model::desk::{HaltCause, Halted};
use millrace_model::head::{Departure, Restored};
use millrace_model::ids::Hash32;

use super::*;
use crate::event_store::{Append, Expected, Write};

/// An account key that is not [`ACCOUNT`].
fn other_account() -> String {
    let curve = Secp256k1::new();
    let master = Xpriv::new_master(NetworkKind::Main, &[42; 32]).unwrap();
    let account = master.derive_priv(&curve, &"m/84h/0h/0h".parse::<DerivationPath>().unwrap()).unwrap();
    Xpub::from_priv(&curve, &account).to_string()
}

impl Desk {
    /// Ends the process and starts the next one on another node or with another account.
    async fn restart_with(&mut self, node: Arc<FakeNode>, account: &str) {
        self.running.tree.shutdown(SOON).await;
        self.node = node;
        let key = AccountKey::parse(account, Network::Bitcoin).unwrap();
        self.running = run_with(&self.dir, &self.ids, &self.node, DateTime::UNIX_EPOCH, key);
        self.running.store.ready().await;
        self.read_all().await;
    }
}

/// D8: fifty blocks and a restart later, a second deposit of the same customer.
#[tokio::test(start_paused = true)]
async fn a_payment_to_an_old_address_is_a_deposit_of_its_own() {
    let mut desk = Desk::open().await;
    let alice = desk.bind("alice").await;
    let (first, second) = (payment(1, &alice, 7_000), payment(2, &alice, 8_000));
    desk.node.mine_with(vec![first.clone()]);
    desk.read_all().await;
    desk.mine().await;
    (0..50).for_each(|_| desk.node.mine());
    desk.restart().await;
    desk.node.mine_with(vec![second.clone()]);
    desk.read_all().await;
    desk.mine().await;
    assert_eq!(desk.ids().len(), 2);
    for (paid, amount) in [(&first, "0.00007"), (&second, "0.00008")] {
        let deposit = desk.running.deposits.get(desk.id_of(paid)).unwrap().unwrap().deposit.clone();
        assert_eq!((deposit.stage, deposit.receipt.amount), (Stage::WaitDecide, amount.parse().unwrap()));
        assert_eq!(deposit.receipt.customer.map(|customer| customer.target), Some("alice".to_owned()));
    }
}

/// D9: with another key, the addresses of the old one are watched and belong to whom they did.
#[tokio::test(start_paused = true)]
async fn an_address_of_an_earlier_key_is_still_its_customers() {
    let mut desk = Desk::open().await;
    let alice = desk.bind("alice").await;
    desk.restart_with(Arc::clone(&desk.node), &other_account()).await;
    assert_ne!(desk.bind("bob").await, alice);
    let paid = payment(1, &alice, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.read_all().await;
    desk.mine().await;
    let deposit = desk.running.deposits.get(desk.id_of(&paid)).unwrap().unwrap().deposit.clone();
    assert_eq!(deposit.stage, Stage::WaitDecide);
    assert_eq!(deposit.receipt.customer.map(|customer| customer.target), Some("alice".to_owned()));
}

/// D9: also when the desk has been started anew, and other addresses were given out beyond it.
#[tokio::test(start_paused = true)]
async fn an_address_whose_customer_a_restored_log_has_forgotten_is_watched_for_ever() {
    let mut desk = Desk::open().await;
    desk.bind("alice").await;
    let restored = Restored {
        departure: Departure::Shorter,
        known: 900,
        known_hash: Hash32([9; 32]),
        found: 2,
        lost_from: 1,
        lost_to: 40,
    };
    let halted = Event::Desk(Halted { cause: HaltCause::Restored(restored) }.into());
    let append = Append {
        command_id: CommandId::of_fact(&["restored"]),
        command: "HaltRestored",
        body: String::new(),
        causation: None,
        correlation: None,
        writes: vec![Write::new(StreamName::Desk, Expected::Exactly(0), vec![halted])],
    };
    desk.running.store.append(append).await.unwrap();
    desk.restart().await;
    desk.read_all().await;
    let bobs = desk.bind("bob").await;
    assert_eq!(bobs, key().address(40).unwrap());
    desk.restart().await;
    desk.read_all().await;
    let paid = payment(1, &key().address(7).unwrap(), 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.read_all().await;
    desk.mine().await;
    assert_eq!(desk.stage(desk.id_of(&paid)), Stage::Quarantined);
}

/// D1: another node, with another chain, reports the same deposit.
#[tokio::test(start_paused = true)]
async fn another_node_reports_the_same_deposit() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.set_mempool(vec![paid.clone()]);
    desk.until(|desk| desk.ids().len() == 1).await;
    desk.node.mine();
    desk.read_all().await;
    let id = desk.id_of(&paid);
    // The other node has the same first blocks and the payment in a later one.
    let other = FakeNode::new();
    other.mine_with(vec![]);
    other.mine_with(vec![paid]);
    desk.restart_with(Arc::new(other), ACCOUNT).await;
    desk.mine().await;
    assert_eq!(desk.ids(), [id]);
    assert_eq!(desk.story(id), ["Detected", "Mined", "Orphaned", "Mined", "Matured", "StatusWaitDecide"]);
}
