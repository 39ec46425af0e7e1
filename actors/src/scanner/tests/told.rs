//! What the scanner's commands rested on is in their bodies, and decides the same once more.

use millrace_model::ids::Position;
use millrace_model::observation::{Gone, Maturity, SeenOutput, Sightings};
use millrace_model::redecision::{Asked, Elsewhere, Outcome as Again, redecide};

use super::*;

/// A log of which only one deposit is at hand.
struct Nothing;

impl Elsewhere for Nothing {
    type Error = std::convert::Infallible;
    fn seen_before(&self, _: &Deposit, _: Position) -> Result<Option<Option<DepositId>>, Self::Error> {
        Ok(None)
    }
}

impl Desk {
    /// The commands of a deposit by these names, after everything of it was decided the same again.
    fn told<F: serde::de::DeserializeOwned>(&self, id: DepositId, name: &str) -> Vec<F> {
        let events = self.running.store.reader().unwrap().with_commands(&StreamName::Deposit(id)).unwrap();
        let Ok(again) = redecide(&events, &Nothing);
        assert!(again.iter().all(|one| one.outcome == Again::Same), "{again:#?}");
        let mut asked: Vec<&Asked> = events.iter().filter_map(|one| one.asked.as_ref()).collect();
        asked.dedup();
        asked.retain(|asked| asked.name == name);
        asked.iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_and_what_took_its_coins_is_in_the_command() {
    let desk = Desk::open().await;
    let alice = desk.bind("alice").await;
    let (first, second, third) = (payment(1, &alice, 7_000), payment(1, &alice, 6_000), payment(2, &alice, 5_000));
    desk.node.set_mempool(vec![first.clone(), third.clone()]);
    desk.until(|desk| desk.ids().len() == 2).await;
    desk.node.set_mempool(vec![second.clone()]);
    let [replaced, evicted] = [&first, &third].map(|transaction| desk.id_of(transaction));
    desk.until(|desk| [replaced, evicted].iter().all(|id| desk.stage(*id) == Stage::Done(Outcome::Vanished))).await;
    let receipt = |id| desk.running.deposits.get(id).unwrap().unwrap().deposit.receipt.clone();
    for (id, satoshis) in [(replaced, 7_000), (evicted, 5_000)] {
        let output = receipt(id).outpoint;
        let [seen] = &desk.told::<Sightings>(id, "RecordSightings")[..] else { panic!("it was seen once") };
        assert_eq!(seen.of_output(output), Some(Some(SeenOutput { output, satoshis })));
    }
    let by = receipt(desk.id_of(&second)).outpoint.txid;
    let [gone] = &desk.told::<Gone>(replaced, "RecordGone")[..] else { panic!("it is gone once") };
    assert_eq!((gone.replaced_by(replaced), gone.replaced_by(evicted)), (Some(Some(by)), Some(None)));
    desk.told::<Gone>(evicted, "RecordGone");
}

#[tokio::test(start_paused = true)]
async fn whose_coins_came_before_is_in_the_command() {
    let mut desk = Desk::open().await;
    let (alice, bob) = (desk.bind("alice").await, desk.bind("bob").await);
    let first = payment(1, &alice, 7_000);
    desk.node.mine_with(vec![first.clone()]);
    desk.mine().await;
    let earlier = desk.id_of(&first);
    desk.decide(earlier).await;
    let (again, other) = (payment(1, &bob, 6_000), payment(9, &bob, 5_000));
    desk.node.abandon(2);
    desk.node.mine_with(vec![again.clone(), other.clone()]);
    (0..3).for_each(|_| desk.node.mine());
    desk.read_all().await;
    for (transaction, seen_before) in [(&again, Some(earlier)), (&other, None)] {
        let id = desk.id_of(transaction);
        let [maturity] = &desk.told::<Maturity>(id, "RecordMaturity")[..] else { panic!("it was deep once") };
        assert_eq!(maturity.seen_before(id), Some(seen_before));
    }
}
