//! Computes the hashes of the whole log anew, after each start and then once a day, and halts the desk where one does not
//! fit or an event is missing.
//!
//! It does so in the background, a page at a time with a rest between, and ends between two pages when it is told to. Damage
//! for which the desk was halted once and that an operator resumed over is told as long as it is there, and halts no
//! second time. What this version cannot read, and is what was stored, is no damage.

#[cfg(test)]
mod tests;

use std::time::Duration;

use millrace_model::damage::Damage;
use millrace_model::desk::HaltCause;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::brakes;
use crate::event_store::{Audit, ReadError, Step, Store, Verified, VerifyError};
use crate::operations::{OperateError, Operations};
use crate::supervision::{Reporter, Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "auditor";
/// How many events are verified at once: some milliseconds of work.
const PAGE_EVENTS: usize = 1_000;
/// The rest after a page, in the time that the page took: others need the disk and the processor too.
const REST: u32 = 3;
/// The pause after a log that could not be read, and after a halt that could not be stored.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// For so much damage one halt is stored; for what is beyond, the next.
const DAMAGES_MAX: usize = 64;

/// What the log came to when it was last verified whole, damaged or not.
pub type Audited = watch::Receiver<Option<Verified>>;

/// Adds the part to the tree; `every` is the pause between two audits.
pub fn start(tree: &Tree, store: Store, operations: Operations, every: Duration) -> Result<Audited, TreeError> {
    let (audited, seen) = watch::channel(None);
    tree.add_task(PART, move |report| {
        let (store, operations) = (store.clone(), operations.clone());
        Auditor { store, operations, report, findings: Findings::default() }.run(every, audited.clone())
    })?;
    Ok(seen)
}

/// Why the log was not verified to its end.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error("the log cannot be verified: {0}")]
    Read(#[from] ReadError),
    #[error("the log is damaged, and the desk cannot be halted: {0}")]
    NotHalted(#[from] OperateError),
}

/// The damage of one audit.
#[derive(Debug, Default)]
struct Findings {
    first: Option<Damage>,
    count: usize,
    /// For which the desk was never halted.
    untold: Vec<Damage>,
}

struct Auditor {
    store: Store,
    operations: Operations,
    report: Reporter,
    findings: Findings,
}

impl Auditor {
    async fn run(mut self, every: Duration, audited: watch::Sender<Option<Verified>>) {
        self.store.ready_for(&self.report).await;
        loop {
            self.findings = Findings::default();
            let pause = match self.audit().await {
                Ok(verified) => {
                    tracing::info!(position = verified.head, damages = self.findings.count, "the log was verified");
                    self.report.clear(PART);
                    audited.send_replace(Some(verified));
                    every
                }
                Err(obstacle) => {
                    tracing::warn!(%obstacle, "the log was not verified");
                    self.report.set(PART, obstacle.to_string());
                    AGAIN_AFTER
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn audit(&mut self) -> Result<Verified, Obstacle> {
        let end = self.store.head();
        let reader = self.store.reader()?;
        let mut audit = on_thread(move || reader.audit()).await?;
        loop {
            let begun = Instant::now();
            let (back, step) = on_thread(move || page(audit)).await;
            audit = back;
            match step {
                Ok(Step::More) => {}
                Ok(Step::End) => break,
                Err(VerifyError::Damaged(damage)) => {
                    self.found(damage)?;
                    // What is damaged close by is one halt.
                    if (1..DAMAGES_MAX).contains(&self.findings.untold.len()) {
                        continue;
                    }
                }
                Err(VerifyError::Read(error)) => return Err(error.into()),
            }
            self.halt().await?;
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
        let verified = audit.so_far();
        if verified.head < end {
            self.found(Damage::Missing { position: verified.head + 1 })?;
        }
        self.halted().await?;
        if self.findings.count == 0 {
            self.report.clear("damaged");
        }
        Ok(verified)
    }

    fn found(&mut self, damage: Damage) -> Result<(), Obstacle> {
        let Findings { first, count, untold } = &mut self.findings;
        *count += 1;
        let first = *first.get_or_insert(damage);
        if *count <= DAMAGES_MAX {
            tracing::error!(%damage, "the log is damaged");
        }
        let more = if *count > 1 { format!(" ({} more like this)", *count - 1) } else { String::new() };
        self.report.set("damaged", format!("the log is damaged: {first}{more}; compare it with a backup"));
        let (_, desk) = brakes::read_desk(&self.store)?;
        if !desk.was_halted_for(&damage) && untold.len() < DAMAGES_MAX {
            untold.push(damage);
        }
        Ok(())
    }

    /// Halts the desk for what it was never halted for, unless it is halted at the moment: one halt covers no other.
    async fn halt(&mut self) -> Result<(), Obstacle> {
        let untold = &mut self.findings.untold;
        if untold.is_empty() || brakes::read_desk(&self.store)?.1.halt().is_some() {
            return Ok(());
        }
        self.operations.halt(HaltCause::Damaged { damages: untold.clone() }).await?;
        let (_, desk) = brakes::read_desk(&self.store)?;
        untold.retain(|damage| !desk.was_halted_for(damage));
        Ok(())
    }

    /// The same, and waits until that could be done.
    async fn halted(&mut self) -> Result<(), Obstacle> {
        let mut switches = self.operations.switches();
        loop {
            self.halt().await?;
            if self.findings.untold.is_empty() {
                return Ok(());
            }
            if let Ok(Err(_)) = tokio::time::timeout(AGAIN_AFTER, switches.changed()).await {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

fn page(mut audit: Audit) -> (Audit, Result<Step, VerifyError>) {
    let step = audit.page(PAGE_EVENTS);
    (audit, step)
}

/// The disk may be slow, and the other parts share a thread.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("verifying neither panics nor is aborted")
}
