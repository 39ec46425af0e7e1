//! How the program ends.

use std::io;
use std::process::ExitCode;

use super::notify::NotTold;
use crate::config::ConfigError;
use crate::front::NotStarted;
use crate::web::tls::TlsError;
use crate::web::token::TokenError;

/// Why the program ends; the numbers are those of `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// Something went wrong while doing it.
    Failed = 1,
    /// The command line was not understood.
    Usage = 64,
    /// What it needs cannot be reached.
    Unavailable = 69,
    /// Not all is done, and doing it again may help.
    Partly = 75,
    /// The configuration cannot be used.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A command line that parses and yet cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Exit {
    /// The exit for a failure, by what caused it. A reader who hangs up (`… | head`) is no failure.
    pub fn of(error: &anyhow::Error) -> Self {
        let hung_up = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
        for cause in error.chain() {
            if cause.downcast_ref::<io::Error>().is_some_and(hung_up) {
                return Self::Done;
            }
            if cause.is::<Usage>() {
                return Self::Usage;
            }
            if let Some(not_told) = cause.downcast_ref::<NotTold>() {
                return match not_told {
                    NotTold::Partly(..) => Self::Partly,
                    NotTold::Unavailable(_) => Self::Unavailable,
                    NotTold::Failed(_) => Self::Failed,
                };
            }
            if let Some(NotStarted(status)) = cause.downcast_ref::<NotStarted>() {
                return if status.code() == Some(Self::Config as i32) { Self::Config } else { Self::Failed };
            }
            if cause.is::<ConfigError>() || cause.is::<TlsError>() || cause.is::<TokenError>() {
                return Self::Config;
            }
        }
        Self::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_exit_follows_from_the_cause_however_deep() {
        let config = ConfigError::of_file("x.toml".into(), "is wrong".to_owned());
        assert_eq!(Exit::of(&anyhow::Error::from(config).context("starting")), Exit::Config);
        assert_eq!(Exit::of(&Usage("no".to_owned()).into()), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("port in use")), Exit::Failed);
        let closed = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing").unwrap_err();
        assert_eq!(Exit::of(&closed), Exit::Done);
    }
}
