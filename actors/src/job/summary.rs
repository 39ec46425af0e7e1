//! What came of a run, for a person and for whoever watches over it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// How many of those that were given up are named for each sink.
pub const NAMED_MAX: usize = 20;

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Of all of it.
    pub outcome: Outcome,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How many notifications arrived.
    pub delivered: u64,
    /// Each sink.
    pub sinks: Vec<SinkReport>,
    /// What ended it before its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing is wrong with any sink.
    Done,
    /// Something is wrong with some, and the next run tries again.
    Partly,
    /// Desk or database do not do: nothing could be told, or not all.
    Failed,
}

/// How a sink stands after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// It was told everything there is.
    CaughtUp,
    /// There is more, for the next run: this one has told as much as it may, or its time is over.
    More,
    /// Another run serves it.
    Busy,
    /// Another run took it over, since this one took too long.
    Lost,
    /// What failed in an earlier run is not sent again yet.
    Waiting,
    /// Something did not arrive.
    Failed,
    /// Nothing is sent any more, until its address changes or somebody resumes it.
    Stopped,
    /// It was not told everything, since desk or database do not do.
    Unserved,
}

impl Stands {
    /// Whether somebody should look.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::CaughtUp | Self::More | Self::Busy | Self::Lost)
    }
}

/// What came of a sink's turn.
#[derive(Debug, Clone, Serialize)]
pub struct SinkReport {
    /// Its name.
    pub sink: String,
    /// How it stands.
    pub stands: Stands,
    /// How many notifications it was told.
    pub delivered: u64,
    /// How many it does not want.
    pub passed: u64,
    /// How many were given up.
    pub given_up: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given_up_ids: Vec<Uuid>,
    /// Its place was unknown to the desk, so it began again by time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub began_again: bool,
    /// What fails is not sent again before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl SinkReport {
    pub(super) fn new(name: &str) -> Self {
        Self {
            sink: name.to_owned(),
            stands: Stands::CaughtUp,
            delivered: 0,
            passed: 0,
            given_up: 0,
            given_up_ids: Vec::new(),
            began_again: false,
            retry_at: None,
            error: None,
        }
    }

    /// Whether somebody should look.
    pub fn is_well(&self) -> bool {
        self.stands.is_well() && self.given_up == 0
    }
}

impl Summary {
    /// That of a run that ended before any sink had its turn.
    pub fn of_nothing(why: &impl std::fmt::Display, time: (DateTime<Utc>, Duration)) -> Self {
        Self::new(Vec::new(), Some(why.to_string()), time)
    }

    pub(super) fn new(
        sinks: Vec<SinkReport>,
        fatal: Option<String>,
        (started, took): (DateTime<Utc>, Duration),
    ) -> Self {
        let outcome = match &fatal {
            Some(_) => Outcome::Failed,
            None if sinks.iter().all(SinkReport::is_well) => Outcome::Done,
            None => Outcome::Partly,
        };
        let delivered = sinks.iter().map(|sink| sink.delivered).sum();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { outcome, started, took_ms, delivered, sinks, error: fatal }
    }
}
