//! teller's API, so that its page and clients work: same paths, shapes and words. Errors are plain text.

use std::sync::Arc;
use std::time::Instant;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use millrace_actors::projection::DepositRow;
use millrace_actors::stock::Reading;
use millrace_actors::supervision::PartHealth;
use millrace_model::deposit::Method;
use millrace_model::money::{Amount, Sky};
use serde::{Deserialize, Serialize};

use super::bind::{bind as bind_address, coin, target};
use super::{Binds, Desk};
use crate::web::extract::{Json, Query};
use crate::web::problem::Problem;

/// The body of a bind.
#[derive(Debug, Deserialize)]
pub(super) struct Bind {
    #[serde(default)]
    skyaddr: String,
    #[serde(default)]
    coin_type: String,
}

/// The answer to a bind.
#[derive(Debug, Serialize)]
pub(super) struct Bound {
    deposit_address: String,
    coin_type: &'static str,
    buy_method: &'static str,
}

pub(super) async fn bind(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Json(body): Json<Bind>,
) -> Result<Reply<Bound>, Problem> {
    let target = checked(&body.skyaddr)?;
    coin(&body.coin_type)?;
    let bound = bind_address(&desk, &headers, &target).await?;
    Ok(Reply(Bound { deposit_address: bound.address, coin_type: "BTC", buy_method: desk.terms.method.as_str() }))
}

fn checked(skyaddr: &str) -> Result<millrace_protocols::wire::skycoin::address::SkyAddress, Problem> {
    match skyaddr {
        "" => Err(Problem::bad_request("missing_address", "Missing skyaddr")),
        text => target(text),
    }
}

/// The query of a status.
#[derive(Debug, Deserialize)]
pub(super) struct WhoseStatus {
    #[serde(default)]
    skyaddr: String,
}

/// The answer to a status; empty for an address that was never bound.
#[derive(Debug, Default, Serialize)]
pub(super) struct Statuses {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<Status>,
}

/// One deposit, or one address without a deposit yet.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    seq: usize,
    /// Seconds since 1970-01-01 UTC.
    updated_at: i64,
    status: &'static str,
    coin_type: &'static str,
}

pub(super) async fn status(
    State(desk): State<Arc<Desk>>,
    Query(query): Query<WhoseStatus>,
) -> Result<Reply<Statuses>, Problem> {
    let target = checked(&query.skyaddr)?.to_string();
    let bindings = desk.views.bindings_of(&target).await?;
    let deposits = desk.views.deposits_of(&target).await?;
    let unused = bindings.iter().filter(|binding| !deposits.iter().any(|row| row.address == binding.address));
    let mut statuses: Vec<_> = unused
        .map(|binding| (binding.bound_at.timestamp(), "waiting_deposit"))
        .chain(deposits.iter().filter_map(|row| Some((row.updated_at.timestamp(), tellers_word(row)?))))
        .collect();
    statuses.sort_by_key(|(updated_at, _)| *updated_at);
    let numbered = statuses.into_iter().enumerate();
    Ok(Reply(Statuses {
        statuses: numbered
            .map(|(seq, (updated_at, status))| Status { seq, updated_at, status, coin_type: "BTC" })
            .collect(),
    }))
}

/// teller's word for where a deposit stands; `None` for what teller never shows.
fn tellers_word(row: &DepositRow) -> Option<&'static str> {
    let status = row.interrupted.as_deref().unwrap_or(&row.status);
    match (status, row.outcome.as_deref()) {
        (_, Some("vanished" | "written_off")) => None,
        ("pending", _) => Some("waiting_deposit"),
        ("wait_decide", _) => Some("waiting_decide"),
        ("wait_buy", _) => Some("waiting_passthrough"),
        ("wait_send", _) => Some("waiting_send"),
        ("wait_confirm", _) => Some("waiting_confirm"),
        ("done" | "refund_due", _) => Some("done"),
        _ => None,
    }
}

/// The answer to a question for the configuration.
#[derive(Debug, Serialize)]
pub(super) struct Configuration {
    enabled: bool,
    buy_method: &'static str,
    max_bound_addrs: u32,
    max_decimals: u32,
    deposits: Coins,
}

#[derive(Debug, Serialize)]
struct Coins {
    btc: Coin,
    eth: Coin,
    sky: Coin,
}

#[derive(Debug, Default, Serialize)]
struct Coin {
    enabled: bool,
    confirmations_required: u32,
    fixed_exchange_rate: String,
    passthrough_minimum_volume: String,
}

pub(super) async fn config(State(desk): State<Arc<Desk>>) -> Reply<Configuration> {
    let terms = &desk.terms;
    let one = "1".parse().expect("one is an amount");
    let rate = terms.rate.and_then(|rate| rate.sky_for(one, terms.payout_decimals).ok());
    let btc = Coin {
        enabled: true,
        confirmations_required: terms.confirmations,
        fixed_exchange_rate: rate.map(|sky| sky.to_string()).unwrap_or_default(),
        passthrough_minimum_volume: desk.quotes.minimum_volume(),
    };
    Reply(Configuration {
        enabled: terms.binds == Binds::Enabled,
        buy_method: terms.method.as_str(),
        max_bound_addrs: terms.addresses_max,
        max_decimals: terms.payout_decimals,
        deposits: Coins { btc, eth: Coin::default(), sky: Coin::default() },
    })
}

/// The answer to a question for the desk's health.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    application: &'static str,
    version: &'static str,
    uptime: String,
    exchange: Exchange,
    parts: Vec<PartHealth>,
}

#[derive(Debug, Serialize)]
struct Exchange {
    buy_method: &'static str,
    processor_error: String,
    sender_error: String,
    balance: Balance,
    deposit_error_count: u64,
}

/// What the hot wallet held when it was last read; zeros before the first reading.
#[derive(Debug, Serialize)]
struct Balance {
    coins: String,
    hours: String,
    /// When it was read.
    as_of: Option<DateTime<Utc>>,
}

impl Balance {
    fn of(reading: Option<Reading>) -> Self {
        let funds = reading.map(|reading| reading.funds);
        Self {
            coins: funds.map_or(Amount::<Sky>::ZERO, |funds| funds.coins).to_string(),
            hours: funds.map_or(0, |funds| funds.hours).to_string(),
            as_of: reading.map(|reading| reading.at),
        }
    }
}

pub(super) async fn health(State(desk): State<Arc<Desk>>) -> Reply<Health> {
    // From memory: health is answered whatever is dead, the views included.
    let (parts, books) = (desk.health.snapshot(), Books { held: desk.views.held_now(), stock: desk.stock.reading() });
    Reply(Health::of(parts, desk.terms.method, desk.started, books))
}

/// What the health says of deposits and money; nothing of either at first.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// How many deposits are held.
    pub held: u64,
    /// What the hot wallet held when it was last read.
    pub stock: Option<Reading>,
}

impl Health {
    pub(super) fn of(parts: Vec<PartHealth>, method: Method, started: Instant, books: Books) -> Self {
        let trouble_of = |name: &str| {
            let part = parts.iter().find(|part| part.name == name && !part.is_well());
            part.map_or_else(String::new, |part| {
                let conditions = part.conditions.iter().map(|condition| condition.text.clone());
                conditions.chain(part.why.clone()).collect::<Vec<_>>().join("; ")
            })
        };
        let exchange = Exchange {
            buy_method: method.as_str(),
            processor_error: trouble_of("buyer"),
            sender_error: trouble_of("sender"),
            balance: Balance::of(books.stock),
            deposit_error_count: books.held,
        };
        Self {
            status: if parts.iter().all(PartHealth::is_well) { "OK" } else { "DEGRADED" },
            application: "millrace",
            version: env!("CARGO_PKG_VERSION"),
            uptime: format!("{}s", started.elapsed().as_secs()),
            exchange,
            parts,
        }
    }
}
