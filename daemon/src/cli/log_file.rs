//! The log's file for commands that read it beside a running desk, without one, or as a copy; nothing is ever written to it.

#[cfg(test)]
pub(super) mod sample;

use std::path::PathBuf;

use anyhow::{anyhow, ensure};
use clap::Args;
use millrace_actors::customer_keys::{self, CustomerKeys, Reading};
use millrace_actors::event_store::Reader;
use millrace_actors::import;
use millrace_model::ids::{DepositId, StreamName};

use super::import::SENTENCE_CHARS_MAX;
use crate::config::Config;
use crate::escape::excerpt;
use crate::run::LOG_FILE;

/// Which log to read.
#[derive(Debug, Args)]
pub struct LogFile {
    /// The log to read, such as a backup; left out, the one in the configured data folder. It is only read.
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
}

/// Which log to read, or which export of one.
#[derive(Debug, Args)]
pub struct Source {
    #[command(flatten)]
    log: LogFile,
    /// An export to read instead (`millrace export`). It is checked to its end first.
    #[arg(long, value_name = "FILE", conflicts_with = "log")]
    file: Option<PathBuf>,
}

impl Source {
    /// Opens it.
    pub fn open(&self, config: impl FnOnce() -> anyhow::Result<Config>) -> anyhow::Result<Reader> {
        let Some(file) = &self.file else { return self.log.open(config) };
        let read =
            import::look_at(file).map_err(|error| anyhow!("{}", excerpt(&error.to_string(), SENTENCE_CHARS_MAX)))?;
        Ok(read.0)
    }
}

/// By which keys sealed notes are opened.
#[derive(Debug, Args)]
pub struct Keys {
    /// The file of the customers' keys, which open sealed notes; left out, the configured one. With --log it is the one that
    /// lies beside that log, if any, and with --file none.
    #[arg(long, value_name = "PATH")]
    keys: Option<PathBuf>,
}

impl Keys {
    /// What opens the notes of a log.
    pub fn reading(&self, source: &Source, config: impl FnOnce() -> anyhow::Result<Config>) -> anyhow::Result<Reading> {
        Ok(match (&self.keys, &source.log.log, &source.file) {
            (Some(path), _, _) => {
                let keys = CustomerKeys::at(path);
                ensure!(keys.check()?, "there are no keys in {}", path.display());
                keys.reading()
            }
            (None, Some(log), _) => CustomerKeys::at(log.with_file_name(customer_keys::FILE)).reading(),
            (None, None, Some(_)) => Reading::without_keys(),
            (None, None, None) => CustomerKeys::at(config()?.desk.keys_file).reading(),
        })
    }
}

impl LogFile {
    /// Opens it.
    pub fn open(&self, config: impl FnOnce() -> anyhow::Result<Config>) -> anyhow::Result<Reader> {
        let path = match &self.log {
            Some(path) => path.clone(),
            None => config()?.desk.data_dir.join(LOG_FILE),
        };
        Ok(Reader::look_at(&path)?)
    }
}

/// A stream by its name as `millrace events` prints it, or a deposit's by the deposit's id alone.
pub fn stream(text: &str) -> Result<StreamName, String> {
    if let Ok(id) = text.parse::<DepositId>() {
        return Ok(StreamName::Deposit(id));
    }
    let known = "a stream is deposit/ID, binding/ADDRESS, address_book, chain/btc, wallet/sky or desk";
    text.parse().map_err(|error| format!("{error}; {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_found_by_its_name_and_a_deposits_by_its_id() {
        assert_eq!(stream("chain/btc"), Ok(StreamName::Chain));
        assert_eq!(stream(&sample::ID.to_string()), Ok(StreamName::Deposit(sample::ID)));
        assert_eq!(stream(&format!("deposit/{}", sample::ID)), Ok(StreamName::Deposit(sample::ID)));
        let error = stream("elsewhere").unwrap_err();
        assert!(error.starts_with("\"elsewhere\" names no stream; a stream is deposit/ID, "), "{error}");
    }

    #[test]
    fn a_log_that_is_not_there_is_told_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.db");
        let wanted = LogFile { log: Some(path.clone()) };
        let error = wanted.open(|| panic!("the configuration is not asked")).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
    }
}
