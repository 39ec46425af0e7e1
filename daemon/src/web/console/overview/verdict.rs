//! Whether money moves, in one sentence.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use millrace_model::desk::{Setting, Switch};

use super::Standing;
use crate::web::console::outage::Outage;
use crate::web::console::standstill::{self, Cause, Station};
use crate::web::console::words::{self, Tone, counted, first_upper, mark, span};
use crate::web::operator::OperatorState;

/// A deposit that has stood where the desk has to act for so long is worth a look; confirmations take their own time.
const SLOW: TimeDelta = TimeDelta::minutes(30);

/// What moves money, as it is called.
const MOVES: [(Station, &str); 3] =
    [(Station::Buying, "purchases"), (Station::Paying, "payouts"), (Station::Seeing, "new deposits")];

/// What the sentence is made of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    /// Events can be stored.
    has_log: bool,
    halted: Option<String>,
    /// What operators turned off.
    off: Vec<&'static str>,
    /// What of that stands still, and why.
    stopped: Vec<(&'static str, Vec<Cause>)>,
    /// Whether it is known where deposits stand.
    is_known: bool,
    /// Parts that are not well.
    ailing: Vec<String>,
    open: u64,
    held: u64,
    /// How long the deposit has waited that waits longest for the desk to act.
    waits: Option<TimeDelta>,
}

pub(super) fn of(
    desk: &OperatorState,
    outage: Option<&Outage>,
    standing: Option<&Standing>,
    now: DateTime<Utc>,
) -> Markup {
    let (has_log, is_known) = (outage.is_none(), standing.is_some());
    let facts = Facts { has_log, is_known, ..Facts::of(desk, standing, now) };
    let (tone, answer, why) = facts.told();
    let stopped = if facts.has_log && facts.halted.is_none() { facts.stopped.as_slice() } else { &[] };
    html! {
        p.verdict { (mark(tone, answer)) @if !why.is_empty() { ": " (why) } }
        @if !stopped.is_empty() { ul {
            @for (name, causes) in stopped { li { b { (first_upper(name)) " stand still" } ": " (standstill::told(causes, now)) } }
        } }
    }
}

impl Facts {
    fn of(desk: &OperatorState, standing: Option<&Standing>, now: DateTime<Utc>) -> Self {
        let switches = desk.operations.switches();
        let switches = switches.borrow();
        let all = [Switch::Binds, Switch::Purchases, Switch::Sends];
        let off = all.into_iter().filter(|switch| switches.setting(*switch) == Setting::Off);
        let parts = desk.tree.health().snapshot();
        let lines = standing.map_or(&[][..], |standing| &standing.lines);
        Self {
            has_log: true,
            halted: switches.halt().map(ToString::to_string),
            off: off.map(words::switch).collect(),
            stopped: MOVES
                .into_iter()
                .map(|(station, name)| (name, station.stops(&switches, &parts)))
                .filter(|(_, causes)| !causes.is_empty())
                .collect(),
            is_known: true,
            ailing: parts.iter().filter(|part| part.ails()).map(|part| part.name.clone()).collect(),
            open: desk.views.totals().open(),
            held: lines.iter().filter(|one| one.line.status == "held").map(|one| one.line.deposits).sum(),
            waits: standing.and_then(|standing| standing.waits_since).map(|since| now - since),
        }
    }

    /// How it is, the answer, and why.
    fn told(&self) -> (Tone, &'static str, String) {
        if !self.has_log {
            return (Tone::Broken, "Money is not moving", "nothing is done that cannot be put into the log".to_owned());
        }
        if let Some(cause) = &self.halted {
            return (
                Tone::Broken,
                "Money is not moving",
                format!("no order and no payout goes out since a halt: {cause}"),
            );
        }
        let mut why = Vec::new();
        if !self.off.is_empty() {
            why.push(format!("turned off: {}", self.off.join(", ")));
        }
        if let [first, rest @ ..] = self.ailing.as_slice() {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            why.push(format!("not well: {first}{others}"));
        }
        if let Some(waits) = self.waits.filter(|waits| *waits > SLOW) {
            why.push(format!("a deposit has waited for the desk for {}", span(waits)));
        }
        if self.held > 0 {
            why.push(format!("{} held for somebody to decide", counted(self.held, "deposit is", "deposits are")));
        }
        if !self.is_known {
            why.push("where deposits stand is not known".to_owned());
        }
        if !self.stopped.is_empty() {
            let names: Vec<_> = self.stopped.iter().map(|(name, _)| *name).collect();
            let answer = if names.len() == MOVES.len() { "Money is not moving" } else { "Not all money is moving" };
            why.insert(0, format!("{} stand still", names.join(" and ")));
            return (Tone::Broken, answer, why.join("; "));
        }
        let open = counted(self.open, "deposit is", "deposits are");
        match (why.is_empty(), self.open) {
            (true, 0) => (Tone::Well, "All is quiet", "no deposit is open".to_owned()),
            (true, _) => (Tone::Well, "Money is moving", format!("{open} on the way")),
            (false, _) => (Tone::Ailing, "Money is moving, with something to look at", why.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Facts {
        Facts { has_log: true, is_known: true, open: 2, ..Facts::default() }
    }

    #[test]
    fn what_stops_everything_is_said_before_what_slows_it() {
        let halted = Some("coins are missing".to_owned());
        let dead = Facts { has_log: false, halted: halted.clone(), ..well() };
        assert!(dead.told().2.contains("the log"));
        let (tone, answer, why) = Facts { halted, off: vec!["payouts"], ..well() }.told();
        assert!(tone == Tone::Broken && answer.contains("not moving") && why.contains("coins are missing"));
    }

    #[test]
    fn everything_worth_a_look_is_named() {
        let ailing = vec!["buyer".to_owned(), "market".to_owned()];
        let facts =
            Facts { off: vec!["deposit addresses"], ailing, held: 1, waits: Some(TimeDelta::hours(2)), ..well() };
        let (tone, _, why) = facts.told();
        assert_eq!(tone, Tone::Ailing);
        for part in ["off: deposit addresses", "buyer and 1 more", "for 2 h 00 min", "1 deposit is held"] {
            assert!(why.contains(part), "{part}: {why}");
        }
    }

    #[test]
    fn money_that_stands_still_is_not_said_to_move() {
        let stopped = |names: &[&'static str]| names.iter().map(|name| (*name, Vec::new())).collect();
        let (tone, answer, why) = Facts { stopped: stopped(&["payouts"]), ..well() }.told();
        assert!(tone == Tone::Broken && answer == "Not all money is moving" && why == "payouts stand still", "{why}");
        let all = stopped(&MOVES.map(|(_, name)| name));
        assert_eq!(Facts { stopped: all, ..well() }.told().1, "Money is not moving");
        assert_eq!(Facts { is_known: false, ..well() }.told().0, Tone::Ailing);
    }

    #[test]
    fn a_desk_that_is_well_says_how_much_is_on_the_way() {
        assert_eq!(well().told(), (Tone::Well, "Money is moving", "2 deposits are on the way".to_owned()));
        assert_eq!(Facts { open: 0, ..well() }.told().1, "All is quiet");
        let fresh = Facts { waits: Some(TimeDelta::minutes(5)), ..well() };
        assert_eq!(fresh.told().0, Tone::Well);
    }
}
