//! Who is calling: the connection's peer, or whom a trusted proxy calls for.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

/// The other end of the connection; put into every request by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The caller's address; put into every request by the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    /// Without a frame (a router called directly) everybody is the same, unspecified caller.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let unspecified = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(unspecified))
    }
}

/// The caller's address: from the right end of `X-Forwarded-For`, the first that is not a trusted proxy's, as long as
/// the peer itself is one. What stands to the left of it is the caller's own claim and counts for nothing.
pub fn resolve(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let trusted = |ip: IpAddr| proxies.iter().any(|block| block.contains(&ip));
    let mut caller = peer.to_canonical();
    if !trusted(caller) {
        return caller;
    }
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in value.as_bytes().rsplit(|byte| *byte == b',') {
            let Some(ip) = std::str::from_utf8(hop).ok().and_then(address) else { return caller };
            caller = ip;
            if !trusted(caller) {
                return caller;
            }
        }
    }
    caller
}

/// `192.0.2.1`, `2001:db8::1`, and both with a port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse::<IpAddr>().ok().or_else(with_port).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|block| block.parse().unwrap()).collect();
        resolve(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn a_caller_cannot_choose_his_address() {
        assert_eq!(caller("192.0.2.1", &["10.0.0.9"], &[]), "192.0.2.1");
        assert_eq!(caller("192.0.2.1", &["10.0.0.9"], &["10.0.0.0/8"]), "192.0.2.1");
        assert_eq!(caller("10.0.0.1", &["6.6.6.6, 192.0.2.1"], &["10.0.0.0/8"]), "192.0.2.1");
        assert_eq!(caller("10.0.0.1", &["6.6.6.6", "192.0.2.1, 10.0.0.2"], &["10.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn nonsense_stops_the_walk_at_the_last_hop_that_is_known() {
        assert_eq!(caller("10.0.0.1", &["192.0.2.1, \u{ff}\"><script>"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(caller("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn ports_and_mapped_addresses_are_understood() {
        assert_eq!(caller("::ffff:10.0.0.1", &["192.0.2.1:4711"], &["10.0.0.0/8"]), "192.0.2.1");
        assert_eq!(caller("10.0.0.1", &["[2001:db8::1]:4711"], &["10.0.0.0/8"]), "2001:db8::1");
    }
}
