//! A moment as somebody types it or shares it in an address: a time in UTC.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::web::problem::Problem;

/// What a field for a date and a time sends: with seconds, and without them where these are zero.
const TYPED: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];

/// Reads one; nothing when the field was left empty. Without an offset it is UTC.
pub(super) fn instant(text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Some(at.to_utc()));
    }
    let typed = TYPED.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let wrong = || Problem::bad_request("invalid_query", "A time is written as 2026-11-21T20:00:00Z.");
    typed.map(|at| Some(at.and_utc())).ok_or_else(wrong)
}

/// One as a field for a date and a time has it, down to the millisecond.
pub(super) fn typed(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_typed_and_as_it_is_shared() {
        let read = |text| instant(Some(text)).unwrap().unwrap().to_rfc3339();
        for (text, expected) in [
            ("2026-11-21T20:00", "2026-11-21T20:00:00+00:00"),
            ("2026-11-21T20:00:07", "2026-11-21T20:00:07+00:00"),
            (" 2026-11-21T20:00:07.25 ", "2026-11-21T20:00:07.250+00:00"),
            ("2026-11-21T20:00:07+02:00", "2026-11-21T18:00:07+00:00"),
        ] {
            assert_eq!(read(text), expected);
        }
        let at = instant(Some("2026-11-21T20:00:07.250Z")).unwrap().unwrap();
        assert_eq!(instant(Some(&typed(at))).unwrap(), Some(at));
        assert_eq!((instant(None).unwrap(), instant(Some(" ")).unwrap()), (None, None));
        assert_eq!(instant(Some("yesterday")).unwrap_err().status(), 400);
    }
}
