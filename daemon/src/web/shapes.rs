//! What the operator API (`/operator/v1/…`) answers, as both its server and the command line know it.
//!
//! | request | answer |
//! |---|---|
//! | `GET deposits?status=&target=&limit=&after=` | [`DepositPage`], newest first; `after` is the page's `next` |
//! | `GET deposits/{id}` | [`DepositDetail`] |
//! | `GET deposits/{id}/state?version=&at=` | the deposit's state at that moment |
//! | `GET ledger` | [`Ledger`] |
//! | `GET overview?position=&at=&limit=&after=` | the whole desk at that moment, its open deposits in pages |
//! | `GET projections` | [`ProjectionPage`] |
//! | `GET projections/live` | the same as server-sent events, after every change |
//! | `POST projections/{name}/rebuild` | [`ProjectionPage`]; the name may be [`ALL_PROJECTIONS`] |
//! | `GET events?after=&limit=&kind=A,B&stream=&wait_s=` | [`EventPage`], oldest first; waits up to `wait_s` for the first |
//! | `GET backup` | the log's database as `application/octet-stream` |
//!
//! `limit` is at most [`PAGE_ROWS_MAX`]; an events page with `limit=0` tells the log's head alone.

use chrono::{DateTime, Utc};
use millrace_model::desk::Place;
use millrace_model::ledger::{Account, Nature, Ticker};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::reconciliation::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// No page has more rows.
pub const PAGE_ROWS_MAX: u32 = 500;
/// No request for events waits longer, in seconds.
pub const WAIT_S_MAX: u32 = 30;

/// One deposit in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositRow {
    /// Its id.
    pub id: String,
    /// Where it stands: the stage's word.
    pub status: String,
    /// Why it is held, quarantined or ended as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `direct` or `passthrough`, once decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The customer's payout address; absent for an address that nobody bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Our address that was paid.
    pub address: String,
    /// What was paid.
    pub received: Amount<Btc>,
    /// The paying transaction.
    pub txid: String,
    /// Which of its outputs.
    pub output: u32,
    /// What is or will be paid out, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout: Option<Amount<Sky>>,
    /// The payout's transaction, once signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout_txid: Option<String>,
    /// When the last event happened.
    pub updated_at: DateTime<Utc>,
}

/// A page of deposits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositPage {
    /// Newest first.
    pub deposits: Vec<DepositRow>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A deposit with everything that happened to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DepositDetail {
    /// The deposit.
    pub deposit: DepositRow,
    /// Its events, oldest first.
    pub events: Vec<EventRow>,
}

/// What stands on the ledger's accounts, as of a position of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// That position.
    pub position: u64,
    /// The deposits whose later events cannot be read: what these post is missing.
    pub unreadable: Vec<Uuid>,
    /// The accounts on which something ever stood.
    pub balances: Vec<BalanceRow>,
    /// The places outside, as each was when it was last held against the books.
    pub places: Vec<PlaceRow>,
}

/// The name that stands for every projection.
pub const ALL_PROJECTIONS: &str = "all";

/// The projections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectionPage {
    /// The log's newest position.
    pub head: u64,
    /// Each of them.
    pub projections: Vec<ProjectionRow>,
}

/// One projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectionRow {
    /// Its name.
    pub name: String,
    /// The version that the program makes.
    pub version: i64,
    /// The version that is shown; another one is being made anew.
    pub shown_version: Option<i64>,
    /// How often it was made.
    pub generation: i64,
    /// The event up to which it shows the log.
    pub position: u64,
    /// How many events it does not show yet.
    pub lag: u64,
    /// How far it is while it is made anew.
    pub rebuild: Option<RebuildRow>,
    /// Why making it anew came to nothing the last time.
    pub failure: Option<String>,
}

/// How far a projection is that is made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildRow {
    /// The event up to which it goes.
    pub position: u64,
    /// The log's newest position.
    pub end: u64,
    /// How fast it is.
    pub events_per_second: u64,
    /// How long it takes at this speed.
    pub seconds_left: Option<u64>,
}

/// What a place outside held, and what the books said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRow {
    /// The place.
    pub place: Place,
    /// The coin.
    pub coin: Ticker,
    /// What should be there, in whole coins.
    pub booked: String,
    /// How much of that may have left already.
    pub in_flight: String,
    /// What was there.
    pub found: String,
    /// What follows.
    pub verdict: Verdict,
    /// When it was asked.
    pub at: DateTime<Utc>,
}

/// What stands on an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceRow {
    /// The account.
    pub account: Account,
    /// What its balance says.
    pub nature: Nature,
    /// The coin.
    pub coin: Ticker,
    /// Debits less credits, in whole coins; below zero with a sign.
    pub amount: String,
}

/// One event of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventRow {
    /// Its place in the log.
    pub position: u64,
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub version: u64,
    /// What happened.
    pub kind: String,
    /// The payload's schema number.
    pub schema: u32,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The event it followed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<u64>,
    /// What it belongs to: the deposit's id, as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The payload as stored.
    pub payload: Box<RawValue>,
}

/// A page of events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<EventRow>,
    /// Ask `after` this for the next page: the last position looked at, wanted or not.
    pub next: u64,
    /// The last position of the log.
    pub head: u64,
}
