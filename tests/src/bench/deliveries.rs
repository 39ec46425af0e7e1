//! Deliveries: 1 KB bodies, signed, every attempt durably logged, to receivers that are a process of their own.

mod desk;
pub mod kills;
mod raw;
mod receiver;
mod source;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use millrace_actors::delivery::endpoint::Endpoint;
use millrace_actors::delivery::sinks::destination::Destination;
use rusqlite::{Connection, params};

use super::Figure;
use super::timed::used;
use crate::process::resident_mib;
use desk::{Engine, Receivers, Sender, endpoint, first_arrival};
use source::MadeUp;

/// How long rates are measured, after as long as it takes to get going.
const TURN: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(2);
const TURNS: usize = 3;
/// More than anybody delivers in that time.
const ENOUGH: u64 = 100_000_000;

/// The first argument of processes that belong to these benchmarks; `None` when it is none of theirs.
pub(super) fn part(arguments: &[String]) -> Option<anyhow::Result<()>> {
    match arguments.first().map(String::as_str) {
        Some(desk::RECEIVER) => Some(receiver::run()),
        Some(desk::SENDER) => Some(desk::send(&arguments[1..])),
        _ => None,
    }
}

/// What an engine did in a turn.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    cpu_us: f64,
    receivers_cpu_us: f64,
}

/// Delivers all there is to these endpoints for a while.
async fn turn(receivers: &Receivers, endpoints: Vec<Endpoint>) -> anyhow::Result<Turn> {
    let folder = tempfile::tempdir()?;
    receivers.reset().await?;
    let engine = Engine::start(folder.path(), MadeUp::of(ENOUGH), endpoints).await?;
    first_arrival(receivers).await?;
    tokio::time::sleep(WARM_UP).await;
    let (before, cpu, begin) = (receivers.stats().await?, used(), Instant::now());
    tokio::time::sleep(TURN).await;
    let (after, cpu, took) = (receivers.stats().await?, used() - cpu, begin.elapsed());
    engine.stop().await?;
    let delivered = (after.count - before.count) as f64;
    Ok(Turn {
        per_second: delivered / took.as_secs_f64(),
        cpu_us: cpu.as_micros() as f64 / delivered,
        receivers_cpu_us: (after.cpu_us - before.cpu_us) as f64 / delivered,
    })
}

fn healthy(receivers: &Receivers, count: u64) -> Vec<Endpoint> {
    (1..=count).map(|number| endpoint(receivers.address, "e", number)).collect()
}

fn hanging(receivers: &Receivers, count: u64) -> Vec<Endpoint> {
    (1_001..=1_000 + count).map(|number| endpoint(receivers.address, "hang", number)).collect()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// `deliveries`, `deliveries_ratio`.
pub(super) fn rate() -> anyhow::Result<Vec<Figure>> {
    desk::runtime()?.block_on(async {
        let receivers = Receivers::start(&std::env::current_exe()?)?;
        let (mut ours, mut raws) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            raws.push(raw::rate(&receivers, 100, TURN).await?);
            ours.push(turn(&receivers, healthy(&receivers, 100)).await?);
        }
        let rate = median(ours.iter().map(|turn| turn.per_second).collect());
        let ratios: Vec<_> = ours.iter().zip(&raws).map(|(turn, raw)| turn.per_second / raw).collect();
        let note = format!(
            "100 endpoints: {:.1} µs of the processors each, the receivers {:.1} µs; a raw client posts {:.0}/s; ratios \
             {ratios:.2?}",
            ours[0].cpu_us,
            ours[0].receivers_cpu_us,
            median(raws.clone())
        );
        Ok(vec![
            Figure { name: "deliveries", value: rate, unit: "per second", note: note.clone() },
            Figure { name: "deliveries_ratio", value: median(ratios), unit: "ratio", note },
        ])
    })
}

/// `delivery_cpu_us`.
pub(super) fn cpu() -> anyhow::Result<Vec<Figure>> {
    desk::runtime()?.block_on(async {
        let receivers = Receivers::start(&std::env::current_exe()?)?;
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            turns.push(turn(&receivers, healthy(&receivers, 10)).await?);
        }
        let note = format!("10 endpoints: {:.0}/s", median(turns.iter().map(|turn| turn.per_second).collect()));
        let value = median(turns.iter().map(|turn| turn.cpu_us).collect());
        Ok(vec![Figure { name: "delivery_cpu_us", value, unit: "µs", note }])
    })
}

fn is_healthy(endpoint: &Endpoint) -> bool {
    matches!(&endpoint.destination, Destination::Webhook(target) if target.path.starts_with("/e/"))
}

/// Publishes so many a second and says how long they took to arrive.
async fn paced(receivers: &Receivers, endpoints: Vec<Endpoint>, per_second: u32) -> anyhow::Result<receiver::Stats> {
    let (folder, source) = (tempfile::tempdir()?, MadeUp::of(0));
    let healthy = endpoints.iter().filter(|endpoint| is_healthy(endpoint)).count() as u64;
    let engine = Engine::start(folder.path(), source.clone(), endpoints).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    receivers.reset().await?;
    let warm = u64::from(per_second);
    for _ in 0..warm {
        ticks.tick().await;
        source.publish();
    }
    receivers.until(warm * healthy, TURN).await?;
    receivers.reset().await?;
    let count = warm * TURN.as_secs();
    for _ in 0..count {
        ticks.tick().await;
        source.publish();
    }
    let stats = receivers.until(count * healthy, TURN).await?;
    engine.stop().await?;
    Ok(stats)
}

/// `deliveries_slow10_loss`, `deliveries_slow10_p99_ms`.
pub(super) fn slow() -> anyhow::Result<Vec<Figure>> {
    desk::runtime()?.block_on(async {
        let receivers = Receivers::start(&std::env::current_exe()?)?;
        let mut losses = Vec::new();
        for _ in 0..TURNS {
            let alone = turn(&receivers, healthy(&receivers, 90)).await?;
            let endpoints = healthy(&receivers, 90).into_iter().chain(hanging(&receivers, 10)).collect();
            let beside = turn(&receivers, endpoints).await?;
            losses.push(1.0 - beside.per_second / alone.per_second);
        }
        let endpoints: Vec<_> = healthy(&receivers, 90).into_iter().chain(hanging(&receivers, 10)).collect();
        let stats = paced(&receivers, endpoints, 50).await?;
        let note = format!(
            "losses {losses:.3?}; at 4 500/s to the 90, from publication to first byte: p50 {:.1} ms",
            stats.p50_us as f64 / 1_000.0
        );
        let p99_ms = stats.p99_us as f64 / 1_000.0;
        Ok(vec![
            Figure { name: "deliveries_slow10_loss", value: median(losses), unit: "share", note: note.clone() },
            Figure { name: "deliveries_slow10_p99_ms", value: p99_ms, unit: "ms", note },
        ])
    })
}

/// `notify_p99_ms`.
pub(super) fn notify() -> anyhow::Result<Vec<Figure>> {
    desk::runtime()?.block_on(async {
        let receivers = Receivers::start(&std::env::current_exe()?)?;
        let stats = paced(&receivers, healthy(&receivers, 1), 1_000).await?;
        let note = format!("1 000/s to one endpoint; p50 {:.1} ms", stats.p50_us as f64 / 1_000.0);
        Ok(vec![Figure { name: "notify_p99_ms", value: stats.p99_us as f64 / 1_000.0, unit: "ms", note }])
    })
}

/// `pending_1m_rss_mib`.
pub(super) fn pending() -> anyhow::Result<Vec<Figure>> {
    desk::runtime()?.block_on(async {
        let (receivers, folder) = (Receivers::start(&std::env::current_exe()?)?, tempfile::tempdir()?);
        let engine = Engine::start(folder.path(), MadeUp::of(1), healthy(&receivers, 100)).await?;
        receivers.until(100, TURN).await?;
        engine.stop().await?;
        owe_a_million(&folder.path().join("attempts.db"))?;
        receivers.reset().await?;
        let begin = Instant::now();
        let sender = Sender::start(&std::env::current_exe()?, folder.path(), receivers.address, 100, 10_001)?;
        receivers.until(100, Duration::from_secs(60)).await?;
        let (value, took) = (resident_mib(sender.id())?, begin.elapsed());
        sender.kill()?;
        let note = format!("10 000 at each of 100 endpoints; the next one was delivered to all after {took:.1?}");
        Ok(vec![Figure { name: "pending_1m_rss_mib", value, unit: "MiB", note }])
    })
}

/// Makes ten thousand notifications wait at each of the hundred endpoints.
fn owe_a_million(path: &Path) -> anyhow::Result<()> {
    let far_ms = receiver::now_us() / 1_000 + 86_400_000;
    let connection = Connection::open(path)?;
    connection.execute(
        "INSERT INTO retries (subscription, position, not_before_ms, attempts, failures)
         WITH RECURSIVE positions (position) AS (
             SELECT 1 UNION ALL SELECT position + 1 FROM positions WHERE position < 10000
         )
         SELECT number, position, ?1 + position * 100 + number, 1, 1 FROM subscriptions, positions",
        params![far_ms],
    )?;
    connection.execute("UPDATE cursors SET dispatched_through = 10000", [])?;
    let owed: u64 = connection.query_row("SELECT count(*) FROM retries", [], |row| row.get(0))?;
    ensure!(owed == 1_000_000, "{owed} are owed");
    Ok(())
}

/// `delivery_kill_*`.
pub(super) fn kill() -> anyhow::Result<Vec<Figure>> {
    let program = std::env::current_exe()?;
    let killed = desk::runtime()?.block_on(kills::kill(&program, 20, 60_000))?;
    let note = format!(
        "20 kills; {} sends of 60000 notifications to {} endpoints, {} rows",
        killed.sent,
        kills::ENDPOINTS,
        killed.rows
    );
    let figure = |name, value, unit| Figure { name, value, unit, note: note.clone() };
    Ok(vec![
        figure("delivery_kill_unlogged", killed.unlogged as f64, "sends"),
        figure("delivery_kill_never_sent", killed.never_sent as f64, "notifications"),
        figure("delivery_kill_first_s", killed.first_after.as_secs_f64(), "s"),
    ])
}
