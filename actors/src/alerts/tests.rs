//! What is told of parts and balances on a real log, also after a restart.

use std::sync::atomic::{AtomicU64, Ordering};

use millrace_model::alert::DownReason;
use millrace_model::desk::Desk;

use tokio::sync::watch;

use super::*;
use crate::operations;
use crate::scanner;
use crate::sender::tests::rig::Rig;

const WITHIN: Duration = Duration::from_hours(2);
const NODE: &str = "bitcoin_node";
const RULES: Rules = Rules {
    down_after_ms: 60_000,
    up_after_ms: 60_000,
    restarts_max: 5,
    restarts_within_ms: 600_000,
    changes_max: 6,
    margin_percent: 10,
};

/// A part that says what the test has it say.
#[derive(Clone, Default)]
struct StandIn(watch::Sender<Option<Reporter>>);

impl StandIn {
    fn start(tree: &Tree) -> Self {
        let stand_in = Self::default();
        let newest = stand_in.0.clone();
        let began = move |report| {
            newest.send_replace(Some(report));
            std::future::pending::<()>()
        };
        tree.add_task(scanner::PART, began).unwrap();
        stand_in
    }

    async fn report(&self) -> Reporter {
        self.0.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }
}

/// A desk that tells operators, with a scanner and a hot wallet of the test's making.
struct Watched {
    rig: Rig,
    operations: Operations,
    scanner: StandIn,
    holds: Arc<AtomicU64>,
}

fn watched(rig: Rig) -> Watched {
    let operations = operations::start(&rig.tree, rig.deposits.clone(), rig.keys()).unwrap();
    let (store, health) = (rig.deposits.store().clone(), rig.tree.health().clone());
    let inside = Inside { store, operations: operations.clone(), health, clock: rig.clock.clone() };
    let (gauges, holds) = (Gauges::default(), Arc::new(AtomicU64::new(1_000)));
    let read = Arc::clone(&holds);
    gauges.set(vec![Gauge {
        place: Place::HotWallet,
        coin: Ticker::Sky,
        threshold: 100,
        read: Arc::new(move || Some(read.load(Ordering::SeqCst))),
    }]);
    let scanner = StandIn::start(&rig.tree);
    start(&rig.tree, inside, gauges, RULES).unwrap();
    Watched { rig, operations, scanner, holds }
}

impl Watched {
    async fn until(&self, wanted: impl Fn(&Desk) -> bool) {
        let mut switches = self.operations.switches();
        let seen = switches.wait_for(|desk| wanted(desk));
        drop(tokio::time::timeout(WITHIN, seen).await.expect("the desk comes to that").unwrap());
    }

    /// Whether just this is told to be down.
    async fn until_down(&self, names: &[&str]) {
        self.until(|desk| desk.alerts().parts_down().map(|down| down.part.as_str()).eq(names.iter().copied())).await;
    }

    fn told(&self) -> Vec<Alert> {
        let events = self.rig.events(&StreamName::Desk).into_iter();
        events
            .filter_map(|recorded| if let Event::Desk(event) = recorded.event { Alert::of(&event) } else { None })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_told_once_and_that_it_answers_again_after_a_restart() {
    let desk = watched(Rig::new().await);
    desk.until(|desk| desk.alerts().is_empty()).await;
    desk.scanner.report().await.set(NODE, "connection refused");
    let begun = Instant::now();
    desk.until_down(&[NODE]).await;
    assert!(begun.elapsed() >= Duration::from_secs(60), "{:?}", begun.elapsed());

    let desk = watched(desk.rig.restart().await);
    desk.scanner.report().await.set(NODE, "connection refused");
    desk.until_down(&[NODE]).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    desk.scanner.report().await.clear(NODE);
    desk.until_down(&[]).await;
    let told = desk.told();
    assert!(
        matches!(&told[..], [Alert::PartDown(down), Alert::PartUp(up)]
        if down.reason == DownReason::Unreachable && down.part == NODE && up.part == NODE),
        "{told:?}"
    );
}

/// O10: operators hear of it.
#[tokio::test(start_paused = true)]
async fn a_part_that_is_restarted_again_and_again_is_told_to_be_down_until_it_runs() {
    let desk = watched(Rig::new().await);
    for _ in 0..7 {
        desk.rig.tree.restart(scanner::PART).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    desk.until_down(&[scanner::PART]).await;
    desk.until_down(&[]).await;
    let told = desk.told();
    assert!(
        matches!(&told[..], [Alert::PartDown(down), Alert::PartUp(_)]
        if down.reason == DownReason::RestartedTooOften),
        "{told:?}"
    );
}

/// P7: the wallet runs low and is refilled.
#[tokio::test(start_paused = true)]
async fn a_low_balance_is_told_once_until_it_is_well_above_what_is_wanted() {
    let desk = watched(Rig::new().await);
    for units in [99, 50, 100, 109] {
        desk.holds.store(units, Ordering::SeqCst);
        desk.until(|desk| !desk.alerts().balances_low().is_empty()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    desk.holds.store(110, Ordering::SeqCst);
    desk.until(|desk| desk.alerts().is_empty()).await;
    let told = desk.told();
    assert!(
        matches!(&told[..], [Alert::BalanceLow(low), Alert::BalanceRestored(restored)]
        if low.balance == 99 && restored.balance == 110),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_a_node_that_nobody_asks_any_more_nothing_is_told() {
    let desk = watched(Rig::new().await);
    desk.until(|desk| desk.alerts().is_empty()).await;
    desk.scanner.report().await.set(NODE, "connection refused");
    desk.rig.tree.stop(scanner::PART).await.unwrap();
    tokio::time::sleep(Duration::from_mins(10)).await;
    desk.holds.store(0, Ordering::SeqCst);
    desk.until(|desk| !desk.alerts().is_empty()).await;
    assert!(matches!(&desk.told()[..], [Alert::BalanceLow(_)]));
}
