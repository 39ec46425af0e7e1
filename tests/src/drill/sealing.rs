//! A log that is sealed while its desk is killed, cut off and lied to: in the end nothing is left to be sealed, and all of it is sound.

use anyhow::{Context, Result, ensure};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_model::ids::Position;
use serde_json::Value;

use super::scene::{AT_REST_WITHIN, Scene};

/// How many events a segment has; as many more are always left as they are.
const SEGMENT: Position = 512;

impl Scene {
    /// Whether some of what was there before the first trouble is sealed, and some is still to be.
    pub(super) fn is_sealed_in_part(&self) -> bool {
        // Where the disk is gone nobody knows.
        let sealed = self.desk.log().and_then(|log| Ok(log.sealed_until()?)).unwrap_or_default();
        (1..self.to_be_sealed()).contains(&sealed)
    }

    /// Up to which position the log has to be sealed in the end, whatever the clock showed amid the troubles.
    fn to_be_sealed(&self) -> Position {
        (self.events_before / SEGMENT).saturating_sub(1) * SEGMENT
    }

    /// Waits until the desk has sealed what it can, and has it proved by the real program. This desk seals at once, and all is at rest.
    pub(super) async fn sealed(&mut self) -> Result<()> {
        // What was recorded while the clock was ahead is sealed when that time has come.
        let (log, now) = (self.desk.log()?, SystemClock.now());
        let is_sealed = async || Ok(log.next_segment(now)?.is_none().then_some(()));
        self.desk.until(AT_REST_WITHIN, "all is sealed that can be", is_sealed).await?;
        let sealed = log.sealed_until()?;
        let fewest = self.to_be_sealed();
        ensure!(sealed >= fewest, "the log is sealed up to {sealed} instead of {fewest}");
        self.report.sealed = sealed;
        let report: Value = serde_json::from_str(&self.desk.command(&["verify", "--json"]).await?)?;
        ensure!(report["well"].as_bool().context("a verdict")?, "the sealed log is not well: {report}");
        Ok(())
    }
}
