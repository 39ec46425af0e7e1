//! The head file with a real log and the real binder: copies of the log, crashes, disks that refuse, files that are not ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bitcoin::Network;
use chrono::DateTime;
use millrace_model::deposit::Method;
use millrace_model::desk::{Desk as Stood, HaltCause, Switch};
use millrace_model::head::{Departure, Restored};
use millrace_model::ids::CommandId;
use millrace_model::operator::By;
use millrace_protocols::receive::AccountKey;
use tempfile::TempDir;

use super::*;
use crate::binder::{self, AddressSource, Bind, BindError, BindRequest, Bound};
use crate::brakes;
use crate::clock::ManualClock;
use crate::customer_keys::CustomerKeys;
use crate::deposits::Deposits;
use crate::door::Door;
use crate::event_store::Settings as StoreSettings;
use crate::operations::{self, Note, Operations};
use crate::supervision::Registry;

const SOON: Duration = Duration::from_secs(60);
const ACCOUNT: &str =
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";

/// A desk that gives out addresses, on the log in the folder `data`, with its head file beside that.
pub(super) struct Desk {
    pub(super) tree: Tree,
    pub(super) store: Store,
    head_file: HeadFile,
    operations: Operations,
    binder: Door<BindRequest>,
}

impl Desk {
    pub(super) async fn start(dir: &Path) -> Self {
        Self::start_with(dir, Foreign::Refused, account()).await
    }

    async fn start_with(dir: &Path, foreign: Foreign, source: AddressSource) -> Self {
        let desk = Self::begin(dir, foreign, source);
        desk.store.ready().await;
        desk
    }

    /// Does not wait until the log was opened.
    fn begin(dir: &Path, foreign: Foreign, source: AddressSource) -> Self {
        fs::create_dir_all(dir.join("data")).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let tree = Tree::new(Registry::new(Arc::clone(&clock)), 7);
        let (path, execution) = (dir.join("data.head"), Execution::Inline);
        let head_file = HeadFile::new(Settings { path, foreign, execution, clock: Arc::clone(&clock) });
        let settings = StoreSettings { path: log(dir), execution, clock };
        let store = Store::start_after(&tree, settings, head_file.opening()).unwrap();
        start(&tree, &head_file, store.clone()).unwrap();
        let operations =
            operations::start(&tree, Deposits::new(store.clone()), CustomerKeys::at(dir.join("data/keys.db"))).unwrap();
        let settings = binder::Settings {
            source: Arc::new(source),
            addresses_max_per_target: 1_000,
            low_pool: 0,
            switches: operations.switches(),
            head_file: head_file.clone(),
        };
        let binder = binder::start(&tree, settings, store.clone()).unwrap();
        Self { tree, store, head_file, operations, binder }
    }

    async fn bind(&self, command: &str) -> Result<Bound, BindError> {
        let command_id = CommandId::of_fact(&[command]);
        let bind = Bind { target: "alice".to_owned(), method: Method::Direct, command_id };
        self.binder.call(|reply| BindRequest { bind, reply }, SOON).await.unwrap()
    }

    /// Binds so many; their numbers.
    pub(super) async fn bind_many(&self, life: &str, many: u32) -> Vec<u32> {
        let mut numbers = Vec::new();
        for number in 0..many {
            numbers.push(self.bind(&format!("{life} {number}")).await.unwrap().index);
        }
        numbers
    }

    /// Waits until the log was opened; the desk as the log has it.
    async fn stood(&self) -> Stood {
        self.store.ready().await;
        brakes::desk(&self.store.reader().unwrap()).unwrap()
    }

    async fn restored(&self) -> Option<Restored> {
        match self.stood().await.halt() {
            Some(HaltCause::Restored(restored)) => Some(restored.clone()),
            Some(_) | None => None,
        }
    }

    async fn resume(&self) {
        self.operations.resume(Note::new("looked").unwrap(), By::Token).await.unwrap();
        let mut switches = self.operations.switches();
        switches.wait_for(|desk| desk.closed(Switch::Binds).is_none()).await.unwrap();
    }

    /// Waits until the file says how far the log is.
    async fn noted(&self, dir: &Path) -> Head {
        loop {
            let head = HeadPath::new(dir.join("data.head")).read().unwrap();
            if let Some(head) = head.filter(|head| head.position == self.store.head()) {
                return head;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn condition(&self) -> Option<String> {
        let part = self.tree.health().part(PART).unwrap();
        part.conditions.first().map(|condition| condition.text.clone())
    }

    async fn condition_says(&self, words: &str) -> String {
        loop {
            if let Some(text) = self.condition().filter(|text| text.contains(words)) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn compared(&self) {
        while self.head_file.closed().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Gone without a word, as a killed process.
    async fn crash(self) {
        self.tree.shutdown(Duration::ZERO).await;
    }
}

fn log(dir: &Path) -> PathBuf {
    dir.join("data/log.db")
}

fn key() -> AccountKey {
    AccountKey::parse(ACCOUNT, Network::Bitcoin).unwrap()
}

fn account() -> AddressSource {
    AddressSource::account(key())
}

/// Puts a copy in place of the log.
fn restore(dir: &Path, copy: &Path) {
    fs::remove_dir_all(dir.join("data")).unwrap();
    fs::create_dir(dir.join("data")).unwrap();
    fs::copy(copy, log(dir)).unwrap();
}

/// O5: it starts halted, binds included, and what may have been given out after the copy is never given out again.
#[tokio::test(start_paused = true)]
async fn an_older_copy_of_the_log_starts_halted_and_no_number_is_given_out_twice() {
    let dir = TempDir::new().unwrap();
    let copy = dir.path().join("copy.db");
    let desk = Desk::start(dir.path()).await;
    let mut numbers: Vec<u32> = desk.bind_many("before", 3).await;
    desk.store.back_up(&copy).unwrap();
    numbers.extend(desk.bind_many("after", 120).await);
    let head = desk.noted(dir.path()).await;
    desk.crash().await;
    restore(dir.path(), &copy);
    for life in ["first", "second"] {
        let desk = Desk::start(dir.path()).await;
        let restored = desk.restored().await.unwrap();
        assert_eq!((restored.departure, restored.known), (Departure::Shorter, head.position), "{life}");
        assert_eq!((restored.found, restored.lost_from, restored.lost_to), (6, 3, head.next_index), "{life}");
        assert_eq!(desk.stood().await.restorations().len(), 1, "{life}: it is told once");
        assert_eq!(desk.bind("early").await, Err(BindError::Halted), "{life}");
        desk.crash().await;
    }
    let desk = Desk::start(dir.path()).await;
    desk.resume().await;
    numbers.extend(desk.bind_many("resumed", 3).await);
    desk.crash().await;
    let desk = Desk::start(dir.path()).await;
    assert_eq!(desk.restored().await, None, "what was resumed goes on");
    numbers.extend(desk.bind_many("later", 3).await);
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "{numbers:?}");
    assert_eq!(numbers[numbers.len() - 6], head.next_index);
}

/// O5: also a copy that went on for itself, and one that comes without its head file.
#[tokio::test(start_paused = true)]
async fn a_copy_that_went_on_otherwise_or_lost_its_head_file_is_halted_too() {
    let dir = TempDir::new().unwrap();
    let copy = dir.path().join("copy.db");
    let desk = Desk::start(dir.path()).await;
    desk.bind_many("both", 2).await;
    desk.store.back_up(&copy).unwrap();
    desk.noted(dir.path()).await;
    let head = fs::read(dir.path().join("data.head")).unwrap();
    desk.bind_many("one", 5).await;
    let known = desk.noted(dir.path()).await.position;
    let known_file = fs::read(dir.path().join("data.head")).unwrap();
    desk.crash().await;
    restore(dir.path(), &copy);
    fs::write(dir.path().join("data.head"), head).unwrap();
    let desk = Desk::start(dir.path()).await;
    desk.bind_many("other", 9).await;
    desk.crash().await;
    fs::write(dir.path().join("data.head"), known_file).unwrap();
    let desk = Desk::start(dir.path()).await;
    let restored = desk.restored().await.unwrap();
    assert_eq!((restored.departure, restored.known), (Departure::Forked, known));
    desk.resume().await;
    desk.crash().await;

    fs::remove_file(dir.path().join("data.head")).unwrap();
    let desk = Desk::start(dir.path()).await;
    assert_eq!(desk.restored().await.unwrap().departure, Departure::Unknown);
    assert_eq!(desk.bind("early").await, Err(BindError::Halted));
    desk.resume().await;
    assert_eq!(desk.bind("late").await.unwrap().index, 100, "nothing is known of what others may have");
}

#[tokio::test(start_paused = true)]
async fn a_desk_that_was_told_to_stop_leaves_a_file_that_knows_all() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::start(dir.path()).await;
    desk.bind_many("first", 1).await;
    desk.noted(dir.path()).await;
    desk.bind_many("last", 2).await;
    let (head, behind) = (desk.store.head(), HeadPath::new(dir.path().join("data.head")).read().unwrap().unwrap());
    assert!(behind.position < head, "it is noted every second");
    desk.tree.shutdown(SOON).await;
    assert_eq!(HeadPath::new(dir.path().join("data.head")).read().unwrap().unwrap().position, head);
}

/// O1: at no moment does a crash leave a file that is ahead of the log.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_leaves_a_log_that_is_known() {
    let dir = TempDir::new().unwrap();
    for turns in 0..60 {
        let desk = Desk::start(dir.path()).await;
        assert!(desk.stood().await.restorations().is_empty(), "{turns}");
        let name = turns.to_string();
        tokio::select! {
            biased;
            _ = desk.bind_many(&name, 3) => {}
            () = async { for _ in 0..turns { tokio::task::yield_now().await } } => {}
        }
        desk.crash().await;
    }
}

#[tokio::test(start_paused = true)]
async fn addresses_wait_for_the_disk_and_nothing_else_does() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::start(dir.path()).await;
    let given = desk.bind_many("noted", 1).await;
    desk.noted(dir.path()).await;
    fs::create_dir(dir.path().join("data.head.new")).unwrap();
    let mut refused = None;
    for number in 0..200 {
        match desk.bind(&format!("unnoted {number}")).await {
            Ok(bound) => assert!(bound.index < 150, "noted before the disk refused"),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert!(matches!(&refused, Some(BindError::NotReserved(_))), "{refused:?}");
    desk.condition_says("cannot be written").await;
    assert_eq!(desk.stood().await.halt(), None);
    assert_eq!(desk.head_file.closed(), None, "orders and payouts go on");
    fs::remove_dir(dir.path().join("data.head.new")).unwrap();
    let next = desk.bind("noted again").await.unwrap().index;
    assert!(next > given[0]);
    desk.noted(dir.path()).await;
    assert_eq!(desk.condition(), None);
}

#[tokio::test(start_paused = true)]
async fn with_a_file_that_cannot_be_read_the_log_is_open_and_nothing_goes_out_until_it_can() {
    let dir = TempDir::new().unwrap();
    let copy = dir.path().join("copy.db");
    let desk = Desk::start(dir.path()).await;
    desk.bind_many("before", 3).await;
    desk.store.back_up(&copy).unwrap();
    desk.bind_many("after", 3).await;
    desk.noted(dir.path()).await;
    desk.crash().await;
    let whole = fs::read(dir.path().join("data.head")).unwrap();
    for is_copy in [false, true] {
        fs::write(dir.path().join("data.head"), "rubbish").unwrap();
        if is_copy {
            restore(dir.path(), &copy);
        }
        let desk = Desk::start(dir.path()).await;
        let condition = desk.condition_says("not a whole head file").await;
        assert!(condition.contains("no address, order or payout goes out"), "{condition}");
        assert!(desk.head_file.closed().is_some());
        fs::write(dir.path().join("data.head"), &whole).unwrap();
        desk.compared().await;
        assert_eq!(desk.restored().await.is_some(), is_copy);
        desk.crash().await;
        fs::write(dir.path().join("data.head"), &whole).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_of_another_log_is_refused_and_left_alone_but_in_a_sandbox() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for (dir, life) in [(&dir, "one"), (&other, "another")] {
        let desk = Desk::start(dir.path()).await;
        desk.bind_many(life, 2).await;
        desk.noted(dir.path()).await;
        desk.crash().await;
    }
    let foreign = fs::read(other.path().join("data.head")).unwrap();
    fs::write(dir.path().join("data.head"), &foreign).unwrap();
    let desk = Desk::start(dir.path()).await;
    desk.condition_says("the head of another log").await;
    assert!(desk.head_file.closed().is_some());
    assert_eq!(fs::read(dir.path().join("data.head")).unwrap(), foreign);
    desk.crash().await;
    let desk = Desk::start_with(dir.path(), Foreign::TakenOver, account()).await;
    assert_eq!(desk.restored().await, None);
    desk.noted(dir.path()).await;
}

/// O5: a data folder that is gone is a log that lost everything; in a sandbox it was thrown away.
#[tokio::test(start_paused = true)]
async fn an_empty_folder_beside_an_old_head_is_a_restored_log_and_a_new_beginning_in_a_sandbox() {
    for (foreign, is_restored) in [(Foreign::Refused, true), (Foreign::TakenOver, false)] {
        let dir = TempDir::new().unwrap();
        let desk = Desk::start(dir.path()).await;
        desk.bind_many("before", 2).await;
        let head = desk.noted(dir.path()).await;
        desk.crash().await;
        fs::remove_dir_all(dir.path().join("data")).unwrap();
        let desk = Desk::start_with(dir.path(), foreign, account()).await;
        assert_eq!(desk.restored().await.is_some(), is_restored);
        if is_restored {
            desk.resume().await;
            assert_eq!(desk.bind("after").await.unwrap().index, head.next_index);
        } else {
            assert!(desk.bind("after").await.is_ok());
        }
        assert!(desk.noted(dir.path()).await.next_index >= head.next_index, "never lowered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_is_not_begun_before_it_has_its_head_file() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("data.head.new")).unwrap();
    let desk = Desk::begin(dir.path(), Foreign::Refused, account());
    loop {
        let part = desk.tree.health().part(Store::PART).unwrap();
        if part.last_error.is_some_and(|error| error.text.contains("data.head cannot be written")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!desk.store.is_ready());
    fs::remove_dir(dir.path().join("data.head.new")).unwrap();
    assert_eq!(desk.bind("first").await.unwrap().index, 0);
    assert_eq!(desk.restored().await, None);
}

/// O5: the lines of a list are numbers as well.
#[tokio::test(start_paused = true)]
async fn of_a_list_too_what_may_be_in_use_is_passed_over() {
    let dir = TempDir::new().unwrap();
    let copy = dir.path().join("copy.db");
    let list = || AddressSource::list((0..130).map(|index| key().address(index).unwrap()).collect());
    let desk = Desk::start_with(dir.path(), Foreign::Refused, list()).await;
    desk.store.back_up(&copy).unwrap();
    let mut given = desk.bind_many("after", 20).await;
    desk.noted(dir.path()).await;
    desk.crash().await;
    restore(dir.path(), &copy);
    let desk = Desk::start_with(dir.path(), Foreign::Refused, list()).await;
    desk.resume().await;
    given.extend(desk.bind_many("resumed", 30).await);
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 50, "{given:?}");
    assert_eq!(desk.bind("one more").await, Err(BindError::PoolEmpty));
}
