//! A deposit's way, step by step: what is behind it, where it is, and what is to come.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_model::deposit::{HoldReason, Method};
use millrace_model::desk::Switch;
use millrace_model::money::{Amount, Btc};

use super::super::Desk;
use super::super::shape::Deposit;
use super::super::standing::Standing;
use super::super::words::Words;
use super::reader::Reader;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Now,
    Later,
    Stopped,
}

impl State {
    const fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::Later => "later",
            Self::Stopped => "stopped",
        }
    }

    /// For who does not see the sign.
    const fn word(self, words: &Words) -> &'static str {
        match self {
            Self::Done => words.step_done,
            Self::Now => words.step_now,
            Self::Later => words.step_later,
            Self::Stopped => words.step_stopped,
        }
    }
}

/// What a deposit goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Seen,
    Confirmed,
    Decided,
    Bought,
    Sent,
    Final,
    /// Instead of what is left, where nothing is paid out.
    Ended,
}

const WITH_A_PURCHASE: [Step; 6] = [Step::Seen, Step::Confirmed, Step::Decided, Step::Bought, Step::Sent, Step::Final];

/// A deposit's sentence in the reader's language: of one that waits since nobody may go on with it, that.
pub(super) fn sentence(deposit: &Deposit, desk: &Desk, words: &Words) -> String {
    match deposit.status.as_str() {
        "wait_buy" if desk.is_closed(Switch::Purchases) => words.status.not_buying.to_owned(),
        "wait_send" if desk.is_closed(Switch::Sends) => words.status.not_sending.to_owned(),
        _ => standing(deposit, words),
    }
}

fn standing(deposit: &Deposit, words: &Words) -> String {
    let standing = Standing {
        status: &deposit.status,
        is_mined: deposit.milestones.mined_at.is_some(),
        held: deposit.held.as_ref(),
        outcome: deposit.outcome.as_deref(),
        depth: (deposit.depth, deposit.confirmations_required),
    };
    standing.sentence(words)
}

/// The steps as a list.
pub(super) fn timeline(deposit: &Deposit, desk: &Desk, reader: &Reader) -> Markup {
    let words = reader.words;
    html! {
        ol .timeline {
            @for (step, state) in steps(deposit, desk.terms.method) {
                li class=(state.class()) aria-current=[(state == State::Now).then_some("step")] {
                    span .sign aria-hidden="true" {}
                    span .name { (name(step, words)) span .unseen { " (" (state.word(words)) ")" } }
                    span .told { (told(step, state, deposit, (desk, reader))) }
                    @if let Some(at) = time(step, state, deposit) { span .when { (reader.time(at)) } }
                }
            }
        }
    }
}

fn steps(deposit: &Deposit, configured: Method) -> Vec<(Step, State)> {
    let is_passthrough = match deposit.method.as_deref() {
        Some(method) => method == Method::Passthrough.as_str(),
        None => configured == Method::Passthrough,
    };
    let all = WITH_A_PURCHASE.into_iter().filter(|step| is_passthrough || *step != Step::Bought);
    let (done, left): (Vec<_>, Vec<_>) = all.partition(|step| is_done(*step, deposit));
    let mut steps: Vec<_> = done.into_iter().map(|step| (step, State::Done)).collect();
    match (deposit.status.as_str(), deposit.outcome.as_deref()) {
        ("done", Some("paid")) => {}
        ("done", _) => steps.push((Step::Ended, State::Done)),
        ("refund_due" | "quarantined", _) => steps.push((Step::Ended, State::Stopped)),
        (status, _) => {
            let first = if status == "held" { State::Stopped } else { State::Now };
            let states = std::iter::once(first).chain(std::iter::repeat(State::Later));
            steps.extend(left.into_iter().zip(states));
            steps.sort_by_key(|(step, _)| *step as u8);
        }
    }
    steps
}

fn is_done(step: Step, deposit: &Deposit) -> bool {
    let times = &deposit.milestones;
    let is_paid = deposit.outcome.as_deref() == Some("paid");
    let is_orphaned = matches!(deposit.held, Some(HoldReason::DepositOrphaned));
    match step {
        Step::Seen => true,
        Step::Confirmed => times.received_at.is_some() && !is_orphaned,
        Step::Decided => times.decided_at.is_some() && deposit.method.is_some(),
        Step::Bought => times.bought_at.is_some(),
        Step::Sent => times.sent_at.is_some(),
        Step::Final => is_paid,
        Step::Ended => false,
    }
}

/// When a step was passed, or a deposit stopped at it.
fn time(step: Step, state: State, deposit: &Deposit) -> Option<DateTime<Utc>> {
    let times = &deposit.milestones;
    match state {
        State::Later | State::Now => return None,
        State::Stopped => return times.stopped_at,
        State::Done => {}
    }
    match step {
        Step::Seen => Some(deposit.detected_at),
        Step::Confirmed => times.received_at,
        Step::Decided => times.decided_at,
        Step::Bought => times.bought_at,
        Step::Sent => times.sent_at,
        Step::Final => times.ended_at,
        Step::Ended => times.ended_at,
    }
}

const fn name(step: Step, words: &Words) -> &'static str {
    match step {
        Step::Seen => words.steps.seen,
        Step::Confirmed => words.steps.confirmed,
        Step::Decided => words.steps.decided,
        Step::Bought => words.steps.bought,
        Step::Sent => words.steps.sent,
        Step::Final => words.steps.final_,
        Step::Ended => words.steps.ended,
    }
}

/// What is said beside a step's name. Where a deposit is stopped, its sentence.
fn told(step: Step, state: State, deposit: &Deposit, (desk, reader): (&Desk, &Reader)) -> Markup {
    let (words, explorers) = (reader.words, &desk.terms.explorers);
    if state == State::Later {
        return html! {};
    }
    html! {
        @match step {
            Step::Seen => (transaction(&deposit.txid, explorers.deposit(&deposit.txid))),
            Step::Confirmed => (confirmations(state, deposit, words)),
            Step::Decided => @match &deposit.rate {
                Some(rate) => ((words.steps.at_rate)(&reader.number(rate))),
                None => @if state == State::Done { (words.steps.by_exchange) },
            },
            Step::Bought => (bought(state, deposit, reader)),
            Step::Sent => {
                @if let Some(payout) = &deposit.payout { (reader.number(payout)) " SKY " }
                @if let Some(txid) = &deposit.payout_txid { (transaction(txid, explorers.payout(txid))) }
            }
            Step::Final => {}
            Step::Ended => (sentence(deposit, desk, words)),
        }
        @if state == State::Stopped && step != Step::Ended { " " span .why { (sentence(deposit, desk, words)) } }
    }
}

fn confirmations(state: State, deposit: &Deposit, words: &Words) -> Markup {
    let required = deposit.confirmations_required;
    html! {
        @if deposit.milestones.mined_at.is_none() && deposit.milestones.received_at.is_none() {
            (words.steps.not_mined)
        } @else if let Some(deep) = deposit.depth.map(|deep| deep.min(required)) {
            @if state == State::Now { progress max=(required) value=(deep) aria-hidden="true" {} " " }
            ((words.steps.confirmations)(deep, required))
        }
    }
}

fn bought(state: State, deposit: &Deposit, reader: &Reader) -> Markup {
    match (state, deposit.bought, deposit.spent) {
        (State::Done, Some(bought), Some(spent)) => {
            html! { (reader.number(bought)) " SKY / " (reader.number(spent)) " BTC" }
        }
        _ => {
            let spent = deposit.filled.unwrap_or_default();
            let percent = percent(spent, deposit.amount);
            let filled = reader.words.steps.filled;
            html! {
                progress max="100" value=(percent) aria-hidden="true" {}
                " " (filled(&reader.number(spent), &reader.number(deposit.amount), percent))
            }
        }
    }
}

/// How much of the whole this is, in whole percents, rounded down.
fn percent(part: Amount<Btc>, whole: Amount<Btc>) -> u32 {
    let hundredfold = u128::from(part.units()) * 100;
    let percent = hundredfold.checked_div(u128::from(whole.units())).unwrap_or_default();
    u32::try_from(percent.min(100)).unwrap_or(100)
}

/// A transaction's id; a link where an explorer is configured.
fn transaction(txid: &str, link: Option<String>) -> Markup {
    let short = format!("{}…{}", &txid[..8.min(txid.len())], &txid[txid.len().saturating_sub(6)..]);
    html! {
        @match link {
            Some(link) => a .txid href=(link) title=(txid) rel="noreferrer external" { (short) },
            None => code .txid title=(txid) { (txid) },
        }
    }
}

#[cfg(test)]
mod tests;
