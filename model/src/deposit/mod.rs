//! A deposit: the aggregate at the heart of the desk.
//!
//! Commands go in, events come out, both pure: [`Deposit::decide`] looks at the state and answers with the events that
//! follow or with the rule that forbids the command; [`evolve`] takes the state forward. What is decided lies in one file
//! a subject: receiving, deciding, purchasing, paying out, operating.

mod aside;
mod command;
mod decide;
mod event;
mod note;
mod operate;
mod payout;
mod purchasing;
mod receive;
mod request;
mod state;
mod step;
#[cfg(test)]
mod testing;
mod write_off;

pub use command::{Command, Rejection};
pub use decide::{DecisionTerms, PayoutTerms, Terms};
pub use event::*;
pub use payout::SignedPayout;
pub use purchasing::RemainderPolicy;
pub use receive::confirmations_required;
pub use request::Request;
pub use state::{Deposit, Limits, Outcome, Payout, Sighting, Stage, StageName, evolve, take_in};
pub use step::{ImpossibleStep, check_step};
pub use write_off::OWN_WORDS;
