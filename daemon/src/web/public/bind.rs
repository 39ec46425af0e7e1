//! Giving out an address, whichever door was used.

use std::time::Duration;

use http::HeaderMap;
use millrace_actors::binder::{Bind, BindError, BindRequest, Bound};
use millrace_actors::event_store::{AppendError, Store};
use millrace_actors::supervision::AskError;
use millrace_model::ids::CommandId;
use millrace_protocols::wire::skycoin::address::SkyAddress;

use super::{Binds, CAUGHT_UP_WITHIN, Desk};
use crate::web::problem::Problem;

/// The header that makes a repeated bind answer the first one's address.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long a bind may take; with the same key it can be asked for again.
const BIND_WITHIN: Duration = Duration::from_secs(15);
/// Longest key accepted.
const KEY_BYTES_MAX: usize = 128;

/// A customer's Skycoin address, checked.
pub(super) fn target(text: &str) -> Result<SkyAddress, Problem> {
    let refused = |error: &dyn std::fmt::Display| {
        Problem::bad_request("invalid_address", format!("Invalid skycoin address: {error}."))
    };
    text.trim_matches([' ', '\t', '\r', '\n']).parse().map_err(|error| refused(&error))
}

/// Only Bitcoin is taken.
pub(super) fn coin(code: &str) -> Result<(), Problem> {
    match code {
        "BTC" => Ok(()),
        "" => Err(Problem::bad_request("missing_coin", "Missing coin_type")),
        _ => Err(Problem::bad_request("unknown_coin", "Invalid coin_type")),
    }
}

/// Binds a fresh address and waits until it shows.
pub(super) async fn bind(desk: &Desk, headers: &HeaderMap, target: &SkyAddress) -> Result<Bound, Problem> {
    if desk.terms.binds == Binds::Disabled {
        return Err(Problem::new(http::StatusCode::FORBIDDEN, "binds_disabled", "Address binding is disabled"));
    }
    if desk.stock.own_address() == Some(*target) {
        return Err(Problem::bad_request("invalid_address", "Invalid skycoin address: it is the desk's own wallet."));
    }
    if log_is_dead(desk) {
        return Err(out_of_order(&"the log is not open"));
    }
    let bind =
        Bind { target: target.to_string(), method: desk.terms.method, command_id: command_id(desk, headers, target)? };
    let bound = desk.binder.call(|reply| BindRequest { bind, reply }, BIND_WITHIN).await.map_err(unasked)?;
    let bound = bound.map_err(refused)?;
    desk.views.caught_up(bound.position, CAUGHT_UP_WITHIN).await;
    Ok(bound)
}

/// Whether nobody needs to wait for the log: it failed and will not be tried again this moment.
pub(super) fn log_is_dead(desk: &Desk) -> bool {
    desk.health.part(Store::PART).is_some_and(|part| part.state.is_out())
}

/// Two customers that happen to use the same key are still two. Without a key every request is another one.
fn command_id(desk: &Desk, headers: &HeaderMap, target: &SkyAddress) -> Result<CommandId, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(desk.ids.command_id()) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX).ok_or_else(|| {
        Problem::bad_request("invalid_idempotency_key", "An Idempotency-Key has 1 to 128 visible characters.")
    })?;
    Ok(CommandId::of_fact(&["bind", &target.to_string(), key]))
}

fn unasked(error: AskError) -> Problem {
    match error {
        AskError::Busy => busy(),
        AskError::Down | AskError::Unknown => out_of_order(&error),
    }
}

fn refused(error: BindError) -> Problem {
    match error {
        BindError::LimitReached(_) => Problem::conflict(
            "too_many_addresses",
            "The maximum number of addresses have been assigned to this SKY address",
        ),
        BindError::PoolEmpty => Problem::unavailable("pool_empty", "Deposit address pool is empty"),
        BindError::Switched => {
            Problem::new(http::StatusCode::FORBIDDEN, "binds_disabled", "Address binding is disabled")
        }
        BindError::IdTaken => {
            Problem::conflict("idempotency_key_taken", "This Idempotency-Key was used for something else.")
        }
        BindError::Store(AppendError::Busy) => busy(),
        BindError::Store(_) | BindError::Unreadable(_) | BindError::Halted | BindError::NotReserved(_) => {
            out_of_order(&error)
        }
    }
}

fn busy() -> Problem {
    Problem::unavailable("busy", "The desk is busy; try again.")
}

fn out_of_order(reason: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%reason, "an address could not be bound");
    Problem::unavailable("desk_unavailable", "The desk cannot give out addresses at the moment; try again.")
}
