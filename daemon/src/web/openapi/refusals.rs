//! What can be refused, and under which codes: groups that operations have in common.

use std::collections::BTreeMap;

/// A status and the codes under it.
pub(super) type Refusal = (u16, &'static [&'static str]);

/// Any request, on either face.
pub(super) const EVERY: &[Refusal] = &[(500, &["internal"])];
/// Any request on the customers' face.
pub(super) const STARTING: &[Refusal] = &[(503, &["starting"])];
/// Any request on the operators' face.
pub(super) const TOKEN: &[Refusal] = &[(401, &["unauthorized"])];
/// Requests with a JSON body.
pub(super) const BODY: &[Refusal] = &[
    (400, &["malformed_json", "invalid_body", "unreadable_body"]),
    (408, &["body_timeout"]),
    (413, &["body_too_large"]),
    (415, &["unsupported_media_type"]),
];
/// Requests with an `Idempotency-Key`.
pub(super) const KEY: &[Refusal] = &[(400, &["invalid_idempotency_key"])];
/// Requests of which there are not to be too many.
pub(super) const PACE: &[Refusal] = &[(429, &["too_many_requests"])];
/// Requests with a parameter in the path.
pub(super) const PATH: &[Refusal] = &[(404, &["not_found"])];
/// Requests with a query.
pub(super) const QUERY: &[Refusal] = &[(400, &["invalid_query"])];
/// Requests that read the views.
pub(super) const VIEWS: &[Refusal] = &[(503, &["views_unavailable"])];
/// Requests that read the log.
pub(super) const LOG: &[Refusal] = &[(503, &["log_unavailable"])];
/// Requests with a Skycoin address.
pub(super) const TARGET: &[Refusal] = &[(400, &["invalid_address"])];
/// Requests for a deposit address.
pub(super) const BIND: &[Refusal] = &[
    (400, &["missing_coin", "unknown_coin"]),
    (403, &["binds_disabled"]),
    (409, &["too_many_addresses", "idempotency_key_taken"]),
    (503, &["pool_empty", "busy", "desk_unavailable"]),
];
/// What an operator does.
pub(super) const ACT: &[Refusal] = &[(422, &["invalid_note"]), (503, &["busy", "desk_unavailable", "outcome_unknown"])];
/// What an operator does to a deposit.
pub(super) const DEPOSIT: &[Refusal] =
    &[(404, &["unknown_deposit"]), (409, &["not_allowed", "unreadable_deposit"]), (503, &["note_not_sealed"])];
/// What an operator does to a part.
pub(super) const PART: &[Refusal] = &[(404, &["unknown_part"]), (409, &["part_ended"]), (503, &["outcome_unknown"])];
/// What breaks a part.
pub(super) const RUNNING: &[Refusal] = &[(409, &["part_not_running"])];

/// The codes of all groups under their statuses.
pub(super) fn by_status<'r>(groups: impl IntoIterator<Item = &'r [Refusal]>) -> BTreeMap<u16, Vec<&'static str>> {
    let mut all = BTreeMap::<u16, Vec<&'static str>>::new();
    for (status, codes) in groups.into_iter().flatten() {
        all.entry(*status).or_default().extend(*codes);
    }
    all
}
