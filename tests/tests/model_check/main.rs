//! Walks through every state that a deposit with its effects can come to, under crashes, lost, delayed and repeated requests,
//! reorganisations of both chains, and repeated detections, up to a bound on how often each may happen.
//!
//! What is walked through is the deposit's real machine, with the real machines of the purchase and of the payout driven as
//! the buyer and the sender drive them. Around it stand two chains and an exchange of a few states each.
//!
//! In every state: nothing was bought or paid for before it was received, at most one payout of a deposit is known to the
//! node, no more is bought than the deposit pays for, and a run from there on in which nothing goes wrong ends. So that the
//! checker itself is tried, the same walk with one thing done wrong must find it.
//!
//! `MILLRACE_FAULTS=crashes=4,losses=2 cargo test --release -p millrace-tests --test model_check -- --nocapture` walks further
//! and prints how far; each further fault makes it several times as many states.

mod buying;
mod chain;
mod desk;
mod exchange;
mod shared;
mod steps;
mod walk;
mod wallet;
mod world;

use desk::Way;
use walk::{ENDS, SAFE, Walk};
use world::{Faults, Twist};

/// The variable that sets another bound, such as `crashes=4,reorganisations=4`; what it does not name stays.
const VARIABLE: &str = "MILLRACE_FAULTS";

#[expect(
    clippy::disallowed_methods,
    reason = "the tests have no configuration file; a longer walk is asked for by this"
)]
fn bound(usually: Faults) -> Faults {
    std::env::var(VARIABLE).map_or(usually, |text| {
        usually.with(&text).unwrap_or_else(|| panic!("{VARIABLE} is such as crashes=4,losses=2, not {text:?}"))
    })
}

fn holds(name: &str, way: Way, faults: Faults) {
    let found = Walk::new(way, Twist::None, bound(faults)).find(name);
    assert!(found.is_none(), "{}", found.unwrap_or_default());
}

/// P1: every state of a sale, with crashes and losses everywhere.
#[test]
fn a_direct_sale_is_paid_once_and_always_ends() {
    let faults = Faults {
        crashes: 2,
        losses: 1,
        duplicates: 1,
        reorganisations: 1,
        detections: 1,
        strangers: 1,
        ..Faults::default()
    };
    holds("direct", Way::Direct, faults);
}

#[test]
fn a_direct_sale_survives_two_reorganisations() {
    let faults = Faults { crashes: 1, losses: 1, reorganisations: 2, strangers: 1, ..Faults::default() };
    holds("direct, reorganised", Way::Direct, faults);
}

/// P1: every state of a purchase and its payout.
#[test]
fn a_passthrough_is_bought_once_paid_once_and_always_ends() {
    let faults = Faults { crashes: 2, losses: 2, impatience: 1, refusals: 1, ..Faults::default() };
    holds("passthrough", Way::Passthrough, faults);
    let faults = Faults { crashes: 1, losses: 1, duplicates: 1, impatience: 1, refusals: 1, ..Faults::default() };
    holds("passthrough, requests repeated", Way::Passthrough, faults);
}

/// D3: bought for and gone, it ends as written off, with all that was bought told.
#[test]
fn a_passthrough_survives_a_reorganisation_and_an_operator() {
    let faults = Faults { crashes: 1, losses: 1, reorganisations: 1, refusals: 1, ..Faults::default() };
    holds("passthrough, reorganised", Way::Passthrough, faults);
    let faults = Faults { crashes: 1, losses: 1, impatience: 1, refusals: 1, operator: 1, ..Faults::default() };
    holds("passthrough, held by an operator", Way::Passthrough, faults);
}

/// The walk finds what is done wrong, with few faults.
fn finds(way: Way, twist: Twist, faults: Faults, property: &'static str) {
    let found = Walk::new(way, twist, faults).only(property).find(&format!("{twist:?}"));
    println!("{}", found.unwrap_or_else(|| panic!("{twist:?} was not found")));
}

/// P1: bytes sent before they are in the log would be found.
#[test]
fn bytes_sent_before_they_are_in_the_log_are_found() {
    let faults = Faults { crashes: 1, ..Faults::default() };
    finds(Way::Direct, Twist::SendsBeforeTheLog, faults, SAFE);
}

/// P4: a desk that signed anew would be found.
#[test]
fn a_payout_signed_anew_after_an_unknown_outcome_is_found() {
    let faults = Faults { losses: 1, ..Faults::default() };
    finds(Way::Direct, Twist::SignsAnewAfterUnknown, faults, SAFE);
}

/// X1: a desk that took a new id after a lost reply would be found.
#[test]
fn a_new_order_id_after_a_lost_reply_is_found() {
    let faults = Faults { losses: 1, ..Faults::default() };
    finds(Way::Passthrough, Twist::NewIdAfterUnknown, faults, SAFE);
}

/// D1: a desk that took the second report for a second deposit would be found.
#[test]
fn a_detection_taken_for_another_deposit_is_found() {
    let faults = Faults { detections: 1, ..Faults::default() };
    finds(Way::Direct, Twist::DetectsTwice, faults, SAFE);
}

/// D4: a desk that did not wait would be found.
#[test]
fn a_scanner_that_does_not_wait_for_depth_is_found() {
    finds(Way::Direct, Twist::MaturesInTheFirstBlock, Faults::default(), SAFE);
    finds(Way::Passthrough, Twist::MaturesInTheFirstBlock, Faults::default(), SAFE);
}

/// What the desk relies on: C2CX takes a client order id once and for ever.
/// X3: an exchange that took an id again would be found.
#[test]
fn an_exchange_that_takes_an_id_again_is_found() {
    let faults = Faults { losses: 1, ..Faults::default() };
    finds(Way::Passthrough, Twist::ExchangeForgetsIds, faults, SAFE);
}

/// What the desk relies on: nothing between it and the exchange repeats an order after the refusal was heard.
#[test]
fn an_order_repeated_by_the_network_after_its_refusal_is_found() {
    let faults = Faults { duplicates: 1, refusals: 1, ..Faults::default() };
    finds(Way::Passthrough, Twist::RepeatsAfterRefusal, faults, SAFE);
}

/// A run from each state ends because the walk looks, not because nothing is looked at.
#[test]
fn a_sender_that_gives_up_is_found() {
    let faults = Faults { losses: 1, ..Faults::default() };
    finds(Way::Direct, Twist::SenderGivesUp, faults, ENDS);
}
