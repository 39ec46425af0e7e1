//! The ways by which people are told, as they are configured.

use std::sync::Arc;

use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::delivery::sinks::destination::Kind;
use millrace_actors::delivery::sinks::mail::server::InClear;
use millrace_actors::delivery::sinks::people::Teller;

use crate::config::{Config, Wrong};

/// Adds them to the ways there are.
pub(super) fn add(sinks: Sinks, config: &Config) -> Result<Sinks, Wrong> {
    let in_clear = if config.sandbox.enabled { InClear::Allowed } else { InClear::Refused };
    let people = &config.people;
    let mail = people.mail.teller(in_clear)?.map(|mail| Arc::new(mail) as Arc<dyn Teller>);
    let telegram = people.telegram.teller()?.map(|telegram| Arc::new(telegram) as Arc<dyn Teller>);
    let push = people.fcm.teller()?.map(|fcm| Arc::new(fcm) as Arc<dyn Teller>);
    let tellers = [(Kind::Mail, mail), (Kind::Telegram, telegram), (Kind::Push, push)];
    let there = tellers.into_iter().filter_map(|(kind, teller)| Some((kind, teller?)));
    let sinks = sinks.at(config.public.address().map(Arc::from));
    Ok(there.fold(sinks, |sinks, (kind, teller)| sinks.with_people(kind, teller)))
}
