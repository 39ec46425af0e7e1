//! `rebuild_live_loss`: the load of `pipeline_direct` on one desk, turn by turn without anything else and with all projections being
//! made anew over and over.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bitcoin::ScriptBuf;
use millrace_actors::projection::Projection;

use super::Figure;
use super::pipeline::{ADDRESSES, FIRST, Paid, Running};

/// Blocks that are paid out before anything is measured: the log that projections are made of is of some hundred thousand events.
const BLOCKS_BEFORE: u32 = 40;
/// Blocks of one turn.
const BLOCKS_A_TURN: u32 = 15;
const PAIRS: usize = 9;
const LOOK_EVERY: Duration = Duration::from_millis(2);
const MADE_WITHIN: Duration = Duration::from_secs(600);

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let blocks = BLOCKS_BEFORE + BLOCKS_A_TURN * 2 * PAIRS as u32;
        let outputs = blocks * u32::try_from(ADDRESSES)? + 1;
        let desk = Running::start(folder.path(), outputs)?;
        let mut load = Load::begin(&desk).await?;
        load.rate(BLOCKS_BEFORE).await?;
        let (first_events, alone) = (desk.store.head(), Rebuilds::default());
        alone.one(&desk).await?;
        let (mut pairs, during) = (Vec::new(), Rebuilds::default());
        for pair in 0..PAIRS {
            // Who is first is so every other time: the log grows.
            let with_first = if pair % 2 == 1 { Some(load.rate_with(&during).await?) } else { None };
            let without = load.rate(BLOCKS_A_TURN).await?;
            let with = match with_first {
                Some(with) => with,
                None => load.rate_with(&during).await?,
            };
            pairs.push(Pair { without, with });
        }
        ensure!(desk.wallet.payouts() == outputs as usize, "the wallet made {} payouts", desk.wallet.payouts());
        let events = (first_events, desk.store.head());
        desk.tree.shutdown(Duration::from_secs(5)).await;
        Ok(vec![figure(pairs, events, (&alone, &during))?])
    })
}

/// Deposits a second.
struct Pair {
    without: f64,
    with: f64,
}

impl Pair {
    fn loss(&self) -> f64 {
        1.0 - self.with / self.without
    }
}

fn figure(mut pairs: Vec<Pair>, events: (u64, u64), rebuilds: (&Rebuilds, &Rebuilds)) -> anyhow::Result<Figure> {
    pairs.sort_by(|one, other| one.loss().total_cmp(&other.loss()));
    let median = &pairs[PAIRS / 2];
    let (alone, during) = rebuilds;
    ensure!(during.many() >= PAIRS, "in each turn something was made anew");
    Ok(Figure {
        name: "rebuild_live_loss",
        value: median.loss(),
        unit: "of the throughput",
        note: format!(
            "{:.0} deposits/s with and {:.0} without; {:.2} to {:.2} in {PAIRS} pairs of {} deposits; all projections were made \
             anew {} times from {} to {} events, in {:.1} s on the average; alone, from the first of them, in {:.1} s",
            median.with,
            median.without,
            pairs[0].loss(),
            pairs[PAIRS - 1].loss(),
            BLOCKS_A_TURN as usize * ADDRESSES,
            during.many(),
            events.0,
            events.1,
            during.average_s(),
            alone.average_s(),
        ),
    })
}

/// The load on a desk.
struct Load<'d> {
    desk: &'d Running,
    scripts: Vec<ScriptBuf>,
    paid: Paid,
    next_block: u32,
}

impl<'d> Load<'d> {
    async fn begin(desk: &'d Running) -> anyhow::Result<Self> {
        let scripts = desk.bind_all().await?;
        let paid = desk.begin(&scripts[..1]).await?;
        Ok(Self { desk, scripts, paid, next_block: FIRST })
    }

    /// Has so many blocks paid out.
    async fn rate(&mut self, blocks: u32) -> anyhow::Result<f64> {
        let blocks = self.next_block..self.next_block + blocks;
        self.next_block = blocks.end;
        self.desk.rate(&self.scripts, blocks, &mut self.paid).await
    }

    /// The same while all projections are being made anew, as often as there is time for. The last one is waited for, so that the
    /// next turn is without.
    async fn rate_with(&mut self, rebuilds: &Rebuilds) -> anyhow::Result<f64> {
        let (desk, is_over) = (self.desk, Cell::new(false));
        let again = async {
            while !is_over.get() {
                rebuilds.one(desk).await?;
            }
            anyhow::Ok(())
        };
        let loaded = async {
            let rate = self.rate(BLOCKS_A_TURN).await;
            is_over.set(true);
            rate
        };
        let (rate, again) = futures::future::join(loaded, again).await;
        again.and(rate)
    }
}

/// How long making all projections anew took, each time.
#[derive(Default)]
struct Rebuilds(Cell<(usize, Duration)>);

impl Rebuilds {
    /// Has all of them made anew once.
    async fn one(&self, desk: &Running) -> anyhow::Result<()> {
        let generations = || -> Vec<i64> {
            let statuses = desk.views.projections(desk.store.head());
            statuses.into_iter().map(|status| status.generation).collect()
        };
        let (before, began) = (generations(), Instant::now());
        for projection in Projection::ALL {
            desk.views.rebuild(projection);
        }
        let made = async {
            while generations().iter().zip(&before).any(|(now, before)| now <= before) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(MADE_WITHIN, made).await.context("the projections are made anew")?;
        let (many, lasted) = self.0.get();
        self.0.set((many + 1, lasted + began.elapsed()));
        Ok(())
    }

    fn many(&self) -> usize {
        self.0.get().0
    }

    fn average_s(&self) -> f64 {
        self.0.get().1.as_secs_f64() / self.many() as f64
    }
}
