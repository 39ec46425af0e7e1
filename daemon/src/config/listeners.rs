//! `[public]` and `[operator]`: where the desk listens, and to whom.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use ipnet::IpNet;
use reqwest::Url;

use super::layers::Layers;
use super::section::Section;
use super::setting::{Setting, quoted};
use crate::web::frame::Transport;

/// A web origin that browsers may call the desk from: `https://example.org`, or `*` for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Whether every origin is meant.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// The origin as a header has it.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("an origin is plain ASCII, checked when it was read")
    }
}

impl Setting for Origin {
    fn from_text(text: &str) -> Result<Self, String> {
        let exact = |url: Url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
        if text == "*" || Url::parse(text).is_ok_and(exact) {
            return Ok(Self(text.to_owned()));
        }
        Err("expected an origin such as \"https://example.org\", without a path, or \"*\"".to_owned())
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// Certificate and key of a TLS listener, both PEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsFiles<'c> {
    /// The certificate, followed by those that vouch for it.
    pub certificate: &'c Path,
    /// Its private key.
    pub key: &'c Path,
}

/// How often one client may call: an average, and how many calls at once on top of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Calls in a minute in the long run; 0 means no limit.
    pub per_minute: u32,
    /// Calls at once after a pause, at least 1.
    pub burst: u32,
}

/// An address with the place of a transaction's id in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxidTemplate(String);

impl TxidTemplate {
    const PLACE: &str = "{txid}";

    /// The address of this transaction.
    pub fn with(&self, txid: &str) -> String {
        self.0.replace(Self::PLACE, txid)
    }
}

impl Setting for TxidTemplate {
    fn from_text(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        match url {
            Some(_) if text.contains(Self::PLACE) => Ok(Self(text.to_owned())),
            _ => Err("expected a URL with {txid} in it, such as \"https://explorer.example.org/tx/{txid}\"".to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// The `[public]` table: the listener for customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where customers find the desk, for the links in what they are told; see [`Public::address`].
    pub url: Option<Url>,
    /// Where a Bitcoin transaction can be looked at.
    pub deposit_explorer: Option<TxidTemplate>,
    /// Where a Skycoin transaction can be looked at.
    pub payout_explorer: Option<TxidTemplate>,
    /// PEM file of the certificate chain; see [`Public::tls`].
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub tls_key: Option<PathBuf>,
    /// Origins whose pages may call the API.
    pub cors_allowed: Vec<Origin>,
    /// Whether `X-Forwarded-For` of the trusted proxies is believed; see [`Public::proxies`].
    pub behind_proxy: bool,
    /// Who may say on whose behalf he calls.
    pub trusted_proxies: Vec<IpNet>,
    /// Calls that make something: binding.
    pub bind_pace: Pace,
    /// Calls that only read.
    pub read_pace: Pace,
    /// Connections open at once.
    pub max_connections: usize,
}

impl Public {
    /// The TLS files, when the listener speaks TLS.
    pub fn tls(&self) -> Option<TlsFiles<'_>> {
        Some(TlsFiles { certificate: self.tls_certificate.as_deref()?, key: self.tls_key.as_deref()? })
    }

    /// Where customers find the desk, without a slash at its end.
    pub fn address(&self) -> Option<String> {
        self.url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    /// The proxies whose word is taken: none unless the desk is behind one.
    pub fn proxies(&self) -> &[IpNet] {
        if self.behind_proxy { &self.trusted_proxies } else { &[] }
    }

    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, "public");
        let loopback = || vec![block("127.0.0.0/8"), block("::1/128")];
        Self {
            listen: section.value("listen", SocketAddr::from(([127, 0, 0, 1], 7071))),
            url: section.optional("url"),
            deposit_explorer: section.optional("deposit_explorer"),
            payout_explorer: section.optional("payout_explorer"),
            tls_certificate: section.path("tls_certificate", None),
            tls_key: section.path("tls_key", None),
            cors_allowed: section.value("cors_allowed", Vec::new()),
            behind_proxy: section.value("behind_proxy", false),
            trusted_proxies: section.value("trusted_proxies", loopback()),
            bind_pace: Pace {
                per_minute: section.within("bind_per_minute", 0..=PER_MINUTE_MAX, 60),
                burst: section.within("bind_burst", 1..=PER_MINUTE_MAX, 30),
            },
            read_pace: Pace {
                per_minute: section.within("read_per_minute", 0..=PER_MINUTE_MAX, 600),
                burst: section.within("read_burst", 1..=PER_MINUTE_MAX, 120),
            },
            max_connections: section.within("max_connections", 1..=100_000, 1_000),
        }
    }
}

/// The `[operator]` table: the listener for the people who run the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Address and port; loopback unless `allow_remote` says otherwise.
    pub listen: SocketAddr,
    /// Whether another address than loopback is meant: its traffic and token are not encrypted.
    pub allow_remote: bool,
    /// The bearer token's file, made at the first start.
    pub token_file: PathBuf,
    /// Proxies that speak TLS for this listener: `X-Forwarded-For` of these is believed, and browsers are told to come by
    /// TLS alone.
    pub tls_proxies: Vec<IpNet>,
}

impl Operator {
    pub(super) fn read(layers: &mut Layers<'_>, data_dir: &Path) -> Self {
        let mut section = Section::new(layers, "operator");
        Self {
            listen: section.value("listen", SocketAddr::from(([127, 0, 0, 1], 7711))),
            allow_remote: section.value("allow_remote", false),
            token_file: section.path("token_file", Some(data_dir.join("operator.token"))).unwrap_or_default(),
            tls_proxies: section.value("tls_proxies", Vec::new()),
        }
    }

    /// What browsers speak with it.
    pub fn transport(&self) -> Transport {
        if self.tls_proxies.is_empty() { Transport::Plain } else { Transport::Tls }
    }
}

/// Far above anything a single client does, far below where arithmetic on it could overflow.
const PER_MINUTE_MAX: u32 = 1_000_000_000;

fn block(text: &str) -> IpNet {
    text.parse().expect("the default blocks are well formed")
}
