//! How long after it was stored an event is shown.

use anyhow::{Context, bail, ensure};

use crate::peers::browser::Watched;

/// Whatever is older than this when a page is not looked at any more has to be shown by then.
const SHOWN_WITHIN_MS: i64 = 1_500;

/// Where the log's head was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// Just before it was asked for, in milliseconds since 1970-01-01 UTC: what is beyond it was stored later.
    pub(super) at_ms: i64,
    /// The position.
    pub(super) position: u64,
}

/// How long events took until they were shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// Half of the events took no longer.
    pub(super) p50_ms: i64,
    /// None took longer.
    pub(super) worst_ms: i64,
    /// The last of them.
    pub(super) last_ms: i64,
    /// How many events there were.
    pub(super) events: u64,
}

impl Behind {
    /// What was shown after what was stored. All of it has to be shown in the end, but for what came in the last moment.
    pub(super) fn of(heads: &[Head], watched: &Watched) -> anyhow::Result<Self> {
        let shown = watched
            .shown
            .iter()
            .map(|shown| Ok((shown.at_ms, position(&shown.text)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut waits = Vec::new();
        for pair in heads.windows(2) {
            let [before, after] = pair else { continue };
            let events = after.position.saturating_sub(before.position);
            if events == 0 {
                continue;
            }
            let seen = shown.iter().find(|(_, position)| *position >= after.position);
            match seen {
                Some((seen_ms, _)) => waits.push((seen_ms - before.at_ms, events)),
                None if watched.end_ms - before.at_ms < SHOWN_WITHIN_MS => break,
                None => bail!("{} is never shown, only {:?}", after.position, shown.last()),
            }
        }
        let last_ms = waits.last().context("nothing was stored")?.0;
        waits.sort_unstable();
        let events: u64 = waits.iter().map(|(_, events)| events).sum();
        let mut rest = events / 2;
        let half = waits.iter().find(|(_, events)| {
            let is_there = rest < *events;
            rest = rest.saturating_sub(*events);
            is_there
        });
        let (p50_ms, _) = half.context("there are events")?;
        Ok(Self { p50_ms: *p50_ms, worst_ms: waits[waits.len() - 1].0, last_ms, events })
    }
}

/// The position up to which a page shows the desk: where the log is, without what the views do not show yet.
fn position(strip: &str) -> anyhow::Result<u64> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (log, views) = strip.split_once(',').unwrap_or((strip, "0"));
    ensure!(log.starts_with("Log at"), "a page without the log's head: {strip:?}");
    let (log, behind): (u64, u64) = (digits(log).parse()?, digits(views).parse()?);
    Ok(log.saturating_sub(behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::browser::Shown;

    fn heads(heads: &[(i64, u64)]) -> Vec<Head> {
        heads.iter().map(|(at_ms, position)| Head { at_ms: *at_ms, position: *position }).collect()
    }

    fn watched(texts: &[(i64, &str)]) -> Watched {
        let shown = texts.iter().map(|(at_ms, text)| Shown { at_ms: *at_ms, text: (*text).to_owned() }).collect();
        let (longest_gap_ms, longest_task_ms) = (17.0, 0.0);
        Watched { longest_gap_ms, longest_task_ms, long_tasks: 0, frames: 9, fetches: 2, shown, end_ms: 2_000 }
    }

    #[test]
    fn each_event_waits_for_the_first_frame_that_shows_it() {
        let heads = heads(&[(0, 10), (10, 20), (20, 20), (30, 1_021), (1_900, 1_021), (1_990, 1_022)]);
        let watched = watched(&[
            (5, "Log at 10"),
            (300, "Log at 1\u{202f}021, views 1\u{202f}001 behind"),
            (700, "Log at 1\u{202f}021"),
        ]);
        let behind = Behind::of(&heads, &watched).unwrap();
        assert_eq!(behind, Behind { p50_ms: 680, worst_ms: 680, last_ms: 680, events: 1_011 });
    }

    #[test]
    fn what_is_never_shown_is_an_error() {
        let error = Behind::of(&heads(&[(0, 1), (1, 3)]), &watched(&[(0, "Log at 2")])).unwrap_err();
        assert!(error.to_string().contains("3 is never shown"), "{error}");
        assert!(Behind::of(&heads(&[(0, 1), (1, 3)]), &watched(&[(0, "The log is not open")])).is_err());
    }
}
