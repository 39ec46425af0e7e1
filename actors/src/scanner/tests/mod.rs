//! The scanner and the binder with the real store, against a node in memory whose chain the test moves.

mod addresses;
mod aside;
mod node;
mod told;

use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::{Address, Transaction};
use chrono::DateTime;
use millrace_model::deposit::{DecisionTerms, HoldReason, Method, Outcome, PayoutTerms, Stage, StageName, Terms};
use millrace_model::ids::{Category, CommandId};
use millrace_model::money::Amount;
use millrace_protocols::receive::{AccountKey, parse_address};
use tempfile::TempDir;

use super::*;
use crate::binder::{self, Bind, BindRequest};
use crate::clock::ManualClock;
use crate::door::Door;
use crate::event_store::{Execution, Settings as StoreSettings, Store};
use crate::head_file::HeadFile;
use crate::supervision::Registry;
use node::{FakeNode, payment};

const SOON: Duration = Duration::from_secs(3_600);
const ACCOUNT: &str =
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
const CONFIRMATIONS: u64 = 2;

#[derive(Default)]
struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn deposit_id(&self) -> DepositId {
        DepositId(uuid::Uuid::from_u128(1 + u128::from(self.0.fetch_add(1, Ordering::Relaxed))))
    }
}

/// A desk that only receives.
struct Desk {
    dir: TempDir,
    ids: Arc<CountingIds>,
    node: Arc<FakeNode>,
    running: Running,
}

struct Running {
    tree: Tree,
    store: Store,
    deposits: Deposits,
    door: Door<BindRequest>,
    tip: watch::Receiver<Option<u64>>,
}

fn key() -> AccountKey {
    AccountKey::parse(ACCOUNT, Network::Bitcoin).unwrap()
}

fn run(dir: &TempDir, ids: &Arc<CountingIds>, node: &Arc<FakeNode>, began: DateTime<Utc>) -> Running {
    run_with(dir, ids, node, began, key())
}

fn run_with(
    dir: &TempDir,
    ids: &Arc<CountingIds>,
    node: &Arc<FakeNode>,
    began: DateTime<Utc>,
    key: AccountKey,
) -> Running {
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let tree = Tree::new(Registry::new(clock.clone()), 7);
    let path = dir.path().join("log.db");
    let store = Store::start(&tree, StoreSettings { path, execution: Execution::Inline, clock }).unwrap();
    let deposits = Deposits::new(store.clone());
    let source = Arc::new(AddressSource::account(key));
    let switches = tokio::sync::watch::Sender::new(millrace_model::desk::Desk::default()).subscribe();
    let binding = binder::Settings {
        source: Arc::clone(&source),
        addresses_max_per_target: 5,
        low_pool: 0,
        switches,
        head_file: HeadFile::unkept(),
    };
    let door = binder::start(&tree, binding, store.clone()).unwrap();
    let settings = Settings {
        network: Network::Bitcoin,
        start: Start::Tip,
        poll: Duration::from_secs(1),
        confirmations: CONFIRMATIONS,
        source,
        mempool: Mempool::Watched,
        began,
    };
    let tip = start(
        &tree,
        settings,
        Arc::clone(node) as Arc<dyn BitcoinNode>,
        Arc::clone(ids) as Arc<dyn Ids>,
        deposits.clone(),
    )
    .unwrap();
    Running { tree, store, deposits, door, tip }
}

impl Desk {
    async fn open() -> Self {
        let (dir, ids, node) = (TempDir::new().unwrap(), Arc::default(), Arc::new(FakeNode::new()));
        let running = run(&dir, &ids, &node, DateTime::UNIX_EPOCH);
        let mut desk = Self { dir, ids, node, running };
        desk.read_all().await;
        desk
    }

    async fn restart(&mut self) {
        self.restart_at(0).await;
    }

    /// The same, at a time told as the height of the last block that is older.
    async fn restart_at(&mut self, height: u32) {
        self.running.tree.shutdown(SOON).await;
        let began = DateTime::from_timestamp(height.into(), 0).unwrap();
        self.running = run(&self.dir, &self.ids, &self.node, began);
        self.running.store.ready().await;
    }

    async fn bind(&self, target: &str) -> Address {
        let command_id = CommandId::of_fact(&["test", target]);
        let bind = Bind { target: target.to_owned(), method: Method::Direct, command_id };
        let bound = self.running.door.call(|reply| BindRequest { bind, reply }, SOON).await.unwrap().unwrap();
        parse_address(&bound.address, Network::Bitcoin).unwrap()
    }

    /// Waits until the node's tip was read.
    async fn read_all(&mut self) {
        let height = self.node.height();
        let reached = self.running.tip.wait_for(|tip| *tip == Some(height));
        tokio::time::timeout(SOON, reached).await.unwrap().unwrap();
        self.rounds(1).await;
    }

    /// Lets the scanner finish this many whole rounds.
    async fn rounds(&self, rounds: u64) {
        let mut listed = self.node.rounds.subscribe();
        let until = *listed.borrow() + rounds + 1;
        tokio::time::timeout(SOON, listed.wait_for(|now| *now >= until)).await.unwrap().unwrap();
    }

    /// Waits until the log makes this true.
    async fn until(&self, what: impl Fn(&Self) -> bool) {
        let mut bell = self.running.store.bell();
        tokio::time::timeout(SOON, async {
            while !what(self) {
                bell.changed().await.unwrap();
            }
        })
        .await
        .expect("it happens");
    }

    async fn mine(&mut self) {
        self.node.mine();
        self.read_all().await;
    }

    fn ids(&self) -> Vec<DepositId> {
        let (_, names) = self.running.store.reader().unwrap().stream_names(Category::Deposit).unwrap();
        names.iter().filter_map(deposit_of).collect()
    }

    fn id_of(&self, transaction: &Transaction) -> DepositId {
        let key = format!("btc:{}:0", transaction.compute_txid());
        deposit_of(&self.running.store.reader().unwrap().stream_of_key(&key).unwrap().unwrap()).unwrap()
    }

    fn stage(&self, id: DepositId) -> Stage {
        self.running.deposits.get(id).unwrap().unwrap().deposit.stage.clone()
    }

    /// The kinds of a deposit's events.
    fn story(&self, id: DepositId) -> Vec<String> {
        let events = self.running.store.reader().unwrap().stream(&StreamName::Deposit(id), 0).unwrap();
        events.iter().map(|recorded| recorded.event.kind().to_owned()).collect()
    }

    fn trouble(&self) -> Option<String> {
        let part = self.running.tree.health().part(PART).unwrap();
        part.conditions.first().map(|condition| condition.text.clone())
    }

    async fn decide(&self, id: DepositId) {
        let terms = DecisionTerms {
            terms: Terms::Direct { rate: "500".parse().unwrap() },
            minimum: "0.00001".parse().unwrap(),
            maximum: "10".parse().unwrap(),
            payout: PayoutTerms { decimals: 3, maximum: Amount::MAX },
        };
        self.running.deposits.execute(id, &Command::Decide(terms)).await.unwrap();
    }
}

/// D1: seen in every round, mined and buried, it is one deposit with one receipt.
#[tokio::test(start_paused = true)]
async fn a_deposit_is_seen_in_the_mempool_then_mined_then_received_each_once() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 150_000_000);
    desk.node.set_mempool(vec![paid.clone()]);
    desk.until(|desk| desk.ids().len() == 1).await;
    let id = desk.id_of(&paid);
    assert_eq!(desk.story(id), ["Detected"]);
    desk.mine().await;
    assert_eq!(desk.story(id), ["Detected", "Mined"]);
    desk.mine().await;
    desk.mine().await;
    assert_eq!(desk.story(id), ["Detected", "Mined", "Matured", "StatusWaitDecide"]);
    let deposit = desk.running.deposits.get(id).unwrap().unwrap().deposit.clone();
    assert_eq!(deposit.receipt.amount, "1.5".parse().unwrap());
    assert_eq!(deposit.receipt.customer.map(|customer| customer.target), Some("alice".to_owned()));
    assert_eq!(desk.ids().len(), 1);
}

/// D10: two outputs of one transaction are two deposits.
#[tokio::test(start_paused = true)]
async fn every_output_that_pays_us_is_a_deposit_of_its_own() {
    let mut desk = Desk::open().await;
    let (alice, bob) = (desk.bind("alice").await, desk.bind("bob").await);
    let mut both = payment(1, &alice, 7_000);
    both.output.extend(payment(1, &bob, 8_000).output);
    both.output.extend(payment(1, &alice, 0).output);
    desk.node.mine_with(vec![both]);
    desk.read_all().await;
    desk.mine().await;
    let ids = desk.ids();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| desk.stage(*id) == Stage::WaitDecide));
}

/// D1: a restart reports nothing again.
#[tokio::test(start_paused = true)]
async fn a_restart_reads_no_block_again_and_changes_nothing() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.read_all().await;
    let (head, read) = (desk.running.store.head(), desk.node.blocks_read());
    desk.restart().await;
    desk.rounds(3).await;
    assert_eq!((desk.running.store.head(), desk.node.blocks_read()), (head, read));
    desk.mine().await;
    assert_eq!(desk.stage(desk.id_of(&paid)), Stage::WaitDecide);
}

#[tokio::test(start_paused = true)]
async fn what_was_mined_while_the_desk_was_away_is_found() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.running.tree.stop(PART).await.unwrap();
    desk.node.mine_with(vec![paid.clone()]);
    (0..5).for_each(|_| desk.node.mine());
    desk.restart().await;
    desk.read_all().await;
    assert_eq!(desk.story(desk.id_of(&paid)), ["Detected", "Mined", "Matured", "StatusWaitDecide"]);
}

/// D1: the same output in the same block again is the same deposit.
#[tokio::test(start_paused = true)]
async fn a_block_that_leaves_the_chain_and_comes_back_is_the_same_deposit() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.read_all().await;
    let id = desk.id_of(&paid);
    let abandoned = desk.node.abandon(1);
    desk.node.set_mempool(vec![paid.clone()]);
    desk.node.mine_with(vec![]);
    desk.node.mine_with(vec![]);
    desk.read_all().await;
    assert_eq!(desk.story(id), ["Detected", "Mined", "Orphaned"]);
    desk.node.abandon(2);
    desk.node.adopt(abandoned);
    desk.node.set_mempool(vec![]);
    (0..2).for_each(|_| desk.node.mine());
    desk.read_all().await;
    assert_eq!(desk.story(id), ["Detected", "Mined", "Orphaned", "Mined", "Matured", "StatusWaitDecide"]);
    assert_eq!(desk.ids(), [id]);
}

/// D2: its depth counts from its new block.
#[tokio::test(start_paused = true)]
async fn a_deposit_orphaned_before_it_is_deep_enough_matures_in_its_new_block_only() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.read_all().await;
    let id = desk.id_of(&paid);
    desk.node.abandon(1);
    desk.node.mine_with(vec![]);
    desk.node.mine_with(vec![paid]);
    desk.read_all().await;
    assert_eq!(desk.story(id), ["Detected", "Mined", "Orphaned", "Mined"]);
    desk.mine().await;
    assert_eq!(desk.stage(id), Stage::WaitDecide);
}

/// D3: coins that something was decided for are held when they come in another transaction.
#[tokio::test(start_paused = true)]
async fn coins_of_a_decided_and_orphaned_deposit_are_held_when_they_come_again() {
    let mut desk = Desk::open().await;
    let (alice, bob) = (desk.bind("alice").await, desk.bind("bob").await);
    let first = payment(1, &alice, 7_000);
    desk.node.mine_with(vec![first.clone()]);
    desk.mine().await;
    let earlier = desk.id_of(&first);
    desk.decide(earlier).await;
    let second = payment(1, &bob, 6_000);
    desk.node.abandon(2);
    desk.node.mine_with(vec![second.clone()]);
    (0..3).for_each(|_| desk.node.mine());
    desk.read_all().await;
    let held = |reason, interrupted| Stage::Held { reason, interrupted: Box::new(interrupted) };
    desk.until(|desk| desk.stage(earlier) == Stage::Done(Outcome::Vanished)).await;
    assert_eq!(desk.stage(desk.id_of(&second)), held(HoldReason::CoinsSeenBefore { earlier }, Stage::WaitDecide));
    // Remembered in the log, not in memory: so also after a restart.
    desk.restart().await;
    let third = payment(1, &bob, 5_000);
    desk.node.mine_with(vec![third.clone()]);
    desk.read_all().await;
    desk.mine().await;
    assert_eq!(desk.stage(desk.id_of(&third)).name(), StageName::Held);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_undone_by_a_reorganisation_goes_on_when_it_is_deep_enough_again() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.mine().await;
    let id = desk.id_of(&paid);
    assert_eq!(desk.stage(id), Stage::WaitDecide);
    desk.node.abandon(2);
    (0..3).for_each(|_| desk.node.mine());
    desk.node.mine_with(vec![paid]);
    desk.read_all().await;
    assert_eq!(desk.stage(id).name(), StageName::Held, "one block deep is not enough");
    // What it waits for is in the log.
    desk.restart().await;
    desk.mine().await;
    assert_eq!(desk.stage(id), Stage::WaitDecide);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_undone_there_and_back_goes_on_without_a_restart() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.mine().await;
    let id = desk.id_of(&paid);
    assert_eq!(desk.stage(id), Stage::WaitDecide);
    let abandoned = desk.node.abandon(2);
    (0..3).for_each(|_| desk.node.mine());
    desk.read_all().await;
    assert_eq!(desk.stage(id).name(), StageName::Held);
    desk.node.abandon(3);
    desk.node.adopt(abandoned);
    (0..2).for_each(|_| desk.node.mine());
    desk.read_all().await;
    assert_eq!(desk.stage(id), Stage::WaitDecide);
    assert_eq!(desk.running.tree.health().part(PART).unwrap().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_undone_while_an_operator_holds_it_waits_for_its_full_depth_again() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    desk.mine().await;
    let id = desk.id_of(&paid);
    let reason = HoldReason::Operator { note: "look".to_owned() };
    let release = Command::Release { note: "go".to_owned() };
    desk.running.deposits.execute(id, &Command::Hold { reason }).await.unwrap();
    desk.node.abandon(2);
    (0..3).for_each(|_| desk.node.mine());
    desk.node.mine_with(vec![paid]);
    desk.read_all().await;
    assert!(desk.running.deposits.execute(id, &release).await.is_err(), "one block deep is not enough");
    desk.restart().await;
    desk.mine().await;
    desk.running.deposits.execute(id, &release).await.unwrap();
    assert_eq!(desk.stage(id), Stage::WaitDecide);
}

/// P10: a node that was restored with the log ends no search for what was forgotten.
#[tokio::test(start_paused = true)]
async fn a_node_that_has_yet_to_catch_up_does_not_end_the_past() {
    let mut desk = Desk::open().await;
    let alice = desk.bind("alice").await;
    // Log and node are from before these blocks, of which the desk has forgotten what it did about them.
    desk.restart_at(5).await;
    desk.rounds(3).await;
    let (old, new) = (payment(1, &alice, 7_000), payment(2, &alice, 8_000));
    desk.node.mine_with(vec![old.clone()]);
    desk.read_all().await;
    let may_know = |desk: &Desk, paid: &Transaction| {
        let tracked = desk.running.deposits.get(desk.id_of(paid)).unwrap().unwrap();
        desk.running.deposits.past().may_know(&tracked.deposit)
    };
    assert!(may_know(&desk, &old) && !desk.running.deposits.past().is_known());
    (0..2).for_each(|_| desk.node.mine());
    desk.node.mine_with(vec![new.clone()]);
    desk.read_all().await;
    assert!(desk.running.deposits.past().is_known());
    assert!(may_know(&desk, &old) && !may_know(&desk, &new));
}

#[tokio::test(start_paused = true)]
async fn a_deep_reorganisation_finds_its_deposits_in_the_log() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.mine_with(vec![paid.clone()]);
    (0..300).for_each(|_| desk.node.mine());
    desk.read_all().await;
    desk.restart().await;
    let id = desk.id_of(&paid);
    desk.node.abandon(301);
    (0..302).for_each(|_| desk.node.mine());
    desk.read_all().await;
    assert!(desk.story(id).iter().any(|kind| kind == "Orphaned"));
    assert_eq!(desk.stage(id).name(), StageName::Held);
}

/// D4: the replacement is a deposit of its own, and the replaced one names it.
#[tokio::test(start_paused = true)]
async fn a_replaced_transaction_is_gone_and_names_its_replacement() {
    let desk = Desk::open().await;
    let alice = desk.bind("alice").await;
    let (first, second) = (payment(1, &alice, 7_000), payment(1, &alice, 6_000));
    desk.node.set_mempool(vec![first.clone()]);
    desk.until(|desk| desk.ids().len() == 1).await;
    desk.node.set_mempool(vec![second.clone()]);
    let replaced = desk.id_of(&first);
    desk.until(|desk| desk.stage(replaced) == Stage::Done(Outcome::Vanished)).await;
    let events = desk.running.store.reader().unwrap().stream(&StreamName::Deposit(replaced), 1).unwrap();
    let Event::Deposit(deposit::Event::Vanished(vanished)) = &events[0].event else { panic!("{events:?}") };
    assert_eq!(vanished.replaced_by.map(|txid| txid.to_string()), Some(second.compute_txid().to_string()));
    assert_eq!(desk.story(desk.id_of(&second)), ["Detected"]);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_transaction_that_is_mined_after_all_is_received() {
    let mut desk = Desk::open().await;
    let paid = payment(1, &desk.bind("alice").await, 7_000);
    desk.node.set_mempool(vec![paid.clone()]);
    desk.until(|desk| desk.ids().len() == 1).await;
    let id = desk.id_of(&paid);
    desk.node.set_mempool(vec![]);
    desk.until(|desk| desk.stage(id) == Stage::Done(Outcome::Vanished)).await;
    desk.node.mine_with(vec![paid]);
    desk.read_all().await;
    desk.mine().await;
    assert_eq!(desk.story(id), ["Detected", "Vanished", "Mined", "Matured", "StatusWaitDecide"]);
}

/// D9: addresses ahead of the last one given out are watched.
#[tokio::test(start_paused = true)]
async fn a_deposit_to_an_address_that_nobody_was_given_is_quarantined() {
    let mut desk = Desk::open().await;
    desk.bind("alice").await;
    let paid = payment(1, &key().address(700).unwrap(), 7_000);
    let elsewhere = payment(2, &key().address(5_000).unwrap(), 7_000);
    desk.node.mine_with(vec![paid.clone(), elsewhere]);
    desk.read_all().await;
    desk.mine().await;
    assert_eq!(desk.stage(desk.id_of(&paid)), Stage::Quarantined);
    assert_eq!(desk.ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_away_is_shown_and_then_followed_again() {
    let mut desk = Desk::open().await;
    desk.node.set_down(true);
    desk.node.mine();
    desk.rounds(2).await;
    assert_eq!(desk.trouble(), Some("unreachable: connection refused".to_owned()));
    desk.node.set_down(false);
    desk.read_all().await;
    assert_eq!(desk.trouble(), None);
    assert_eq!(desk.running.tree.health().part(PART).unwrap().restarts, 0);
}
