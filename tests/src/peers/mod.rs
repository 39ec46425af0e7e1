//! Real programs the desk is tried against, each started by one test and gone when that test ends.
//!
//! `tests/run` installs them. Where one is missing, [`or_skip`] decides what that means: a failure when they are
//! required (under CI, and in `tests/run`), else a line that names it and a test that does nothing.

pub mod bitcoin;
pub mod blocks;
pub mod brokers;
pub mod browser;
pub mod mail;
pub mod postgres;
pub mod program;
pub mod queue;
pub mod schemathesis;
pub mod standard_webhooks;

use std::path::PathBuf;

use crate::house;

/// A program that is not installed. Its text says which, and what installs it.
#[derive(Debug, thiserror::Error)]
#[error("{program} is not installed; `tests/run` installs it")]
pub struct Missing {
    /// What is missing, for a person.
    pub program: &'static str,
}

/// The folder with the packages of the npm registry and our scripts around them.
pub fn folder() -> PathBuf {
    house::root().join("tests/peers")
}

/// What was found; or `None`, said on standard error, when it is missing and nobody requires it.
///
/// Panics when it is missing and required: `CI=true` or `MILLRACE_PEERS=required` in the environment. Nothing is
/// ever found with `MILLRACE_PEERS=none`.
pub fn or_skip<T>(found: Result<T, Missing>) -> Option<T> {
    match (found, wish()) {
        (Err(missing), Wish::Required) => panic!("{missing}"),
        (Err(missing), Wish::WhereInstalled) => {
            eprintln!("SKIPPED: {missing}");
            None
        }
        (_, Wish::None) => {
            eprintln!("SKIPPED: MILLRACE_PEERS=none");
            None
        }
        (Ok(program), Wish::Required | Wish::WhereInstalled) => Some(program),
    }
}

/// What whoever started the tests wants of real programs.
enum Wish {
    Required,
    WhereInstalled,
    None,
}

#[expect(clippy::disallowed_methods, reason = "the tests have no configuration file; `tests/run` tells them by this")]
fn wish() -> Wish {
    let on_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    match std::env::var("MILLRACE_PEERS").as_deref() {
        Ok("required") => Wish::Required,
        _ if on_ci => Wish::Required,
        Ok("none") => Wish::None,
        _ => Wish::WhereInstalled,
    }
}

/// A client for talking to peers. Answers take at most a minute, since a peer may be mining hundreds of blocks.
///
/// Panics when no client can be made, which no test can go on without.
pub fn http_client() -> reqwest::Client {
    // Whoever comes first installs the one TLS provider; a second attempt changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .expect("a client without proxy or certificates of its own can be built")
}
