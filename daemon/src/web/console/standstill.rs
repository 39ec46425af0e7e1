//! Why something does not go on: what is switched off, which part does not run, and who outside does not answer.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::supervision::PartHealth;
use millrace_actors::{buyer, decider, finality, market, scanner, sender, stock};
use millrace_model::desk::{Desk, Setting, Switch};

use super::words::{self, moment};

/// Where the desk, or somebody it depends on, has to act before a deposit goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Station {
    /// Payments are looked for in the chain.
    Seeing,
    /// What becomes of a deposit is decided.
    Deciding,
    /// Coins are bought for it.
    Buying,
    /// It is paid out.
    Paying,
    /// The payout becomes final.
    Settling,
}

/// One of the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// What it is.
    pub(super) text: String,
    /// Since when, where that is known.
    pub(super) since: Option<DateTime<Utc>>,
}

/// Conditions with these beginnings say what runs low, and nothing stands still for that yet.
const WARNING: &str = "low_";
/// The conditions of parts whose node or exchange does nothing for them, or that are told not to act: by a file, the configuration
/// or a log that may not be the newest.
const STOPS: [&str; 6] = ["bitcoin_node", "skycoin_node", "skycoin_sync", "c2cx", "purchases", "sends"];

impl Station {
    /// Where a deposit of this status is.
    pub(super) fn of_deposit(status: &str) -> Option<Self> {
        match status {
            "pending" => Some(Self::Seeing),
            "wait_decide" => Some(Self::Deciding),
            "wait_buy" => Some(Self::Buying),
            "wait_send" => Some(Self::Paying),
            "wait_confirm" => Some(Self::Settling),
            _ => None,
        }
    }

    /// Who works there, and whom he relies on.
    const fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Seeing => &[scanner::PART],
            Self::Deciding => &[decider::PART],
            Self::Buying => &[buyer::PART, market::PART],
            Self::Paying => &[sender::PART, stock::PART],
            Self::Settling => &[finality::PART],
        }
    }

    const fn switch(self) -> Option<Switch> {
        match self {
            Self::Buying => Some(Switch::Purchases),
            Self::Paying => Some(Switch::Sends),
            Self::Seeing | Self::Deciding | Self::Settling => None,
        }
    }

    /// Why nothing at all goes on there.
    pub(super) fn stops(self, desk: &Desk, parts: &[PartHealth]) -> Vec<Cause> {
        self.causes(desk, parts, |kind| STOPS.contains(&kind))
    }

    /// The same, and why something there may not.
    pub(super) fn hindrances(self, desk: &Desk, parts: &[PartHealth]) -> Vec<Cause> {
        self.causes(desk, parts, |kind| !kind.starts_with(WARNING))
    }

    fn causes(self, desk: &Desk, parts: &[PartHealth], counts: impl Fn(&str) -> bool) -> Vec<Cause> {
        let switch = self.switch().filter(|switch| desk.setting(*switch) == Setting::Off);
        let off = switch.map(|switch| Cause { text: format!("{} are turned off", words::switch(switch)), since: None });
        let halt = desk.halt().filter(|_| self.switch().is_some());
        let halt = halt.map(|cause| Cause { text: format!("the desk is halted: {cause}"), since: None });
        let mut causes: Vec<_> = halt.into_iter().chain(off).collect();
        for part in parts.iter().filter(|part| self.parts().contains(&part.name.as_str())) {
            if part.state.is_out() {
                let since = part.failing.map_or(part.since, |failing| failing.since);
                causes.push(Cause { text: format!("{} is {}", part.name, part.state.word()), since: Some(since) });
            }
            for condition in part.conditions.iter().filter(|condition| counts(condition.kind)) {
                if !causes.iter().any(|cause| cause.text == condition.text) {
                    causes.push(Cause { text: condition.text.clone(), since: Some(condition.since) });
                }
            }
        }
        causes
    }
}

/// The causes, each with the time since.
pub(super) fn told(causes: &[Cause], now: DateTime<Utc>) -> Markup {
    html! {
        @for (index, cause) in causes.iter().enumerate() {
            @if index > 0 { "; " }
            (cause.text)
            @if let Some(since) = cause.since { " (" (moment(since, now)) ")" }
        }
    }
}
