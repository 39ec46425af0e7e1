//! `[desk]`: what the desk does with a deposit, and where it keeps its books.

use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_actors::customer_keys;
use millrace_model::deposit::Method;
use millrace_model::money::{Amount, Btc, Rate, Sky};
use millrace_model::outflow::Limits;
use millrace_protocols::wire::skycoin::rest::PAYOUT_DECIMALS;

use super::layers::Layers;
use super::section::Section;
use super::setting::{Setting, quoted};

impl Setting for Method {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "direct" => Ok(Self::Direct),
            "passthrough" => Ok(Self::Passthrough),
            _ => Err("expected \"direct\" or \"passthrough\"".to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

/// Which lines are logged: `tracing` directives such as `info` or `warn,millrace_actors=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The directives, known to be valid.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for LogFilter {
    fn from_text(text: &str) -> Result<Self, String> {
        tracing_subscriber::EnvFilter::try_new(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|_| "expected a level or directives such as \"info\" or \"warn,millrace_actors=debug\"".to_owned())
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text for people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Setting for LogFormat {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("expected \"auto\", \"human\" or \"json\"".to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Json => "json",
        })
    }
}

/// The `[desk]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// The folder of the log, the views, the operator's token and, unless it has one of its own, the sandbox.
    pub data_dir: PathBuf,
    /// The file, not in that folder, that says how far the log is and which address numbers may be in use.
    pub head_file: PathBuf,
    /// The file of the customers' keys, by which what operators say of a deposit is sealed.
    pub keys_file: PathBuf,
    /// How deposits that are decided from now on are served.
    pub method: Method,
    /// SKY for one BTC in direct mode; always there in direct mode.
    pub rate: Option<Rate>,
    /// A payout is rounded down to so many decimals of SKY, at most those that nodes take.
    pub payout_decimals: u32,
    /// A smaller deposit is held.
    pub minimum_deposit: Amount<Btc>,
    /// A larger deposit is held.
    pub maximum_deposit: Amount<Btc>,
    /// The largest payout that is made without an operator.
    pub maximum_payout: Amount<Sky>,
    /// How much may be paid out in an hour (`maximum_payouts_per_hour`), in a day (`maximum_payouts_per_day`), and to one
    /// target in a day (`maximum_payouts_per_target_day`).
    pub payout_limits: Limits,
    /// Whether new deposit addresses are given out.
    pub bind_enabled: bool,
    /// Whether payouts are made; decided deposits wait otherwise.
    pub send_enabled: bool,
    /// How many deposit addresses one payout address may have.
    pub max_addresses_per_target: u32,
    /// How long between two comparisons of the books with the hot wallet and the exchange (`reconcile_every_ms`).
    pub reconcile_every: Duration,
    /// How long after its events were recorded a part of the log is sealed (`seal_after_hours`).
    pub seal_after: Duration,
    /// Which lines are logged.
    pub log: LogFilter,
    /// How they look.
    pub log_format: LogFormat,
}

impl Desk {
    /// Reads the table. A rate has a default only where nobody can lose money by it: in the sandbox.
    pub(super) fn read(layers: &mut Layers<'_>, sandbox: bool) -> Self {
        let mut section = Section::new(layers, "desk");
        let data_dir = section.path("data_dir", Some("millrace-data".into())).unwrap_or_default();
        Self {
            head_file: section.path("head_file", Some(head_file_of(&data_dir))).unwrap_or_default(),
            keys_file: section.path("keys_file", Some(data_dir.join(customer_keys::FILE))).unwrap_or_default(),
            data_dir,
            method: section.value("method", Method::Direct),
            rate: section.optional_or("rate", sandbox.then(|| "500".parse().expect("500 is a rate"))),
            payout_decimals: section.within("payout_decimals", 0..=PAYOUT_DECIMALS, 3),
            minimum_deposit: section.value("minimum_deposit", coins(500_000)),
            maximum_deposit: section.value("maximum_deposit", coins(1_000_000_000)),
            maximum_payout: section.value("maximum_payout", coins(10_000_000_000)),
            payout_limits: Limits {
                hour: section.optional("maximum_payouts_per_hour"),
                day: section.optional("maximum_payouts_per_day"),
                target_day: section.optional("maximum_payouts_per_target_day"),
            },
            bind_enabled: section.value("bind_enabled", true),
            send_enabled: section.value("send_enabled", true),
            max_addresses_per_target: section.within("max_addresses_per_target", 1..=100_000, 5),
            reconcile_every: section.millis("reconcile_every_ms", 100..=3_600_000, 60_000),
            seal_after: Duration::from_hours(section.within("seal_after_hours", 0..=87_600, 24)),
            log: section.value("log", LogFilter("info".to_owned())),
            log_format: section.value("log_format", LogFormat::Auto),
        }
    }
}

/// Where the head file is unless it is set: beside the data folder, under its name.
pub fn head_file_of(data_dir: &Path) -> PathBuf {
    match data_dir.file_name() {
        Some(name) => {
            let mut name = name.to_owned();
            name.push(".head");
            data_dir.with_file_name(name)
        }
        // Such as `.`: one up from there.
        None => data_dir.join("..").join("millrace.head"),
    }
}

fn coins<C: millrace_model::money::Coin>(units: u64) -> Amount<C> {
    Amount::from_units(units).expect("defaults are far below the largest amount")
}
