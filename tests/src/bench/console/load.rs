//! A thousand events a second through the running program: deposits that are paid and go their whole way, and addresses that are
//! given out for the rest.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::Context;
use futures::future::{try_join_all, try_join3};
use millrace_actors::clock::{Clock, SystemClock};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::behind::Head;
use crate::bench::customers::{ADDRESSES_EACH, bind, target};
use crate::bench::http::Connection;
use crate::bench::real::RealDesk;
use crate::sandbox::Sandbox;

/// Events a second.
pub(super) const RATE: u64 = 1_000;
/// Addresses that are paid in turn.
const PAID_ADDRESSES: usize = 500;
/// Deposits in a block; each is some nine events.
const BLOCK: usize = 25;
const BLOCK_EVERY: Duration = Duration::from_millis(500);
/// How often more addresses are given out, if there are too few events.
const BIND_EVERY: Duration = Duration::from_millis(20);
const BINDS_AT_ONCE: usize = 24;
const EVENTS_A_BIND: u64 = 2;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often the hot wallet gets 400 further outputs, and what they hold: the usual ones last for few payouts.
const REFILLS: usize = 10;
const HOURS: u64 = 1_000_000_000;

/// Who makes the load.
pub(super) struct Load<'d> {
    desk: &'d RealDesk,
    sandbox: &'d Sandbox,
    addresses: Vec<String>,
    next_paid: usize,
    next_bind: usize,
}

/// What came of it.
pub(super) struct Loaded {
    /// Where the head was, every few milliseconds, until the end.
    pub(super) heads: Vec<Head>,
    /// What the desk used of the processors while there was load, in seconds a second.
    pub(super) processors: f64,
}

impl<'d> Load<'d> {
    pub(super) async fn begin(desk: &'d RealDesk, sandbox: &'d Sandbox) -> anyhow::Result<Self> {
        for _ in 0..REFILLS {
            sandbox.client.post("/skycoin/refill", &json!({ "outputs": 400, "coins": "100", "hours": HOURS })).await?;
        }
        let addresses = bind(desk, 0, PAID_ADDRESSES).await?.addresses;
        Ok(Self { desk, sandbox, addresses, next_paid: 0, next_bind: PAID_ADDRESSES })
    }

    /// Stores events for so long; looks on for as long as `is_watched`.
    pub(super) async fn run(&mut self, lasts: Duration, is_watched: &Cell<bool>) -> anyhow::Result<Loaded> {
        let Self { desk, sandbox, addresses, next_paid, next_bind } = self;
        // Connections that nobody uses for a while are closed.
        let (mut clients, mut watcher) = (clients(desk).await?, desk.operator().await?);
        let (begin, used) = (Instant::now(), desk.processor_time()?);
        let heads = RefCell::new(vec![head(&mut watcher).await?]);
        let writes = Cell::new(true);
        let watching = async {
            let mut tick = every(LOOK_EVERY);
            while writes.get() || is_watched.get() {
                tick.tick().await;
                let head = head(&mut watcher).await?;
                heads.borrow_mut().push(head);
            }
            anyhow::Ok(())
        };
        let paying = async {
            let mut tick = every(BLOCK_EVERY);
            while begin.elapsed() < lasts {
                tick.tick().await;
                pay(sandbox, addresses, next_paid).await?;
            }
            anyhow::Ok(())
        };
        let binding = async {
            let (mut tick, first) = (every(BIND_EVERY), heads.borrow()[0].position);
            while begin.elapsed() < lasts {
                tick.tick().await;
                let due = first + begin.elapsed().as_millis() as u64 * RATE / 1_000;
                let missing = due.saturating_sub(heads.borrow().last().context("a head")?.position);
                let binds = usize::try_from(missing / EVENTS_A_BIND)?.min(BINDS_AT_ONCE);
                bind_some(&mut clients[..binds], next_bind).await?;
                // The others the next time: a connection that nobody uses is closed.
                clients.rotate_left(binds);
            }
            let processors = (desk.processor_time()? - used).as_secs_f64() / begin.elapsed().as_secs_f64();
            writes.set(false);
            anyhow::Ok(processors)
        };
        let ((), (), processors) = try_join3(watching, paying, binding).await?;
        Ok(Loaded { heads: heads.into_inner(), processors })
    }
}

async fn clients(desk: &RealDesk) -> anyhow::Result<Vec<Connection>> {
    try_join_all((0..BINDS_AT_ONCE).map(|_| desk.public())).await
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

async fn head(watcher: &mut Connection) -> anyhow::Result<Head> {
    let at_ms = SystemClock.now().timestamp_millis();
    let position = watcher.get("/readyz").await?.json()?["head"].as_u64().context("a head")?;
    Ok(Head { at_ms, position })
}

/// A block in which some of the addresses are paid.
async fn pay(sandbox: &Sandbox, addresses: &[String], next: &mut usize) -> anyhow::Result<()> {
    let paid = addresses.iter().cycle().skip(*next % addresses.len()).take(BLOCK);
    let payments: Vec<_> = paid.map(|address| json!({ "address": address, "amount": "0.002" })).collect();
    *next += BLOCK;
    sandbox.client.post("/pay/many", &json!({ "payments": payments })).await?;
    sandbox.client.post("/mine", &json!({})).await?;
    Ok(())
}

/// An address each, at the same time.
async fn bind_some(clients: &mut [Connection], next: &mut usize) -> anyhow::Result<()> {
    let first = *next;
    *next += clients.len();
    let binds = clients.iter_mut().enumerate().map(|(index, client)| async move {
        let body = json!({ "skyaddr": target((first + index) / ADDRESSES_EACH), "coin_type": "BTC" });
        client.post("/api/bind", body.to_string()).await?.ok()
    });
    try_join_all(binds).await.map(drop)
}
