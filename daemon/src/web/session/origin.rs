//! Whether a request that changes something comes from one of the desk's own pages.
//!
//! Browsers say it in `Sec-Fetch-Site` (Fetch Metadata, W3C), older ones and those on unencrypted connections in
//! `Origin` alone. Who sends neither is no browser and has no cookies that another site could make it send.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method};

/// Whether another site made a browser send this.
pub(super) fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    match headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes) {
        Some(site) => !matches!(site, b"same-origin" | b"none"),
        None => headers.get(ORIGIN).is_some_and(|origin| !is_own(origin.as_bytes(), headers)),
    }
}

/// A proxy in front may speak TLS for the desk, so the scheme says nothing here.
fn is_own(origin: &[u8], headers: &HeaderMap) -> bool {
    let host = [b"http://".as_slice(), b"https://"].iter().find_map(|scheme| origin.strip_prefix(*scheme));
    host.is_some() && host == headers.get(HOST).map(http::HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn foreign(method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        is_foreign(method, &headers.collect())
    }

    #[test]
    fn only_the_desks_own_pages_may_change_something() {
        for (site, refused) in [("same-origin", false), ("none", false), ("same-site", true), ("cross-site", true)] {
            let own = [("sec-fetch-site", site), ("host", "desk"), ("origin", "http://desk")];
            assert_eq!(foreign(&Method::POST, &own), refused, "{site}");
            assert!(!foreign(&Method::GET, &own));
        }
    }

    #[test]
    fn the_origin_speaks_where_nothing_else_does() {
        for (origin, refused) in [
            ("http://desk:8081", false),
            ("https://desk:8081", false),
            ("http://desk", true),
            ("http://desk:8081.evil.example", true),
            ("null", true),
            ("", true),
        ] {
            assert_eq!(foreign(&Method::POST, &[("host", "desk:8081"), ("origin", origin)]), refused, "{origin}");
        }
        assert!(foreign(&Method::DELETE, &[("origin", "http://desk")]), "no host is nobody's");
        assert!(!foreign(&Method::POST, &[("host", "desk")]), "no browser");
    }
}
