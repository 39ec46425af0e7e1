//! A desk of store, deposits and sender on a file of its own, over a node in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use millrace_model::deposit::*;
use millrace_model::desk::{Setting, Switch, SwitchSet};
use millrace_model::event::{Event as Stored, Recorded};
use millrace_model::ids::{CommandId, DepositId, Hash32, Outpoint, StreamName};
use millrace_model::money::Amount;
use millrace_model::outflow::Limits;
use tempfile::TempDir;
use uuid::Uuid;

use super::node::{FakeNode, address};
use crate::clock::ManualClock;
use crate::customer_keys::{self, CustomerKeys};
use crate::deposits::{Deposits, Tracked, key_of};
use crate::event_store::{self, Append, Execution, Expected, Store, Write};
use crate::sender::{self, Settings};
use crate::stock::Stock;
use crate::supervision::{PartHealth, Registry, Tree};

/// How long a test waits at most; mostly of a time that stands still until everybody waits.
const WITHIN: Duration = Duration::from_secs(300);

pub(crate) struct Rig {
    dir: TempDir,
    execution: Execution,
    pub(crate) node: Arc<FakeNode>,
    pub(crate) allowed: Arc<AtomicBool>,
    pub(crate) confirmations: u64,
    pub(crate) stock: Stock,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tree: Tree,
    pub(crate) deposits: Deposits,
}

fn open(dir: &TempDir, execution: Execution, clock: Arc<ManualClock>) -> (Tree, Deposits) {
    let tree = Tree::new(Registry::new(clock.clone()), 7);
    let settings = event_store::Settings { path: dir.path().join("log.sqlite"), execution, clock };
    let store = Store::start(&tree, settings).unwrap();
    (tree, Deposits::new(store))
}

impl Rig {
    pub(crate) fn keys(&self) -> CustomerKeys {
        CustomerKeys::at(self.dir.path().join(customer_keys::FILE))
    }

    /// A desk whose sender has not begun.
    pub(crate) async fn new() -> Self {
        Self::on(Execution::Inline).await
    }

    pub(crate) async fn on(execution: Execution) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let (tree, deposits) = open(&dir, execution, Arc::clone(&clock));
        deposits.store().ready().await;
        let allowed = Arc::new(AtomicBool::new(true));
        Self {
            dir,
            execution,
            node: Arc::default(),
            allowed,
            confirmations: 1,
            stock: Stock::unwatched(),
            limits: Limits::default(),
            clock,
            tree,
            deposits,
        }
    }

    pub(crate) fn send(&self) {
        let allowed = Arc::clone(&self.allowed);
        let settings = Settings {
            wallet_id: "hot.wlt".to_owned(),
            password: None,
            confirmations: self.confirmations,
            poll: Duration::from_millis(10),
            resend_after: Duration::from_secs(1),
            outer: Arc::new(move |_| (!allowed.load(Ordering::SeqCst)).then_some("the test forbids it")),
            stock: self.stock.clone(),
            limits: self.limits,
            clock: self.clock.clone(),
            // What the tests let happen to the time is meant for the log.
            execution: Execution::Inline,
        };
        sender::start(&self.tree, self.deposits.clone(), self.node.clone(), settings).unwrap();
    }

    /// Ends the process, as far as anybody inside can tell, and starts the next one.
    pub(crate) async fn restart(self) -> Self {
        self.tree.shutdown(Duration::from_secs(5)).await;
        let (tree, deposits) = open(&self.dir, self.execution, Arc::clone(&self.clock));
        deposits.store().ready().await;
        Self { tree, deposits, ..self }
    }

    /// The same, and something is done to the log in between.
    pub(crate) async fn between(self, change: impl FnOnce(&Path)) -> Self {
        self.tree.shutdown(Duration::from_secs(5)).await;
        change(&self.dir.path().join("log.sqlite"));
        self.restart().await
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Ends the process, and its log with it. The next one begins with an empty log; the node is as it was.
    pub(crate) async fn lose_log(self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, ..self }.restart().await
    }

    /// Ends the process; the next one begins with a copy of a log. The node is as it was.
    pub(crate) async fn restore(self, copy: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(copy, dir.path().join("log.sqlite")).unwrap();
        Self { dir, ..self }.restart().await
    }

    /// A deposit that is owed this much, to the key of its number.
    pub(crate) async fn owe(&self, number: u8, coins: &str) -> DepositId {
        self.owe_to(number, number, coins).await
    }

    /// A deposit that is owed this much, to the key of another number.
    pub(crate) async fn owe_to(&self, to: u8, number: u8, coins: &str) -> DepositId {
        let rate = "1".parse().unwrap();
        let owed = StatusWaitSend {
            basis: PayoutBasis::Direct { rate },
            amount: coins.parse().unwrap(),
            rounding: Amount::ZERO,
        };
        self.received_for(to, number, vec![owed.into()]).await
    }

    /// A deposit for the key of this number, received, and what happened since.
    pub(crate) async fn received(&self, number: u8, since: Vec<Event>) -> DepositId {
        self.received_for(number, number, since).await
    }

    async fn received_for(&self, to: u8, number: u8, since: Vec<Event>) -> DepositId {
        let id = DepositId(Uuid::from_u128(u128::from(number)));
        let customer = Customer { target: address(to).to_string(), bound_method: Method::Direct };
        let outpoint = Outpoint { txid: Hash32([number; 32]), index: 0 };
        let detected = Detected {
            id,
            outpoint,
            address: "bcrt1qdeposit".into(),
            amount: "1".parse().unwrap(),
            customer: Some(customer),
            spends: vec![],
            coinbase: false,
        };
        let mined = Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } };
        let mut events: Vec<Event> = vec![detected.into(), mined.into(), StatusWaitDecide {}.into()];
        events.extend(since);
        let events = events.into_iter().map(Stored::Deposit).collect();
        let write = Write::new(StreamName::Deposit(id), Expected::Exactly(0), events);
        self.append("Receive", Write { key: Some(key_of(outpoint)), ..write }).await;
        id
    }

    pub(crate) async fn switch_sends(&self, setting: Setting) {
        let version = self.events(&StreamName::Desk).len() as u64;
        let set = SwitchSet { switch: Switch::Sends, setting, note: String::new() };
        let events = vec![Stored::Desk(set.into())];
        self.append("Switch", Write::new(StreamName::Desk, Expected::Exactly(version), events)).await;
    }

    async fn append(&self, command: &'static str, write: Write) {
        let Expected::Exactly(version) = write.expected else { panic!("the test owns nothing") };
        let append = Append {
            command_id: CommandId::of_fact(&[&write.stream.to_string(), &version.to_string()]),
            command,
            body: "{}".into(),
            causation: None,
            correlation: None,
            writes: vec![write],
        };
        self.deposits.store().append(append).await.unwrap();
    }

    pub(crate) fn events(&self, stream: &StreamName) -> Vec<Recorded> {
        self.deposits.store().reader().unwrap().stream(stream, 0).unwrap()
    }

    /// How often something of this kind happened to a deposit.
    pub(crate) fn count(&self, id: DepositId, kind: &str) -> usize {
        self.events(&StreamName::Deposit(id)).iter().filter(|recorded| recorded.event.kind() == kind).count()
    }

    /// Waits until the deposit is as wanted.
    pub(crate) async fn until(&self, id: DepositId, wanted: impl Fn(&Deposit) -> bool) -> Arc<Tracked> {
        let mut bell = self.deposits.store().bell();
        let found = async {
            loop {
                bell.mark_unchanged();
                if let Some(tracked) = self.deposits.get(id).unwrap().filter(|tracked| wanted(&tracked.deposit)) {
                    return tracked;
                }
                bell.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(WITHIN, found).await;
        found.unwrap_or_else(|_| panic!("it stays {:?}", self.deposits.get(id).unwrap().unwrap().deposit))
    }

    pub(crate) async fn until_paid(&self, id: DepositId) {
        self.until(id, |deposit| deposit.stage == Stage::Done(Outcome::Paid)).await;
    }

    /// Waits until the part lives with something of this kind, and says what.
    pub(crate) async fn until_alarm(&self, part: &str, kind: &str) -> String {
        let text = |parts: &[PartHealth]| {
            let part = parts.iter().find(|health| health.name == part)?;
            part.conditions.iter().find(|condition| condition.kind == kind).map(|condition| condition.text.clone())
        };
        let mut health = self.tree.health().subscribe();
        let raised = health.wait_for(|parts| text(parts).is_some());
        let parts = tokio::time::timeout(WITHIN, raised).await.expect("there is such an alarm").unwrap();
        text(&parts).unwrap()
    }

    /// Waits until nothing is wrong with the part.
    pub(crate) async fn until_well(&self, part: &str) {
        let mut health = self.tree.health().subscribe();
        let well = health.wait_for(|parts| parts.iter().any(|health| health.name == part && health.is_well()));
        let outcome = tokio::time::timeout(WITHIN, well).await.map(|parts| parts.is_ok());
        assert!(outcome.unwrap_or(false), "{:?}", self.tree.health().part(part));
    }

    /// Lets everybody else work until the node is as wanted.
    pub(crate) async fn until_node(&self, wanted: impl Fn(&FakeNode) -> bool) {
        let found = async {
            while !wanted(&self.node) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(WITHIN, found).await.expect("the node comes to that");
    }
}
