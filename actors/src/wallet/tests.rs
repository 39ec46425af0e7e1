//! Claims and reservations, over a log on disk and a node in memory.

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use millrace_model::ids::{CommandId, Hash32};
use millrace_protocols::wire::skycoin::rest::UnspentOutput;
use uuid::Uuid;

use super::*;
use crate::event_store::{Append, Origin};
use crate::sender::tests::node::sky;
use crate::sender::tests::rig::Rig;

const PAUSE: Duration = Duration::from_secs(1);

fn id(number: u128) -> DepositId {
    DepositId(Uuid::from_u128(number))
}

async fn wallet(rig: &Rig) -> HotWallet {
    let wallet = HotWallet::new(rig.deposits.store().clone(), rig.node.clone(), PAUSE, rig.confirmations);
    wallet.take_over().await.unwrap();
    wallet
}

fn inputs(outputs: &[FreeOutput]) -> Vec<Hash32> {
    outputs.iter().map(|output| Hash32(output.uxid.0)).collect()
}

/// Appends what the entry asks for, alone.
async fn store(rig: &Rig, entry: &Entry<'_>, number: u32) -> Result<Origin, AppendError> {
    let append = Append {
        command_id: CommandId::of_fact(&["wallet", &number.to_string()]),
        command: "Test",
        body: "{}".into(),
        causation: None,
        correlation: None,
        writes: vec![entry.write()],
    };
    rig.deposits.store().append(append).await.map(|committed| committed.origin)
}

#[tokio::test(start_paused = true)]
async fn a_claim_given_back_is_free_for_the_next() {
    let rig = Rig::new().await;
    rig.node.ledger().give("10", 5);
    let wallet = wallet(&rig).await;
    let claimed = wallet.claim(id(1), sky("3")).await.unwrap();
    assert_eq!(wallet.claim(id(2), sky("3")).await, Err(NoClaim::Short(Shortage::NoneFree)));
    wallet.give_back(id(1));
    assert_eq!(wallet.claim(id(2), sky("3")).await.unwrap(), claimed);
}

#[tokio::test(start_paused = true)]
async fn the_same_deposit_claims_the_same_outputs_again() {
    let rig = Rig::new().await;
    rig.node.ledger().give("10", 5);
    rig.node.ledger().give("10", 5);
    let wallet = wallet(&rig).await;
    let claimed = wallet.claim(id(1), sky("3")).await.unwrap();
    assert_eq!(wallet.claim(id(1), sky("3")).await.unwrap(), claimed);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_of_unknown_fate_is_found_in_the_log() {
    let rig = Rig::new().await;
    rig.node.ledger().give("10", 5);
    rig.node.ledger().give("20", 5);
    let wallet = wallet(&rig).await;
    let claimed = wallet.claim(id(1), sky("3")).await.unwrap();
    let entry = wallet.begin(Change::Reserve(id(1), inputs(&claimed))).await.unwrap();
    store(&rig, &entry, 1).await.unwrap();
    entry.settle(Stored::Unknown);
    assert_eq!(wallet.claim(id(1), sky("3")).await.unwrap(), claimed, "the claim stands");
    let other = wallet.claim(id(2), sky("15")).await.unwrap();
    let entry = wallet.begin(Change::Reserve(id(2), inputs(&other))).await.unwrap();
    store(&rig, &entry, 2).await.unwrap();
    entry.settle(Stored::Yes);
    wallet.reserve_known(id(1), &inputs(&claimed));
    wallet.give_back(id(1));
    tokio::time::sleep(2 * PAUSE).await;
    assert_eq!(wallet.claim(id(3), sky("3")).await, Err(NoClaim::Short(Shortage::NoneFree)));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_reserved_after_all_is_not_freed_by_a_later_try_that_fails() {
    let rig = Rig::new().await;
    rig.node.ledger().give("10", 5);
    let wallet = wallet(&rig).await;
    for (end, number) in [(HotWallet::give_back as fn(&HotWallet, DepositId), 1), (HotWallet::discard, 3)] {
        let claimed = wallet.claim(id(1), sky("3")).await.unwrap();
        let entry = wallet.begin(Change::Reserve(id(1), inputs(&claimed))).await.unwrap();
        store(&rig, &entry, number).await.unwrap();
        entry.settle(Stored::Unknown);
        wallet.take_over().await.unwrap();
        assert_eq!(wallet.claim(id(1), sky("3")).await.unwrap(), claimed, "the claim stands");
        end(&wallet, id(1));
        tokio::time::sleep(2 * PAUSE).await;
        assert_eq!(wallet.claim(id(2), sky("3")).await, Err(NoClaim::Short(Shortage::NoneFree)));
        let release = wallet.begin(Change::Release(id(1), inputs(&claimed))).await.unwrap();
        store(&rig, &release, number + 1).await.unwrap();
        release.settle(Stored::Yes);
        tokio::time::sleep(2 * PAUSE).await;
    }
}

/// P2: nor does it reserve outputs.
#[tokio::test(start_paused = true)]
async fn the_owner_before_writes_nothing_any_more() {
    let rig = Rig::new().await;
    rig.node.ledger().give("10", 5);
    let before = wallet(&rig).await;
    let claimed = before.claim(id(1), sky("3")).await.unwrap();
    let late = before.begin(Change::Reserve(id(1), inputs(&claimed))).await.unwrap();
    let after = wallet(&rig).await;
    assert!(matches!(store(&rig, &late, 1).await, Err(AppendError::Fenced { .. })));
    let claimed = after.claim(id(2), sky("3")).await.unwrap();
    let entry = after.begin(Change::Reserve(id(2), inputs(&claimed))).await.unwrap();
    assert_eq!(store(&rig, &entry, 2).await, Ok(Origin::New));
}

#[tokio::test(start_paused = true)]
async fn what_a_payout_did_not_need_is_free_again() {
    let rig = Rig::new().await;
    rig.node.ledger().give("2", 5);
    rig.node.ledger().give("3", 5);
    let wallet = wallet(&rig).await;
    let claimed = wallet.claim(id(1), sky("5")).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let used: Vec<_> = claimed.iter().filter(|output| output.coins == sky("3")).copied().collect();
    let entry = wallet.begin(Change::Reserve(id(1), inputs(&used))).await.unwrap();
    store(&rig, &entry, 1).await.unwrap();
    entry.settle(Stored::Yes);
    assert_eq!(wallet.claim(id(2), sky("1")).await.unwrap()[0].coins, sky("2"));
}

#[tokio::test(start_paused = true)]
async fn an_output_spent_while_the_node_was_being_asked_is_not_free() {
    let rig = Rig::new().await;
    let uxid = rig.node.ledger().give("10", 5);
    let wallet = wallet(&rig).await;
    wallet.claim(id(1), sky("3")).await.unwrap();
    wallet.state().begin_refresh();
    let answer = rig.node.spendable(1).await;
    wallet.state().adopt(id(1), &[uxid]);
    wallet.state().release(&[uxid]);
    wallet.state().end_refresh(answer).unwrap();
    assert!(wallet.state().pool.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_output_offered_while_the_node_was_being_asked_is_free() {
    let rig = Rig::new().await;
    let offered = rig.node.ledger().give("10", 5);
    let wallet = wallet(&rig).await;
    let told = rig.node.spendable(1).await.unwrap();
    let [UnspentOutput { uxid, address, coins, hours, .. }] = told[..] else { panic!("{told:?}") };
    wallet.state().begin_refresh();
    wallet.offer(FreeOutput { uxid, address, coins, hours });
    wallet.state().end_refresh(Ok(vec![])).unwrap();
    let claimed = wallet.claim(id(1), sky("3")).await.unwrap();
    assert_eq!(claimed.iter().map(|output| output.uxid).collect::<Vec<_>>(), [offered]);
    assert!(wallet.state().pool.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_and_the_events_after_it_make_the_same_reservations() {
    let rig = Rig::new().await;
    let wallet = wallet(&rig).await;
    for number in 0..1_205_u32 {
        let deposit = id(u128::from(number % 50));
        let change = match number % 3 {
            0 | 1 => Change::Reserve(deposit, vec![Hash32([number as u8; 32])]),
            _ => Change::Release(deposit, vec![]),
        };
        let entry = wallet.begin(change).await.unwrap();
        store(&rig, &entry, number).await.unwrap();
        entry.settle(Stored::Yes);
    }
    let reader = rig.deposits.store().reader().unwrap();
    let snapshot = reader.snapshot(&StreamName::Wallet).unwrap().expect("there is one");
    assert!(snapshot.version > 1_000 && snapshot.version < 1_205, "{}", snapshot.version);
    let all =
        rig.events(&StreamName::Wallet).iter().fold(Wallet::default(), |wallet, recorded| match &recorded.event {
            Event::Wallet(event) => wallet.evolve(event),
            _ => wallet,
        });
    assert_eq!(reserved(&reader).unwrap(), (all.clone(), 1_205 - snapshot.version));
    assert_eq!(wallet.state().wallet, all);
}

#[tokio::test(start_paused = true)]
async fn one_of_many_writes_the_overdue_snapshot_and_the_others_do_not_wait_for_each_other() {
    let rig = Rig::new().await;
    let wallet = wallet(&rig).await;
    let release = |number| wallet.begin(Change::Release(id(number), Vec::new()));
    let earlier = release(1).await.unwrap();
    wallet.state().unsaved = entry::SNAPSHOT_EVENTS_MAX;
    let mut waiting: FuturesUnordered<_> = (2..5).map(release).collect();
    assert!(waiting.next().now_or_never().is_none(), "the snapshot is written alone");
    earlier.settle(Stored::No);
    let alone = waiting.next().await.unwrap().unwrap();
    assert!(alone.write().snapshot.is_some());
    alone.settle(Stored::Yes);
    let together = tokio::time::timeout(PAUSE, waiting.by_ref().take(2).collect::<Vec<_>>()).await.unwrap();
    assert!(together.into_iter().all(|entry| entry.unwrap().write().snapshot.is_none()));
}
