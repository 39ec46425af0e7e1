//! How one value is read from TOML or from an environment variable, and how it is shown again.
//!
//! A refusal says what was expected and never repeats the value: it may be a secret in the wrong place.

use std::net::{IpAddr, SocketAddr};
use std::num::IntErrorKind;

use bitcoin::bip32::Xpub;
use ipnet::IpNet;
use millrace_model::money::{Amount, Coin, Rate};
use reqwest::Url;
use rust_decimal::Decimal;
use toml::de::DeValue;

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Reads the text of a TOML string or an environment variable.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads a TOML value. Unless said otherwise it must be a string.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str() {
            Some(text) => Self::from_text(text),
            None => Err(format!("expected a text in quotes, found a TOML {}", value.type_str())),
        }
    }

    /// The value as it would stand in the file.
    fn show(&self) -> String;
}

/// A text as a TOML string.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The raw digits of a TOML number, or the text of a string: what exact numbers are parsed from.
fn number_text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    let plain = value.as_str().or_else(|| value.as_float().map(|number| number.as_str()));
    let whole = value.as_integer().filter(|number| number.radix() == 10).map(|number| number.as_str());
    plain.or(whole).ok_or_else(|| format!("expected a number, found a TOML {}", value.type_str()))
}

macro_rules! whole_number {
    ($($kind:ty),*) => {$(
        impl Setting for $kind {
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|e: std::num::ParseIntError| match e.kind() {
                    IntErrorKind::PosOverflow => format!("is too large, the most is {}", <$kind>::MAX),
                    _ => "expected a whole number that is not negative".to_owned(),
                })
            }
            fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
                match value.as_integer() {
                    Some(_) => Self::from_text(number_text(value)?),
                    None => Err(format!("expected a whole number, found a TOML {}", value.type_str())),
                }
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole_number!(u32, u64, usize);

impl Setting for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected true or false".to_owned())
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "expected true or false, without quotes".to_owned())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("is empty".to_owned()),
            _ if text.chars().any(char::is_control) => Err("has control characters in it".to_owned()),
            trimmed => Ok(trimmed.to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl<C: Coin> Setting for Amount<C> {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|e| format!("{e}; write an amount of {} such as \"0.5\"", C::CODE))
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        Self::from_text(number_text(value)?)
    }
    fn show(&self) -> String {
        quoted(&self.to_decimal().normalize().to_string())
    }
}

impl Setting for Rate {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|e| format!("{e}; write SKY for one BTC such as \"500\""))
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        Self::from_text(number_text(value)?)
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for Decimal {
    fn from_text(text: &str) -> Result<Self, String> {
        Decimal::from_str_exact(text).map_err(|_| "expected a decimal number such as \"2.5\"".to_owned())
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        Self::from_text(number_text(value)?)
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected an IP address and a port such as \"127.0.0.1:7071\"".to_owned())
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for IpNet {
    fn from_text(text: &str) -> Result<Self, String> {
        let one = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| one()).map_err(|_| "expected an IP address or block such as \"10.0.0.0/8\"".to_owned())
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for Url {
    fn from_text(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| "expected a URL such as \"http://127.0.0.1:8332\"".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("expected a URL that begins with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or password in the URL; write them as settings of their own".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or fragment; write the URL without it".to_owned());
        }
        Ok(url)
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

/// A broker's address: of any scheme, with a host, and without a user and a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl(pub Url);

impl Setting for BrokerUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(Url::has_host);
        let url =
            url.ok_or_else(|| "expected a URL with a host, such as \"mqtts://broker.example:8883\"".to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or password in the URL; write them as settings of their own".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or fragment; write the URL without it".to_owned());
        }
        Ok(Self(url))
    }
    fn show(&self) -> String {
        quoted(self.0.as_str())
    }
}

impl Setting for bitcoin::Network {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .or_else(|_| bitcoin::Network::from_core_arg(text))
            .map_err(|_| "expected bitcoin, testnet, testnet4, signet or regtest".to_owned())
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for Xpub {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.get(..4) {
            Some("xprv" | "tprv" | "zprv" | "vprv") => Err(
                "is a PRIVATE key, which the desk must not have; write the account's xpub (and consider this key exposed)"
                    .to_owned(),
            ),
            Some("zpub" | "vpub" | "ypub" | "upub") => {
                Err("has a wallet's own prefix; write the same key in its xpub (or tpub) form".to_owned())
            }
            _ => text.parse().map_err(|_| "is not an account's extended public key (xpub… or tpub…)".to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::from_text).collect()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let list = value.as_array().ok_or_else(|| "expected a list in square brackets".to_owned())?;
        list.iter().map(|item| T::from_toml(item.get_ref())).collect()
    }
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }
}
