//! What brokers have in common: who and where they are.

use std::fmt;

use reqwest::Url;

/// A broker, as the operator configured it.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is; the scheme says whether it is encrypted.
    pub url: Url,
    /// Who the desk is there.
    pub user: Option<String>,
    /// By which word it is known.
    pub password: Option<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
