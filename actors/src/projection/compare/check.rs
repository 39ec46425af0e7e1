//! Holds projections against the log beside a desk that runs: the desk goes on writing to both.
//!
//! They are first folded anew to where the views are, again and again until hardly anything came meanwhile, which takes its time and
//! holds nothing; only then the views are taken as they are at that moment, the page that may have come is folded, too, and the rows are
//! gone through. So the moment of the views, behind which their write-ahead log cannot be put away, is held as long as that takes, and
//! [`HELD_MAX`] at most.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use millrace_model::ids::{DepositId, Position, StreamName};
use rusqlite::ErrorCode;

use super::room::Room;
use super::rows::each_row;
use super::{CompareError, Unlike};
use crate::event_store::Reader;
use crate::projection::ProjectionError;
use crate::projection::build::{Build, Company, Ended, Source};
use crate::projection::catalog::Projection;
use crate::projection::database::Mark;
use crate::projection::stored::{StoredError, StoredViews};
use crate::projection::views::{ViewError, Views};

/// So many differences of a projection are kept; the others are counted.
pub const UNLIKE_KEPT_MAX: usize = 50;
/// So much of what is shown and of what the log says is kept of a difference.
const TEXT_CHARS_MAX: usize = 160;
/// So much of what is the same before it.
const LEAD_CHARS: usize = 20;

/// With more events to fold the views are not held yet: it is what a page of the log has.
const NEAR_EVENTS: u64 = 512;
/// So long the views are held at one moment: their write-ahead log grows meanwhile.
const HELD_MAX: Duration = Duration::from_secs(600);

/// What a projection shows, held against the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Up to which event.
    pub position: Position,
    /// How often the projection had been made.
    pub generation: i64,
    /// How many rows there are on either side.
    pub rows: u64,
    /// How many of them differ.
    pub unlike: u64,
    /// The first of those, at most [`UNLIKE_KEPT_MAX`].
    pub first: Vec<UnlikeRow>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlikeRow {
    /// What first differs in it, in short.
    pub unlike: Unlike,
    /// The event that it is known by, if it is known by one and the log has that.
    pub event: Option<Position>,
    /// The deposit that it is of, if it is of one.
    pub deposit: Option<DepositId>,
}

/// What became of each projection that was asked for.
pub type Checks = Vec<(Projection, Result<Checked, CompareError>)>;

/// Whoever asked hears how far the folding is, and of how many events, and can break it off; he is asked at every row, too.
type Told<'t> = &'t mut dyn FnMut(Position, Position) -> ControlFlow<()>;

/// Compares these projections of a running desk with its log. Nothing when it was broken off.
pub fn check(log: &Path, views: &Views, wanted: &[Projection], told: Told<'_>) -> Result<Option<Checks>, CompareError> {
    check_within((log, views.path()), wanted, Bounds { near_events: NEAR_EVENTS, held_max: HELD_MAX }, told)
}

/// How the views are held.
#[derive(Debug, Clone, Copy)]
pub(in crate::projection) struct Bounds {
    /// Only when no more events are to be folded.
    pub(in crate::projection) near_events: u64,
    /// No longer than this.
    pub(in crate::projection) held_max: Duration,
}

/// The same within these bounds.
pub(in crate::projection) fn check_within(
    (log, views): (&Path, &Path),
    wanted: &[Projection],
    bounds: Bounds,
    told: Told<'_>,
) -> Result<Option<Checks>, CompareError> {
    let log = Reader::open(log)?;
    let (known, mut checks) = known(&StoredViews::open(views, false)?, wanted, &log)?;
    if known.is_empty() {
        return Ok(Some(checks));
    }
    let room = Room::beside(views)?;
    let wanted: Vec<_> = known.into_iter().map(|(_, of)| of).collect();
    let mut beside = Beside { build: room.begin(&wanted)?, log, room };
    if beside.come_near(views, &wanted, bounds.near_events, told)?.is_break() {
        return Ok(None);
    }
    let held = Held { stored: StoredViews::open(views, false)?, until: Instant::now() + bounds.held_max };
    let (known, lost) = self::known(&held.stored, &wanted, &beside.log)?;
    checks.extend(lost);
    for (position, of) in known {
        let checked = match beside.check(of, position, &held, told) {
            Ok(Some(checked)) => Ok(checked),
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        checks.push((of, checked));
    }
    Ok(Some(checks))
}

/// The views at one moment, which ends.
struct Held {
    stored: StoredViews,
    until: Instant,
}

impl Held {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Whoever asked wants to know no more, or the views cannot be held any longer.
    fn broken_off(&self, of: Projection) -> Result<Option<Checked>, CompareError> {
        if self.is_over() { Err(CompareError::HeldTooLong(of)) } else { Ok(None) }
    }
}

/// Those that can be compared, with how far they go, in that order; and why the others cannot be.
fn known(
    stored: &StoredViews,
    wanted: &[Projection],
    log: &Reader,
) -> Result<(Vec<(Position, Projection)>, Checks), CompareError> {
    let (end, mut known, mut others) = (log.head()?, Vec::new(), Vec::new());
    for of in wanted.iter().copied() {
        match mark(stored, of)?.map(|mark| mark.position) {
            None => others.push((of, Err(CompareError::OfAnother(of)))),
            Some(position) if position > end => {
                others.push((of, Err(CompareError::Ahead { projection: of, position, end })));
            }
            Some(position) => known.push((position, of)),
        }
    }
    known.sort_unstable();
    Ok((known, others))
}

fn mark(stored: &StoredViews, of: Projection) -> Result<Option<Mark>, StoredError> {
    Ok(stored.mark(of)?.filter(|mark| mark.version == of.version()))
}

/// What is made beside.
struct Beside {
    build: Build,
    log: Reader,
    room: Room,
}

impl Beside {
    /// Folds to where the views are until they are no more than so many events further by then; they are looked at for no more than a
    /// moment. Whoever asked breaks it off where the desk is faster.
    fn come_near(
        &mut self,
        views: &Path,
        wanted: &[Projection],
        near_events: u64,
        told: Told<'_>,
    ) -> Result<ControlFlow<()>, CompareError> {
        loop {
            let (known, _) = known(&StoredViews::open(views, false)?, wanted, &self.log)?;
            // What one of them has is all that can be folded of them together.
            let ahead = known.first().map_or(0, |(position, _)| position.saturating_sub(self.build.position()));
            let is_begun = self.build.position() > 0;
            if ahead == 0 || is_begun && ahead <= near_events {
                return Ok(ControlFlow::Continue(()));
            }
            if self.fold(self.build.position() + ahead, told)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Folds up to this event.
    fn fold(&mut self, position: Position, told: Told<'_>) -> Result<ControlFlow<()>, CompareError> {
        let source = Source { reader: &self.log, company: Company::Desk };
        match self.build.run_to(source, position, told) {
            Ok(Ended::Near) => Ok(ControlFlow::Continue(())),
            Ok(Ended::BrokenOff) => Ok(ControlFlow::Break(())),
            Err(ProjectionError::View(ViewError::Written(error)))
                if error.sqlite_error_code() == Some(ErrorCode::DiskFull) =>
            {
                Err(self.room.is_taken())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Compares one of them, which is shown up to this event.
    fn check(
        &mut self,
        of: Projection,
        position: Position,
        held: &Held,
        told: Told<'_>,
    ) -> Result<Option<Checked>, CompareError> {
        if position < self.build.position() {
            return Err(CompareError::WentBack(of));
        }
        let mut told = |position, end| if held.is_over() { ControlFlow::Break(()) } else { told(position, end) };
        if self.fold(position, &mut told)?.is_break() {
            return held.broken_off(of);
        }
        let generation = mark(&held.stored, of)?.map_or(0, |mark| mark.generation);
        let mut checked = Checked { position, generation, rows: 0, unlike: 0, first: Vec::new() };
        let (shown, log) = (held.stored.connection(), &self.log);
        let ended = each_row(of, shown, self.build.connection(), &mut |unlike| {
            checked.rows += 1;
            if let Some(unlike) = unlike {
                checked.unlike += 1;
                if checked.first.len() < UNLIKE_KEPT_MAX {
                    checked.first.push(UnlikeRow::of(unlike, log));
                }
            }
            told(position, position)
        })?;
        if ended.is_break() { held.broken_off(of) } else { Ok(Some(checked)) }
    }
}

impl UnlikeRow {
    fn of(unlike: Unlike, log: &Reader) -> Self {
        // Keys that are numbers are positions of the log.
        let named = unlike.key.parse().ok().and_then(|key| log.event_at(key).ok().flatten());
        let event = named.as_ref().map(|recorded| recorded.position);
        let is_of_deposit =
            matches!(unlike.projection, Projection::Deposits | Projection::Notifications | Projection::Names);
        let deposit = match named.map(|recorded| recorded.stream) {
            Some(StreamName::Deposit(id)) if is_of_deposit => Some(id),
            _ => None,
        };
        let (shown, made) = in_short(&unlike.shown, &unlike.made);
        Self { unlike: Unlike { shown, made, ..unlike }, event, deposit }
    }
}

/// Of texts that are too long what is around the first place where they differ.
fn in_short(shown: &str, made: &str) -> (String, String) {
    if shown.chars().nth(TEXT_CHARS_MAX).is_none() && made.chars().nth(TEXT_CHARS_MAX).is_none() {
        return (shown.to_owned(), made.to_owned());
    }
    let same = shown.chars().zip(made.chars()).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(LEAD_CHARS);
    let cut = |text: &str| {
        let before = if from > 0 { "…" } else { "" };
        let after = if text.chars().nth(from + TEXT_CHARS_MAX).is_some() { "…" } else { "" };
        format!("{before}{}{after}", text.chars().skip(from).take(TEXT_CHARS_MAX).collect::<String>())
    };
    (cut(shown), cut(made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_what_differs_is_kept() {
        assert_eq!(in_short("1", "2"), ("1".to_owned(), "2".to_owned()));
        let (same, rest) = ("ä".repeat(500), "z".repeat(500));
        let (shown, made) = in_short(&format!("{same}x{rest}"), &format!("{same}y"));
        assert_eq!(made, format!("…{}y", "ä".repeat(LEAD_CHARS)));
        assert!(shown.starts_with(&format!("…{}xz", "ä".repeat(LEAD_CHARS))) && shown.ends_with("z…"), "{shown}");
        assert_eq!(shown.chars().count(), TEXT_CHARS_MAX + 2);
    }
}
