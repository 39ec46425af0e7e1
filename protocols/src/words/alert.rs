//! A part that is down and a balance that is low, told to an operator.

use chrono::{DateTime, SecondsFormat, Utc};
use millrace_model::alert::DownReason;
use millrace_model::desk::Place;
use millrace_model::ledger::Ticker;
use millrace_model::notification::NotificationType as Kind;
use serde::Deserialize;

use super::{Body, Unreadable, Words, line, sentence};

/// What of a part is told.
#[derive(Deserialize)]
struct Part {
    part: String,
    since: DateTime<Utc>,
    reason: Option<DownReason>,
}

/// What of a balance is told.
#[derive(Deserialize)]
struct Balance {
    place: Place,
    coin: Ticker,
    balance: String,
    threshold: String,
}

/// The words, if it is an alert.
pub(super) fn read(body: &Body<'_>) -> Result<Option<Words>, Unreadable> {
    let resource = body.resource.get();
    Ok(match body.event_type {
        Kind::DeskPartDown | Kind::DeskPartUp => Some(of_part(body, &serde_json::from_str(resource)?)),
        Kind::DeskBalanceLow | Kind::DeskBalanceRestored => Some(of_balance(body, &serde_json::from_str(resource)?)),
        _ => None,
    })
}

fn of_part(body: &Body<'_>, about: &Part) -> Words {
    let since = about.since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut facts = vec![("Part", line(&about.part)), ("Since", since)];
    facts.extend(about.reason.map(|reason| ("Why", reason.to_string())));
    words(body, &about.part, facts)
}

fn of_balance(body: &Body<'_>, about: &Balance) -> Words {
    let coins = |amount: &str| format!("{} {}", line(amount), about.coin.as_str());
    let facts = vec![
        ("Where", about.place.to_string()),
        ("Balance", coins(&about.balance)),
        ("Wanted at least", coins(&about.threshold)),
    ];
    words(body, &about.place.to_string(), facts)
}

fn words(body: &Body<'_>, name: &str, facts: Vec<(&'static str, String)>) -> Words {
    let (subject, sentence) = sentence::of_desk(body.event_type);
    Words {
        id: body.id,
        topic: body.event_type.name(),
        about: "desk".to_owned(),
        subject: line(&format!("{subject}: {name}")),
        sentence: sentence.to_owned(),
        facts,
        link: None,
        leave: None,
    }
}
