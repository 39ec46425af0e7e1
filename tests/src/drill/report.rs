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
    /// How many of them were sealed, all of them amid the troubles.
    pub sealed: u64,
    /// How often a desk was killed with a part of its old log sealed and a part still to be.
    pub kills_amid_sealing: u32,
    /// How many events were there when the recovery was measured.
    pub events_at_recovery: u64,
    /// From a kill to the first progress of a deposit, the shortest first.
    pub recoveries: Vec<Duration>,
    /// What the customer saw of the page.
    pub looks: Option<Looks>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Of two drills at the same time.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        for (kind, count) in other.troubles {
            *self.troubles.entry(kind).or_default() += count;
        }
        self.recoveries.append(&mut other.recoveries);
        self.recoveries.sort();
        Self {
            troubles: self.troubles,
            kills: self.kills + other.kills,
            left_out: self.left_out,
            bus_errors: self.bus_errors + other.bus_errors,
            disk_errors: self.disk_errors + other.disk_errors,
            judged: self.judged + other.judged,
            deposits: self.deposits + other.deposits,
            orders: self.orders + other.orders,
            events: self.events + other.events,
            sealed: self.sealed + other.sealed,
            kills_amid_sealing: self.kills_amid_sealing + other.kills_amid_sealing,
            events_at_recovery: self.events_at_recovery.max(other.events_at_recovery),
            recoveries: self.recoveries,
            looks: match (self.looks, other.looks) {
                (Some(own), Some(others)) => Some(own.and(others)),
                (own, others) => own.or(others),
            },
            took: self.took.max(other.took),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let troubles: u32 = self.troubles.values().sum();
        let kinds: Vec<_> = self.troubles.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(f, "{troubles} troubles: {}", kinds.join(", "))?;
        let rate = f64::from(self.kills) / self.took.as_secs_f64().max(1e-3);
        writeln!(
            f,
            "{} kills in {:.0?} ({rate:.1} a second), {} amid sealing; {} complaints of the disk, {} cores died of SIGBUS",
            self.kills, self.took, self.kills_amid_sealing, self.disk_errors, self.bus_errors
        )?;
        writeln!(
            f,
            "{} deposits paid in and out, {} orders taken, {} events, {} of them sealed; judged {} times",
            self.deposits, self.orders, self.events, self.sealed, self.judged
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
                "first progress after a kill, {} events in a log: median {median:.0?}, slowest of {} {worst:.0?}",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_drills_at_once_are_as_many_kills_and_the_slowest_of_both() {
        let some = |kills, worst_ms, told| Report {
            troubles: [(Kind::Kill, kills)].into(),
            kills,
            recoveries: vec![Duration::from_millis(worst_ms)],
            looks: Some(Looks { looks: 9, told, worst: Duration::from_millis(worst_ms), amid: None }),
            took: Duration::from_secs(u64::from(kills)),
            ..Report::default()
        };
        let both = some(3, 70, 1).and(some(4, 20, 2));
        assert_eq!((both.kills, both.troubles[&Kind::Kill], both.took.as_secs()), (7, 7, 4));
        assert_eq!(both.recoveries, [Duration::from_millis(20), Duration::from_millis(70)]);
        let looks = both.looks.unwrap();
        assert_eq!((looks.looks, looks.told, looks.worst.as_millis()), (18, 3, 70));
    }
}
