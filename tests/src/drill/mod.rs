//! The drill: the real program, and what machines, disks and networks do to it; the sandbox's books are the judge.
//!
//! One desk and one sandbox live through all of it, so that thousands of kills are a matter of minutes. The sandbox is a
//! process of its own and is never touched. Between desk and sandbox stand proxies that lose and garble ([`proxy`]); the
//! desk's disk is a file system of its own whose power can be cut, where that is permitted. Deposits are paid in all the
//! while, to be sold from stock or bought for, as each start of the desk draws it; a customer looks at the page all the while.
//!
//! Again and again all troubles stop, everything has to come to rest, and the log is held against the books.

mod page;
mod plan;
pub mod proxy;
mod report;
mod scene;
mod sealing;
mod tools;
mod troubles;

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use rand::seq::SliceRandom;
use tokio::runtime::{Builder, Runtime};

pub use page::Looks;
pub use plan::{Kind, Plan};
pub use report::Report;
pub use tools::Disk;

use self::scene::{Ground, Scene};
use self::tools::Tools;
use crate::seed;

/// How far a drill is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Troubles that are over.
    pub done: usize,
    /// All of them.
    pub of: usize,
    /// Processes that were killed.
    pub kills: u32,
    /// Deposits that were paid in.
    pub deposits: u64,
}

/// Goes through with it. Fails at the first violation, and when `progress` does.
pub fn run(plan: &Plan, progress: impl FnMut(Progress) -> Result<()>) -> Result<Report> {
    let tools = Tools::look();
    let ground = Ground::prepare(plan, &tools)?;
    // What watches and what stands between goes on while this thread waits for other programs.
    let runtime: Runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            report = drill(plan, tools, ground, progress) => report,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })
}

async fn drill(
    plan: &Plan,
    tools: Tools,
    ground: Ground,
    mut progress: impl FnMut(Progress) -> Result<()>,
) -> Result<Report> {
    let troubles = drawn(plan, &tools);
    let mut scene = Scene::begin(plan, tools, ground).await?;
    match go_through(plan, &troubles, &mut scene, &mut progress).await {
        Ok(()) => scene.end(),
        Err(violation) => {
            let kept = scene.keep().await.map_or_else(|error| format!("{error:#}"), |kept| kept.display().to_string());
            Err(violation.context(format!("what the desk had is kept: {kept}")))
        }
    }
}

async fn go_through(
    plan: &Plan,
    troubles: &[Kind],
    scene: &mut Scene,
    progress: &mut impl FnMut(Progress) -> Result<()>,
) -> Result<()> {
    let began = Instant::now();
    for (done, kind) in troubles.iter().enumerate() {
        progress(Progress { done, of: troubles.len(), kills: scene.report.kills, deposits: scene.paid_in() })?;
        if done % plan.judged_every == plan.judged_every - 1 {
            scene.rest_and_judge().await?;
        }
        scene.a_while().await?;
        scene.suffer(*kind).await?;
        *scene.report.troubles.entry(*kind).or_default() += 1;
        ensure_page(scene)?;
    }
    scene.rest_and_judge().await?;
    // The measurements that follow have another rate.
    scene.report.took = began.elapsed();
    scene.measure_recovery(plan.recoveries.max(1)).await?;
    scene.judge_to_the_last_hash().await?;
    ensure_page(scene)?;
    if let Some(slowest) = scene.report.recoveries.last() {
        ensure!(*slowest <= plan.recovers_within, "it took {slowest:?} from a kill to the first progress");
    }
    Ok(())
}

fn ensure_page(scene: &Scene) -> Result<()> {
    match scene.page_broken() {
        Some(problem) => bail!("the page at / did not keep its promise: {problem}"),
        None => Ok(()),
    }
}

/// The troubles in the order of this seed, without what is not permitted.
fn drawn(plan: &Plan, tools: &Tools) -> Vec<Kind> {
    let permitted = |kind: Kind| tools.missing_for(kind).is_none();
    let planned = plan.troubles.iter().filter(|(kind, _)| permitted(*kind));
    let mut troubles: Vec<Kind> =
        planned.flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count as usize)).collect();
    troubles.shuffle(&mut seed::chance(plan.seed, "troubles"));
    troubles
}
