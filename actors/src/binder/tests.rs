//! The binder with the real store and a list of addresses.

use std::collections::BTreeSet;
use std::path::Path;

use bitcoin::{Address, Network};
use chrono::DateTime;
use futures::future::join_all;
use millrace_protocols::receive::AccountKey;
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::event_store::{Execution, Settings as StoreSettings};
use crate::supervision::Registry;

const SOON: Duration = Duration::from_secs(30);
const ACCOUNT: &str =
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";

struct Desk {
    tree: Tree,
    door: Door<BindRequest>,
}

impl Desk {
    fn open(dir: &Path, source: AddressSource, addresses_max_per_target: u64) -> Self {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let tree = Tree::new(Registry::new(clock.clone()), 7);
        let path = dir.join("log.db");
        let store = Store::start(&tree, StoreSettings { path, execution: Execution::Inline, clock }).unwrap();
        let switches = tokio::sync::watch::Sender::new(millrace_model::desk::Desk::default()).subscribe();
        let settings = Settings {
            source: Arc::new(source),
            addresses_max_per_target,
            low_pool: 2,
            switches,
            head_file: HeadFile::unkept(),
        };
        let door = start(&tree, settings, store).unwrap();
        Self { tree, door }
    }

    async fn bind(&self, target: &str, command: u128) -> Result<Bound, BindError> {
        let command_id = CommandId(command.to_be_bytes());
        let bind = Bind { target: target.to_owned(), method: Method::Direct, command_id };
        self.door.call(|reply| BindRequest { bind, reply }, SOON).await.unwrap()
    }

    fn condition(&self) -> Option<String> {
        let part = self.tree.health().part(PART).unwrap();
        part.conditions.first().map(|condition| condition.text.clone())
    }

    async fn close(self) {
        self.tree.shutdown(SOON).await;
    }
}

fn derived(numbers: impl IntoIterator<Item = u32>) -> Vec<Address> {
    let key = AccountKey::parse(ACCOUNT, Network::Bitcoin).unwrap();
    numbers.into_iter().map(|index| key.address(index).unwrap()).collect()
}

fn account() -> AddressSource {
    AddressSource::account(AccountKey::parse(ACCOUNT, Network::Bitcoin).unwrap())
}

/// S5: a target gets as many as are allowed, however many ask at once.
#[tokio::test(start_paused = true)]
async fn fifty_at_once_get_five_when_five_are_allowed() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::open(dir.path(), account(), 5);
    let answers = join_all((0..50).map(|command| desk.bind("alice", command))).await;
    let mut bound: Vec<Bound> = answers.iter().flatten().cloned().collect();
    bound.sort_by_key(|bound| bound.index);
    assert_eq!(bound.iter().map(|bound| bound.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let addresses: Vec<String> = derived(0..5).iter().map(Address::to_string).collect();
    assert_eq!(bound.iter().map(|bound| bound.address.clone()).collect::<Vec<_>>(), addresses);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(BindError::LimitReached(5))).count(), 45);
    assert!(desk.bind("bob", 99).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_gets_the_first_answer_at_once_and_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::open(dir.path(), account(), 5);
    let (first, again) = tokio::join!(desk.bind("alice", 1), desk.bind("alice", 1));
    let first = first.unwrap();
    assert_eq!(again.unwrap(), first);
    desk.close().await;
    let desk = Desk::open(dir.path(), account(), 5);
    assert_eq!(desk.bind("alice", 1).await.unwrap(), first);
    assert_eq!(desk.bind("alice", 2).await.unwrap().index, 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_needs_neither_a_place_under_the_limit_nor_an_address() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::open(dir.path(), AddressSource::list(derived(0..2)), 1);
    let (alices, bobs) = (desk.bind("alice", 1).await.unwrap(), desk.bind("bob", 2).await.unwrap());
    assert_eq!(desk.bind("alice", 3).await, Err(BindError::LimitReached(1)));
    assert_eq!(desk.bind("alice", 1).await.unwrap(), alices);
    desk.close().await;
    let desk = Desk::open(dir.path(), AddressSource::list(derived(0..2)), 2);
    assert_eq!(desk.bind("bob", 4).await, Err(BindError::PoolEmpty));
    assert_eq!(desk.bind("bob", 2).await.unwrap(), bobs);
}

/// S5: the limit outlives a restart.
#[tokio::test(start_paused = true)]
async fn the_limit_counts_what_was_bound_before_a_restart() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::open(dir.path(), account(), 2);
    assert!(desk.bind("alice", 1).await.is_ok());
    desk.close().await;
    let desk = Desk::open(dir.path(), account(), 2);
    assert_eq!(desk.bind("alice", 2).await.unwrap().index, 1);
    assert_eq!(desk.bind("alice", 3).await, Err(BindError::LimitReached(2)));
}

#[tokio::test(start_paused = true)]
async fn a_list_warns_before_it_is_empty_and_then_says_so() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::open(dir.path(), AddressSource::list(derived(0..4)), 100);
    for command in 0..4 {
        assert_eq!(desk.condition().is_some(), command >= 2, "{command}");
        assert!(desk.bind("alice", command).await.is_ok());
    }
    for command in 4..6 {
        assert_eq!(desk.bind("alice", command).await, Err(BindError::PoolEmpty));
    }
    assert!(desk.condition().unwrap().contains("no deposit address is left"));
}

/// D9: an address of an earlier list stays whose it was.
#[tokio::test(start_paused = true)]
async fn an_address_of_an_earlier_list_is_never_given_to_a_second_customer() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::open(dir.path(), AddressSource::list(derived([7, 8])), 100);
    let alices = [desk.bind("alice", 1).await.unwrap().address, desk.bind("alice", 2).await.unwrap().address];
    desk.close().await;
    let desk = Desk::open(dir.path(), AddressSource::list(derived([1, 2, 7, 8, 9])), 100);
    let bobs = desk.bind("bob", 3).await.unwrap();
    assert_eq!(bobs.address, derived([9])[0].to_string());
    assert!(!alices.contains(&bobs.address));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_away_costs_neither_an_address_nor_a_place_under_the_limit() {
    let dir = TempDir::new().unwrap();
    let desk = Desk::open(dir.path(), account(), 5);
    assert_eq!(desk.bind("alice", 1).await.unwrap().index, 0);
    desk.tree.stop(Store::PART).await.unwrap();
    assert!(matches!(desk.bind("alice", 2).await, Err(BindError::Store(AppendError::Unavailable(_)))));
    desk.tree.start(Store::PART).await.unwrap();
    // The store forgot who owns the book, so the binder has to begin anew; nothing was stored.
    assert!(matches!(desk.bind("alice", 3).await, Err(BindError::Store(AppendError::Fenced { .. }))));
    let last = join_all((4..10).map(|command| desk.bind("alice", command))).await;
    assert_eq!(last.iter().flatten().map(|bound| bound.index).collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3, 4]));
}
