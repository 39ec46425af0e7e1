//! Giving out an address, whichever door was used.

use http::HeaderMap;
use millrace_actors::binder::{BindError, Bound};
use millrace_model::ids::CommandId;
use millrace_protocols::wire::skycoin::address::SkyAddress;

use super::{Binds, CAUGHT_UP_WITHIN, Desk};
use crate::web::problem::Problem;

/// The header that makes a repeated bind answer the first one's address.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
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
    let bound = desk.binder.bind(target.to_string(), desk.terms.method, command_id(headers, target)?).await;
    let bound = bound.map_err(refused)?;
    desk.views.caught_up(bound.position, CAUGHT_UP_WITHIN).await;
    Ok(bound)
}

/// Two customers that happen to use the same key are still two.
fn command_id(headers: &HeaderMap, target: &SkyAddress) -> Result<Option<CommandId>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX).ok_or_else(|| {
        Problem::bad_request("invalid_idempotency_key", "An Idempotency-Key has 1 to 128 visible characters.")
    })?;
    Ok(Some(CommandId::of_fact(&["bind", &target.to_string(), key])))
}

fn refused(error: BindError) -> Problem {
    match error {
        BindError::LimitReached => Problem::conflict(
            "too_many_addresses",
            "The maximum number of addresses have been assigned to this SKY address",
        ),
        BindError::PoolEmpty => Problem::unavailable("pool_empty", "Deposit address pool is empty"),
        BindError::Switched => {
            Problem::new(http::StatusCode::FORBIDDEN, "binds_disabled", "Address binding is disabled")
        }
        BindError::Busy => Problem::unavailable("busy", "The desk is busy; try again."),
        BindError::Unavailable(reason) => {
            tracing::warn!(%reason, "an address could not be bound");
            Problem::unavailable("desk_unavailable", "The desk cannot give out addresses at the moment; try again.")
        }
    }
}
