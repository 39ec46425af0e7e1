//! Whether a browser shows the answer to somebody, or a program reads it.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether pages are asked for by name, as browsers do (RFC 9110, 12.5.1); programs that take anything are answered as
/// programs.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|text| text.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_wanted_by_whoever_names_it_among_what_he_takes() {
        let wants = |accept: &[&str]| {
            let headers = accept.iter().map(|value| (ACCEPT, value.parse().unwrap())).collect();
            wants_html(&headers)
        };
        for browser in ["text/html", "application/xhtml+xml, Text/HTML;q=0.9, */*;q=0.8"] {
            assert!(wants(&[browser]) && wants(&["image/png", browser]), "{browser}");
        }
        for program in ["*/*", "application/json", "text/event-stream", "text/htmlx", "x-text/html", ""] {
            assert!(!wants(&[program]), "{program}");
        }
        assert!(!wants(&[]));
    }
}
