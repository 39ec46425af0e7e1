//! Nothing missed and nothing twice: readers of what is told who pause as they like, take pages of any size and come back after
//! the desk restarted or made everything anew, have in the end what the log tells, in its order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use millrace_actors::event_store::Reader;
use millrace_actors::projection::{NotificationFilter, Projection, StoredNotification, Views, Whose, compare, rebuild};
use millrace_model::deposit::{Deposit, evolve};
use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::notification::{Notification, NotificationType, Pattern, ResourceType, Told};
use millrace_tests::drawn_log::Drawing;
use millrace_tests::followed_log::FollowedLog;
use millrace_tests::seed;
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::runtime;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=2;
/// How many groups of each log are stored: the books' opening, and more than a thousand events.
const GROUPS: usize = 2;
/// How many commands are stored between two looks, at most.
const AT_ONCE: usize = 64;

/// Somebody who reads on where he was.
struct Listener {
    filter: NotificationFilter,
    position: Position,
    has: Vec<StoredNotification>,
}

impl Listener {
    fn new(filter: NotificationFilter) -> Self {
        Self { filter, position: 0, has: Vec::new() }
    }

    async fn read(&mut self, views: &Views, rows_max: u32) -> Result<usize> {
        let page = views.notification_page(self.position, rows_max, &self.filter).await?;
        self.position = page.reached.map_or(self.position, |(position, _)| position);
        let read = page.notifications.len();
        self.has.extend(page.notifications);
        Ok(read)
    }
}

/// What the log tells, made of it without the views.
fn told(log: &Path) -> Result<Vec<Notification>> {
    let log = Reader::look_at(log)?;
    let mut deposits: BTreeMap<DepositId, (Option<Deposit>, Told)> = BTreeMap::new();
    let mut all = Vec::new();
    for recorded in log.after(0, usize::try_from(log.head()?)?)? {
        all.extend(Notification::of_desk(&recorded));
        let (StreamName::Deposit(id), Event::Deposit(event)) = (&recorded.stream, &recorded.event) else { continue };
        let (deposit, told) = deposits.entry(*id).or_default();
        *deposit = evolve(deposit.take(), event);
        let after = deposit.as_ref().context("a stream begins with its detection")?;
        let telling = told.take_in(event, after, (recorded.position, recorded.recorded_at));
        all.extend(telling.map(|telling| Notification::of_deposit(told, telling, after, &recorded)));
    }
    Ok(all)
}

fn same(stored: &[StoredNotification], expected: &[&Notification]) -> Result<()> {
    for (stored, expected) in stored.iter().zip(expected) {
        ensure!((stored.position, stored.id) == (expected.position, expected.id), "{stored:?} for {expected:?}");
        ensure!((stored.body.as_str(), stored.sequence) == (expected.body().as_str(), expected.sequence));
        ensure!(
            (stored.kind, stored.deposit, &stored.customer) == (expected.kind, expected.deposit, &expected.customer)
        );
    }
    ensure!(stored.len() == expected.len(), "{} for {}", stored.len(), expected.len());
    Ok(())
}

/// What can happen between two commits: one reads, or nobody does; the desk goes on, or begins anew, or makes all of it anew.
async fn happens(
    mut desk: FollowedLog,
    folder: &Path,
    (readers, chance): (&mut [Listener], &mut SmallRng),
) -> Result<FollowedLog> {
    match chance.random_range(0..12) {
        0..=6 => {
            let reader = &mut readers[chance.random_range(0..3)];
            for _ in 0..chance.random_range(0..4) {
                reader.read(&desk.views, chance.random_range(1..40)).await?;
            }
        }
        7 => {
            desk.views.rebuild(Projection::Notifications);
        }
        8 => {
            desk.stop().await;
            desk = FollowedLog::start(folder).await?;
            desk.caught_up().await?;
        }
        _ => desk.caught_up().await?,
    }
    Ok(desk)
}

/// Readers of all, of receipts, and of payouts; the last is away all the while.
fn readers() -> Vec<Listener> {
    let of = |pattern: &str| NotificationFilter {
        events: pattern.parse().into_iter().collect(),
        ..NotificationFilter::default()
    };
    let all = NotificationFilter::default;
    [all(), of("Deposit.Confirmed"), of("Withdrawal.*"), all()].map(Listener::new).into()
}

async fn live(folder: &Path, drawn_from: u64) -> Result<()> {
    let mut chance = seed::chance(drawn_from, "history");
    let mut drawing = Drawing::begin(drawn_from)?;
    let (mut desk, mut readers) = (FollowedLog::start(folder).await?, readers());
    for _ in 0..GROUPS {
        let mut group = drawing.group()?;
        while !group.is_empty() {
            let rest = group.split_off(chance.random_range(1..=AT_ONCE).min(group.len()));
            desk.store(std::mem::replace(&mut group, rest)).await?;
            desk = happens(desk, folder, (&mut readers, &mut chance)).await?;
        }
    }
    desk.caught_up().await?;
    for reader in &mut readers {
        while reader.read(&desk.views, 100).await? > 0 {}
    }
    let expected = told(&folder.join("log.db"))?;
    ensure!(expected.len() > 500, "of {} nothing can be said", expected.len());
    for reader in &readers {
        let is_meant = |kind| reader.filter.events.iter().all(|pattern: &Pattern| pattern.matches(kind));
        let his: Vec<_> = expected.iter().filter(|told| is_meant(told.kind)).collect();
        ensure!(his.len() > 1, "of {} nothing can be said", his.len());
        same(&reader.has, &his)?;
    }
    is_numbered(&expected)?;
    is_whole(&desk.views, &expected).await?;
    desk.stop().await;
    Ok(())
}

/// Every id is one notification's, and the numbers of a deposit's have no gap.
fn is_numbered(told: &[Notification]) -> Result<()> {
    let ids: BTreeSet<_> = told.iter().map(|told| told.id).collect();
    ensure!(ids.len() == told.len(), "{} ids for {}", ids.len(), told.len());
    let mut sequences: BTreeMap<DepositId, u32> = BTreeMap::new();
    for told in told {
        let Some(deposit) = told.deposit else { continue };
        let last = sequences.entry(deposit).or_default();
        *last += 1;
        ensure!(told.sequence == *last, "{told:?} after {last}");
    }
    Ok(())
}

/// Everybody's own history is his part of it, and each row stands where the last of it says.
async fn is_whole(views: &Views, told: &[Notification]) -> Result<()> {
    let customers: BTreeSet<_> = told.iter().filter_map(|told| told.customer.clone()).collect();
    let (mut of_all, mut rows) = (0, 0);
    for customer in &customers {
        let filter = NotificationFilter { whose: Whose::User(customer.clone()), ..NotificationFilter::default() };
        let his: Vec<_> = told.iter().filter(|told| told.customer.as_ref() == Some(customer)).collect();
        same(&views.notifications_after(0, 500, &filter).await?, &his)?;
        of_all += his.len();
        let mut newest: BTreeMap<(DepositId, ResourceType), (Position, NotificationType)> = BTreeMap::new();
        for told in his {
            let key = (told.deposit.context("it is of a customer")?, told.kind.resource());
            newest.insert(key, (told.position, told.kind));
        }
        let shown = views.history(&filter, (0, 500)).await?;
        let shown: BTreeSet<_> = shown.iter().map(|row| (row.newest.position, row.newest.kind)).collect();
        ensure!(shown == newest.into_values().collect(), "{customer}: {shown:?}");
        rows += shown.len();
    }
    ensure!(customers.len() > 3 && rows > 100, "of {} customers and {rows} rows nothing can be said", customers.len());
    ensure!(of_all == told.iter().filter(|told| told.customer.is_some()).count());
    Ok(())
}

fn is_as_made_anew(folder: &Path) -> Result<()> {
    let [log, views, made] = ["log.db", "views.db", "made.db"].map(|name| folder.join(name));
    let head = rebuild((&log, &made), &[Projection::Notifications], &mut |_| {})?;
    ensure!(compare((&log, &views), &[Projection::Notifications], &mut |_| {})? == Ok(head));
    Ok(())
}

#[test]
fn whoever_reads_on_has_everything_once_in_the_logs_order() -> Result<()> {
    for drawn_from in SEEDS {
        let folder = tempfile::tempdir()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(live(folder.path(), drawn_from)).with_context(|| format!("seed {drawn_from}"))?;
        is_as_made_anew(folder.path())?;
    }
    Ok(())
}
