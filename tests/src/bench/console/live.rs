//! The console beside a desk that stores a thousand events a second: whether it stands still, and how far behind it is.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::behind::Behind;
use super::browser;
use super::load::{Load, Loaded, RATE};
use crate::bench::Figure;
use crate::bench::real::RealDesk;
use crate::console::enter;
use crate::peers::browser::Watched;
use crate::sandbox::{Sandbox, Timing};

const SETTINGS: &[(&str, &str)] = &[
    ("MILLRACE_DESK__METHOD", "direct"),
    ("MILLRACE_DESK__RATE", "500"),
    ("MILLRACE_DESK__MINIMUM_DEPOSIT", "0.0001"),
    ("MILLRACE_SKYCOIN__POLL_MS", "100"),
    ("MILLRACE_BITCOIN__CONFIRMATIONS", "1"),
    ("MILLRACE_BITCOIN__POLL_MS", "100"),
];
/// What is open, one after the other.
const PAGES: [(&str, &str); 3] = [("overview", ""), ("log", "/log"), ("deposits", "/deposits")];
/// Where each page says how far the log is, and the views.
const STRIP: &str = ".strip a[href='/console/log']";
const LASTS: Duration = Duration::from_secs(20);
/// The page is watched for longer, so that what was stored last is seen.
const WATCHED: Duration = Duration::from_secs(25);
const LOADED_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn measure(data_dir: &Path) -> anyhow::Result<Vec<Figure>> {
    browser()?;
    let timing = Timing { skycoin_block_ms: 100, ..Timing::default() };
    let sandbox = Sandbox::start(&data_dir.join("sandbox"), timing).await?;
    let desk = RealDesk::start(data_dir, SETTINGS).await?;
    let mut load = Load::begin(&desk, &sandbox).await?;
    let alone = load.run(LASTS, &Cell::new(false)).await?;
    let mut looks = Vec::new();
    for (name, path) in PAGES {
        let (watched, loaded) = look(&desk, &mut load, path).await.context(name)?;
        let behind = Behind::of(&loaded.heads, &watched).context(name)?;
        looks.push(Look { name, watched, behind, processors: loaded.processors });
    }
    Ok(figures(&looks, alone.processors))
}

/// A page, what it did, and what that took of the desk.
struct Look {
    name: &'static str,
    watched: Watched,
    behind: Behind,
    processors: f64,
}

/// Has the page open while events are stored, and for a while after.
async fn look(desk: &RealDesk, load: &mut Load<'_>, path: &str) -> anyhow::Result<(Watched, Loaded)> {
    let folder = tempfile::tempdir()?;
    let (seen, console) = (folder.path().join("seen.png"), desk.console());
    let visit = enter(browser()?, &console, &desk.password()?).open(format!("{console}{path}"));
    let visit = visit.wait_for_text(STRIP, "Log at").screenshot(&seen).watch(STRIP, WATCHED);
    let is_watched = Cell::new(true);
    let watching = async {
        let visit = visit.run().await;
        is_watched.set(false);
        visit
    };
    let loading = async {
        let opened = async {
            while !seen.exists() && is_watched.get() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LOADED_WITHIN, opened).await.context("the page is not opened")?;
        load.run(LASTS, &is_watched).await
    };
    let (visit, loaded) = futures::future::join(watching, loading).await;
    let mut visit = visit?;
    ensure!(visit.errors.is_empty(), "{:?}", visit.errors);
    let watched = visit.watched.pop().context("nothing was watched")?;
    Ok((watched, loaded?))
}

fn figures(looks: &[Look], alone: f64) -> Vec<Figure> {
    let worst = |of: fn(&Look) -> f64| looks.iter().map(of).fold(0.0, f64::max);
    let each = |told: &dyn Fn(&Look) -> String| looks.iter().map(told).collect::<Vec<_>>().join("; ");
    let figure = |name, value, unit, note| Figure { name, value, unit, note };
    vec![
        figure(
            "console_live_gap_ms",
            worst(|look| look.watched.longest_gap_ms),
            "ms",
            format!(
                "longest time without a frame, {RATE} events/s for {LASTS:?} with each page open in Chromium: {}; bar 200",
                each(&|look| format!(
                    "{} {:.0} ({} frames, {} refreshes, {} long tasks of {:.0} ms at most)",
                    look.name,
                    look.watched.longest_gap_ms,
                    look.watched.frames,
                    look.watched.fetches,
                    look.watched.long_tasks,
                    look.watched.longest_task_ms,
                )),
            ),
        ),
        figure(
            "console_live_behind_ms",
            worst(|look| look.behind.worst_ms as f64),
            "ms",
            format!(
                "from before an event is stored to the first frame that shows it, the worst: {}; bar 1500",
                each(&|look| format!(
                    "{} {} (p50 {}, the last {}, {} events)",
                    look.name, look.behind.worst_ms, look.behind.p50_ms, look.behind.last_ms, look.behind.events,
                )),
            ),
        ),
        figure(
            "console_live_cpu_ratio",
            worst(|look| look.processors) / alone,
            "of the desk's",
            format!(
                "of a processor at {RATE} events/s: {alone:.2} when nobody looks; {}",
                each(&|look| format!("{} {:.2}", look.name, look.processors)),
            ),
        ),
    ]
}
