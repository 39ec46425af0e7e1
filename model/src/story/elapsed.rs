//! A span of time as a person reads it.

use std::fmt;

use chrono::TimeDelta;

/// Shows a span with as much detail as matters: `0.4 ms`, `1.203 s`, `2 min 5 s`, `3 h 12 min`, `4 d 1 h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(pub TimeDelta);

const MS_US: u64 = 1_000;
const SECOND_US: u64 = 1_000 * MS_US;
const MINUTE_US: u64 = 60 * SECOND_US;
const HOUR_US: u64 = 60 * MINUTE_US;
const DAY_US: u64 = 24 * HOUR_US;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Spans between two times of the log are far below 290 000 years.
        let span_us = self.0.num_microseconds().unwrap_or(i64::MAX);
        if span_us < 0 {
            f.write_str("-")?;
        }
        let us = span_us.unsigned_abs();
        if us < SECOND_US {
            return write!(f, "{}.{} ms", us / MS_US, us % MS_US / 100);
        }
        if us < MINUTE_US {
            return write!(f, "{}.{:03} s", us / SECOND_US, us % SECOND_US / MS_US);
        }
        let (large, word, small, small_word) = if us < HOUR_US {
            (MINUTE_US, "min", SECOND_US, "s")
        } else if us < DAY_US {
            (HOUR_US, "h", MINUTE_US, "min")
        } else {
            (DAY_US, "d", HOUR_US, "h")
        };
        write!(f, "{} {word} {} {small_word}", us / large, us % large / small)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_in_the_units_that_matter() {
        for (us, shown) in [
            (0, "0.0 ms"),
            (449, "0.4 ms"),
            (999_999, "999.9 ms"),
            (1_203_400, "1.203 s"),
            (125_000_000, "2 min 5 s"),
            (11_520_000_000, "3 h 12 min"),
            (349_200_000_000, "4 d 1 h"),
            (-1_500_000, "-1.500 s"),
        ] {
            assert_eq!(Elapsed(TimeDelta::microseconds(us)).to_string(), shown);
        }
    }
}
