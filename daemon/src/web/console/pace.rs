//! How fast the desk was, as the plots of the overview fetch it: a point for each piece of a span, with nothing left out.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::projection::Pace;
use serde::{Deserialize, Serialize};

use crate::web::extract::Query;
use crate::web::operator::{OperatorState, views_unreadable};
use crate::web::problem::Problem;

/// How far back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Span {
    #[default]
    Hour,
    Day,
    Week,
}

impl Span {
    pub(super) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// How many minutes a point stands for, and how many points there are.
    const fn points(self) -> (i64, i64) {
        match self {
            Self::Hour => (1, 60),
            Self::Day => (10, 144),
            Self::Week => (60, 168),
        }
    }

    const fn piece(self) -> &'static str {
        match self {
            Self::Hour => "a minute",
            Self::Day => "ten minutes",
            Self::Week => "an hour",
        }
    }
}

/// What is plotted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Plot {
    Throughput,
    Waits,
}

/// Which plot, over which span.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    plot: Plot,
    #[serde(default)]
    span: Span,
}

/// Points, and the values of each series at them.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Plotted {
    /// Seconds since 1970-01-01 UTC, where each piece begins.
    at: Vec<i64>,
    series: Vec<Series>,
}

#[derive(Debug, Serialize, PartialEq)]
struct Series {
    label: &'static str,
    values: Vec<Option<f64>>,
}

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    Query(Wanted { plot, span }): Query<Wanted>,
) -> Result<Reply<Plotted>, Problem> {
    let (at, pieces) = pieces(&desk, span).await?;
    Ok(Reply(plotted(plot, at, &pieces)))
}

/// The plots, with the ways to other spans. Without scripts they are the sums in words.
pub(super) async fn section(desk: &OperatorState, span: Span) -> Markup {
    let sum = pieces(desk, span).await.map(|(_, pieces)| pieces.iter().fold(Pace::default(), Pace::with));
    html! {
        section aria-labelledby="pace" {
            h2 #pace { "The last " (span.word()) }
            p {
                @match sum {
                    Ok(sum) => {
                        (sum.received) " received, " (sum.sent) " sent, " (sum.confirmed) " final. From received, which is deep enough in \
                        its chain, to sent it took up to " (told(sum.waits.quantile(500))) " for half of them and "
                        (told(sum.waits.quantile(950))) " for all but one of twenty. "
                    }
                    Err(problem) => (problem.message()),
                }
                @for other in Span::ALL.into_iter().filter(|other| *other != span) {
                    a href={ "/console?span=" (other.word()) } { "The last " (other.word()) } " "
                }
            }
            div.cards {
                (plot("throughput", span, "", &format!("Deposits received, sent and final, in {}", span.piece())))
                (plot("waits", span, "s", "Seconds from received (deep enough in its chain) to sent"))
            }
        }
    }
}

fn plot(word: &str, span: Span, unit: &str, says: &str) -> Markup {
    html! {
        figure {
            figcaption { (says) }
            div data-plot={ "/console/pace?plot=" (word) "&span=" (span.word()) } data-unit=(unit) hx-morph-skip role="img" aria-label=(says) {}
        }
    }
}

fn told(wait: Option<Duration>) -> String {
    wait.and_then(|wait| chrono::TimeDelta::from_std(wait).ok()).map_or_else(|| "–".to_owned(), super::words::span)
}

async fn pieces(desk: &OperatorState, span: Span) -> Result<(Vec<i64>, Vec<Pace>), Problem> {
    let (minutes, points) = span.points();
    let first = begin(desk.now(), minutes, points);
    let rows = desk.views.pace(first, (minutes * points) as u32).await.map_err(views_unreadable)?;
    Ok(together(rows, first, (minutes, points)))
}

/// The minute in which the first of so many pieces begins, of which the last holds this moment.
fn begin(now: DateTime<Utc>, minutes: i64, points: i64) -> i64 {
    (now.timestamp().div_euclid(60 * minutes) - points + 1) * minutes
}

fn together(rows: Vec<(i64, Pace)>, first: i64, (minutes, points): (i64, i64)) -> (Vec<i64>, Vec<Pace>) {
    let mut pieces = vec![Pace::default(); points as usize];
    for (minute, pace) in rows {
        let piece = usize::try_from((minute - first) / minutes).ok().and_then(|index| pieces.get_mut(index));
        if let Some(piece) = piece {
            *piece = std::mem::take(piece).with(&pace);
        }
    }
    ((0..points).map(|index| (first + index * minutes) * 60).collect(), pieces)
}

fn plotted(plot: Plot, at: Vec<i64>, pieces: &[Pace]) -> Plotted {
    let of = |label, value: fn(&Pace) -> Option<f64>| Series { label, values: pieces.iter().map(value).collect() };
    let series = match plot {
        Plot::Throughput => vec![
            of("received", |pace| Some(pace.received as f64)),
            of("sent", |pace| Some(pace.sent as f64)),
            of("final", |pace| Some(pace.confirmed as f64)),
        ],
        Plot::Waits => vec![
            of("half of them", |pace| pace.waits.quantile(500).map(|wait| wait.as_secs_f64())),
            of("all but one of twenty", |pace| pace.waits.quantile(950).map(|wait| wait.as_secs_f64())),
        ],
    };
    Plotted { at, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_has_a_point_and_minutes_fall_into_theirs() {
        let now = DateTime::from_timestamp(100 * 600 + 30, 0).unwrap();
        let first = begin(now, 10, 3);
        assert_eq!(first, 980);
        let pace = |received| Pace { received, ..Pace::default() };
        let rows = vec![(980, pace(1)), (989, pace(2)), (1_000, pace(4)), (1_009, pace(8)), (1_010, pace(16))];
        let (at, pieces) = together(rows, first, (10, 3));
        assert_eq!(at, [58_800, 59_400, 60_000]);
        let plotted = plotted(Plot::Throughput, at, &pieces);
        assert_eq!(plotted.series[0].values, [Some(3.0), Some(0.0), Some(12.0)]);
    }
}
