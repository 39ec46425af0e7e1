//! What a drill came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::page::Looks;
use super::plan::Kind;

/// What a drill did and saw.
#[derive(Debug, Default)]
pub struct Report {
    /// How often each trouble came.
    pub troubles: BTreeMap<Kind, u32>,
    /// Processes that were killed, by whatever means.
    pub kills: u32,
    /// What this machine does not permit.
    pub left_out: Vec<String>,
    /// Cores that ended with SIGBUS.
    pub bus_errors: u32,
    /// How often the desk complained of its disk, in its log.
    pub disk_errors: u32,
    /// How often everything was judged.
    pub judged: u32,
    /// Deposits that were paid in, all of them paid out once.
    pub deposits: u64,
    /// Orders that the exchange took.
    pub orders: usize,
    /// Events in the log, whose hashes were computed anew.
    pub events: u64,
    /// How many of them were there when the recovery was measured.
    pub events_at_recovery: u64,
    /// From a kill to the first progress of a deposit, the shortest first.
    pub recoveries: Vec<Duration>,
    /// What the customer saw of the page.
    pub looks: Option<Looks>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let troubles: u32 = self.troubles.values().sum();
        let kinds: Vec<_> = self.troubles.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(f, "{troubles} troubles: {}", kinds.join(", "))?;
        let rate = f64::from(self.kills) / self.took.as_secs_f64().max(1e-3);
        writeln!(
            f,
            "{} kills in {:.0?} ({rate:.1} a second); {} complaints of the disk, {} cores died of SIGBUS",
            self.kills, self.took, self.disk_errors, self.bus_errors
        )?;
        writeln!(
            f,
            "{} deposits paid in and out, {} orders taken, {} events; judged {} times",
            self.deposits, self.orders, self.events, self.judged
        )?;
        if let Some(looks) = self.looks {
            writeln!(
                f,
                "the page: {} looks, {} of them told that the core restarts, the slowest answer after {:.0?} ({})",
                looks.looks,
                looks.told,
                looks.worst,
                looks.amid.map_or("none", Kind::name)
            )?;
        }
        if let (Some(worst), Some(median)) = (self.recoveries.last(), self.recoveries.get(self.recoveries.len() / 2)) {
            writeln!(
                f,
                "first progress after a kill, {} events in the log: median {median:.0?}, slowest of {} {worst:.0?}",
                self.events_at_recovery,
                self.recoveries.len()
            )?;
        }
        for what in &self.left_out {
            writeln!(f, "LEFT OUT, not permitted here: {what}")?;
        }
        write!(f, "0 violations")
    }
}
