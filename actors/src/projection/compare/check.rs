//! Holds projections against the log beside a desk that runs: the desk goes on writing to both.
//!
//! They are first folded anew to where the views are, which takes its time and holds nothing; only then the views are taken as
//! they are at that moment, the little that came meanwhile is folded, too, and the rows are gone through. So the moment of the
//! views, behind which their write-ahead log cannot be put away, is held no longer than the rows take.

use std::ops::ControlFlow;
use std::path::Path;

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
    let (path, log) = (views.path(), Reader::open(log)?);
    let (known, mut checks) = known(&StoredViews::open(path, false)?, wanted, &log)?;
    if known.is_empty() {
        return Ok(Some(checks));
    }
    let room = Room::beside(path)?;
    let wanted: Vec<_> = known.iter().map(|(_, of)| *of).collect();
    let mut beside = Beside { build: room.begin(&wanted)?, log, room };
    if beside.fold(known[0].0, told)?.is_break() {
        return Ok(None);
    }
    let stored = StoredViews::open(path, false)?;
    let (known, lost) = self::known(&stored, &wanted, &beside.log)?;
    checks.extend(lost);
    for (position, of) in known {
        let checked = match beside.check(of, position, &stored, told) {
            Ok(Some(checked)) => Ok(checked),
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        checks.push((of, checked));
    }
    Ok(Some(checks))
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
        stored: &StoredViews,
        told: Told<'_>,
    ) -> Result<Option<Checked>, CompareError> {
        if position < self.build.position() {
            return Err(CompareError::WentBack(of));
        }
        if self.fold(position, told)?.is_break() {
            return Ok(None);
        }
        let generation = mark(stored, of)?.map_or(0, |mark| mark.generation);
        let mut checked = Checked { position, generation, rows: 0, unlike: 0, first: Vec::new() };
        let (shown, log) = (stored.connection(), &self.log);
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
        Ok(ended.is_continue().then_some(checked))
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
