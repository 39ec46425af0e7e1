//! Which addresses a subscriber's endpoint may have: none inside the desk's own network, however it is written.
//!
//! An address is looked at twice: as it is written, when somebody subscribes, and as the connection is opened, when every
//! address its name stands for has to be allowed. The connection goes to the address that was looked at, so a name that
//! changes its mind in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::Url;

/// The longest address, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// Ports below this are other services', but for https.
const PORT_MIN: u16 = 1_024;

/// How far endpoints may be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The public internet, by https.
    Public,
    /// This machine too, and by http: the sandbox.
    Sandbox,
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its name, or its address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What the header `Host` says.
    pub authority: String,
    /// What is asked for.
    pub path: String,
    /// Whether it is encrypted.
    pub scheme: Scheme,
}

/// How an endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Encrypted.
    Https,
}

/// Why an address is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is too long.
    #[error("an address has at most {URL_BYTES_MAX} bytes")]
    TooLong,
    /// It is none.
    #[error("this is no address of the form https://host/path")]
    NoUrl,
    /// Of another scheme.
    #[error("an endpoint's address begins with https://")]
    Scheme,
    /// With a name or a password.
    #[error("an endpoint's address has no user name and no password")]
    UserInfo,
    /// With a port that other services use.
    #[error("an endpoint's port is 443, or {PORT_MIN} or higher")]
    Port,
    /// Of the desk's own network.
    #[error("{0} is not an address of the public internet")]
    Forbidden(String),
}

/// Not of the public internet: private, local, reserved, documentation, benchmarking, multicast; and the one public address
/// behind which a cloud has its metadata (IANA's special-purpose registries, RFC 6890 and after).
static DENIED_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    let blocks = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    ];
    blocks.iter().map(|block| block.parse().expect("the table is of address blocks")).collect()
});

/// What is global unicast in the sixth version.
static GLOBAL_V6: LazyLock<Ipv6Net> = LazyLock::new(|| "2000::/3".parse().expect("it is an address block"));

/// What of that is none: protocol assignments with Teredo and ORCHID among them, documentation, 6to4 (deprecated), and the
/// sinks of AS112.
static DENIED_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| {
    let blocks = ["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"];
    blocks.iter().map(|block| block.parse().expect("the table is of address blocks")).collect()
});

/// Addresses that a translator makes of those of the fourth version (RFC 6052).
static NAT64: LazyLock<Ipv6Net> = LazyLock::new(|| "64:ff9b::/96".parse().expect("it is an address block"));

impl Target {
    /// Reads an endpoint's address, without asking anybody.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, AddressError> {
        if text.len() > URL_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| AddressError::NoUrl)?;
        let scheme = match (url.scheme(), reach) {
            ("https", _) => Scheme::Https,
            ("http", Reach::Sandbox) => Scheme::Http,
            _ => return Err(AddressError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::UserInfo);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(AddressError::NoUrl)?;
        let port = url.port_or_known_default().ok_or(AddressError::NoUrl)?;
        if reach == Reach::Public && port != 443 && port < PORT_MIN {
            return Err(AddressError::Port);
        }
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        refuse_local_name(&host, reach)?;
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok(Self { host, port, authority, path, scheme })
    }

    /// The address the host is, if it is no name.
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// All of what the name stands for, if all of it is allowed.
    pub fn allowed(&self, found: &[IpAddr], reach: Reach) -> Result<Vec<SocketAddr>, AddressError> {
        let check = |address: &IpAddr| {
            let is_allowed = is_allowed(*address, reach);
            is_allowed.then(|| SocketAddr::new(*address, self.port)).ok_or_else(|| forbidden(&address.to_string()))
        };
        found.iter().map(check).collect()
    }
}

fn forbidden(what: &str) -> AddressError {
    AddressError::Forbidden(what.to_owned())
}

fn refuse_local_name(host: &str, reach: Reach) -> Result<(), AddressError> {
    if let Ok(address) = host.parse() {
        return if is_allowed(address, reach) { Ok(()) } else { Err(forbidden(host)) };
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let is_local = !name.contains('.')
        || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|suffix| name.ends_with(suffix));
    if is_local && reach == Reach::Public { Err(forbidden(host)) } else { Ok(()) }
}

/// Whether the desk opens a connection to this address for a subscriber.
pub fn is_allowed(address: IpAddr, reach: Reach) -> bool {
    let is_own = reach == Reach::Sandbox && address.to_canonical().is_loopback();
    is_own
        || match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !DENIED_V4.iter().any(|block| block.contains(&address))
}

/// What only carries an address of the fourth version is judged by that; everything else has to be global unicast.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let carries_isatap = matches!(address.segments(), [_, _, _, _, 0 | 0x0200, 0x5efe, _, _]);
    GLOBAL_V6.contains(&address) && !carries_isatap && !DENIED_V6.iter().any(|block| block.contains(&address))
}

#[cfg(test)]
mod tests;
