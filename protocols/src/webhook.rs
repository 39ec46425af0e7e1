//! Signatures of notifications, and the ways in which a receiver proves that it holds the secret.
//!
//! Two signatures stand beside each other: the three headers of [Standard Webhooks](https://www.standardwebhooks.com)
//! (`webhook-id`, `webhook-timestamp`, `webhook-signature`), and ton.events' `x-te-signature`. Time comes in as seconds
//! since 1970. Secrets and keys do not show themselves when they are printed.

pub mod challenge;
pub mod code;
pub mod secret;
pub mod sign;
pub mod te;
pub mod verify;

/// The header with the notification's id, which stays the same over all its attempts.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the attempt's time, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// The header with ton.events' signature.
pub const TE_HEADER: &str = "x-te-signature";
