//! `[c2cx]`: the exchange that passthrough buys on.

use std::time::Duration;

use millrace_model::money::{Amount, Btc};
use reqwest::Url;
use rust_decimal::Decimal;

use super::layers::Layers;
use super::secret::Secret;
use super::section::Section;

/// The `[c2cx]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct C2cx {
    /// The API's base address; absent in the sandbox, which brings its own exchange.
    pub url: Option<Url>,
    /// The account's API key, from `key` or `key_file`.
    pub key: Option<Secret>,
    /// Its secret, from `secret` or `secret_file`.
    pub secret: Option<Secret>,
    /// An order that is not filled after this is cancelled and placed anew (`order_wait_ms`).
    pub order_wait: Duration,
    /// The dearest price an order may name, in percent above the best ask seen at the decision.
    pub max_slippage_percent: Decimal,
    /// Requests to each of the exchange's endpoints in a minute.
    pub requests_per_minute: u32,
    /// A book older than this gives no quotes (`quote_stale_after_s`).
    pub quote_stale_after: Duration,
    /// Fewer bitcoin than this in the account raise a warning.
    pub low_balance_warning: Amount<Btc>,
}

impl C2cx {
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, "c2cx");
        Self {
            url: section.optional("url"),
            key: section.secret("key", "key_file"),
            secret: section.secret("secret", "secret_file"),
            order_wait: section.millis("order_wait_ms", 50..=600_000, 1_000),
            max_slippage_percent: section.within(
                "max_slippage_percent",
                Decimal::ZERO..=Decimal::from(50),
                Decimal::from(2),
            ),
            requests_per_minute: section.within("requests_per_minute", 1..=1_000_000, 60),
            quote_stale_after: section.seconds("quote_stale_after_s", 1..=3_600, 10),
            low_balance_warning: section.value("low_balance_warning", tenth_of_a_bitcoin()),
        }
    }
}

fn tenth_of_a_bitcoin() -> Amount<Btc> {
    Amount::from_units(10_000_000).expect("a tenth of a bitcoin is an amount")
}
