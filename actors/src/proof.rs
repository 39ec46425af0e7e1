//! Proves a log: that nothing of it was changed or is missing, that all of it can be read and makes sense, that its ledger
//! sums to zero, and that the views show what it says.
//!
//! It reads and nothing else: on connections that cannot write, without a lock, beside a desk that runs or without one. What
//! came after it began is not looked at. It does not stop at the first thing that is wrong: the first is named first.
//!
//! Not responsible for what is to be done then, nor for whether today's rules would decide as those of then did.

mod deposits;
mod finding;
mod streams;
#[cfg(test)]
mod tests;
mod views;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use millrace_model::damage::Damage;
use millrace_model::desk::{self, Desk};
use millrace_model::event::{Event, Recorded};
use millrace_model::head::{Departure, Head, LogEnd, Standing};
use millrace_model::ids::{Hash32, Position, StreamName, Version};
use millrace_model::{binding, ledger};

use crate::event_store::{Examination, Examined, OpenError, Step};
use crate::head_file;
use crate::projection::{self, StoredError, StoredViews};

use deposits::{Deposits, deposit_of};
use finding::Findings;
pub use finding::{Compared, FINDINGS_MAX, Finding, Report};
use streams::Shared;

/// How many events are looked at before somebody is told how far it is.
const PAGE_EVENTS: usize = 1_024;

/// What is to be proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The log.
    pub log: PathBuf,
    /// Its views, or why there are none to compare.
    pub views: Result<PathBuf, String>,
    /// Its head file, or why there is none to compare.
    pub head_file: Result<PathBuf, String>,
}

/// Proves a log to its end. `told` hears how far it is, and of how many.
pub fn prove(subject: &Subject, told: &mut dyn FnMut(Position, Position)) -> Result<Report, OpenError> {
    // Nobody seems to write to it, until somebody does: then it is looked at again, as a file that is in use.
    match Proof::begin(subject, true)?.run(told) {
        Some(report) => Ok(report),
        None => Ok(Proof::begin(subject, false)?.run(told).expect("a file that is in use is not overtaken")),
    }
}

/// The views to compare, once it is their turn.
enum Views {
    At(Position, Box<StoredViews>),
    Compared(Compared, Option<Box<StoredViews>>),
}

/// A proof under way.
struct Proof {
    log: Examination,
    head: Result<Head, String>,
    views: Views,
    bindings: u64,
    /// The newest version of each stream, by its number in the file.
    versions: HashMap<i64, Version>,
    deposits: Deposits,
    shared: Shared,
    desk: Desk,
    first_hash: Option<Hash32>,
    hash_at_head: Option<Hash32>,
    events: u64,
    findings: Findings,
}

impl Proof {
    /// The head file and the views come first: they are never ahead of the log, so a log that is opened later has all that they
    /// speak of.
    fn begin(subject: &Subject, may_be_alone: bool) -> Result<Self, OpenError> {
        let mut findings = Findings::default();
        let head = read_head(subject.head_file.as_ref(), &mut findings);
        let views = match &subject.views {
            Ok(path) => take_views(path, may_be_alone, &mut findings),
            Err(why) => Views::left_out(why.clone()),
        };
        let log = Examination::begin(&subject.log, may_be_alone)?;
        let shared = Shared::begin(&log, &mut findings);
        Ok(Self {
            log,
            head,
            views,
            bindings: 0,
            versions: HashMap::new(),
            deposits: Deposits::default(),
            shared,
            desk: Desk::default(),
            first_hash: None,
            hash_at_head: None,
            events: 0,
            findings,
        })
    }

    /// Nothing when somebody began to write although nobody seemed to.
    fn run(mut self, told: &mut dyn FnMut(Position, Position)) -> Option<Report> {
        let mut page = Vec::with_capacity(PAGE_EVENTS);
        self.compare_views_at(0);
        loop {
            let step = self.log.page(PAGE_EVENTS, &mut |examined| page.push(examined));
            page.drain(..).for_each(|examined| self.take_in(examined));
            told(self.log.so_far().head, self.log.end());
            match step {
                Ok(Step::More) => {}
                Ok(Step::End) => break,
                Err(error) => {
                    let after = self.log.so_far().head + 1;
                    self.findings.add(Finding::at(after, format!("the log cannot be read from here on: {error}")));
                    break;
                }
            }
        }
        if self.was_overtaken() { None } else { Some(self.finish()) }
    }

    fn was_overtaken(&self) -> bool {
        let views = match &self.views {
            Views::At(_, views) | Views::Compared(_, Some(views)) => views.were_overtaken(),
            Views::Compared(_, None) => false,
        };
        views || self.log.was_overtaken()
    }

    fn take_in(&mut self, examined: Examined) {
        self.events += 1;
        self.check_place(&examined);
        if examined.position == 1 {
            self.first_hash = examined.hash;
        }
        if self.head.as_ref().is_ok_and(|head| head.position == examined.position) {
            self.hash_at_head = examined.hash;
        }
        if let Some(why) = examined.unreadable() {
            self.findings.add(Finding::of(&examined, format!("this version cannot read it: {why}")));
        }
        if let Ok(recorded) = &examined.event
            && let Err(problem) = self.fold(recorded, examined.stream_id)
        {
            self.findings.add(Finding::of(&examined, problem));
        }
        if let Ok(recorded) = &examined.event {
            self.shared.take_in(recorded, examined.stream_id, &mut self.findings);
        }
        self.compare_views_at(examined.position);
    }

    /// Its hash, its version, its command.
    fn check_place(&mut self, examined: &Examined) {
        if let Some(damage) = examined.segment {
            self.findings.add(Finding::at(examined.position, damage.to_string()));
        }
        match examined.damage {
            Some(Damage::Missing { position }) => {
                let last = examined.position - 1;
                let more = if last > position { format!(", and so is everything up to {last}") } else { String::new() };
                self.findings.add(Finding::at(position, format!("it is missing{more}")));
            }
            Some(Damage::Changed { .. } | Damage::Segment { .. }) => {
                let problem = "it is not what was stored: its hash does not fit".to_owned();
                self.findings.add(Finding::of(examined, problem));
            }
            None => {}
        }
        if let Some(version) = examined.version() {
            let due = self.versions.get(&examined.stream_id).map_or(1, |version| version + 1);
            if version != due {
                self.findings.add(Finding::of(examined, format!("version {due} of its stream is due")));
            }
            self.versions.insert(examined.stream_id, version);
        }
        match examined.command {
            Some((first, last)) if (first..=last).contains(&examined.position) => {}
            Some((first, last)) => {
                let problem = format!("the events of its command are said to be {first} to {last}");
                self.findings.add(Finding::of(examined, problem));
            }
            None => self.findings.add(Finding::of(examined, "its command is missing".to_owned())),
        }
    }

    fn fold(&mut self, recorded: &Recorded, stream_id: i64) -> Result<(), String> {
        match (&recorded.event, deposit_of(recorded)) {
            (_, Some(id)) => match self.deposits.take_in((id, recorded), stream_id, &self.log) {
                Ok(outcome) => outcome.map_err(|wrong| wrong.to_string()),
                Err(error) => Err(format!("what came before in its stream cannot be read: {error}")),
            },
            (Event::Binding(binding::Event::Bound(bound)), _) => {
                self.bindings += 1;
                self.deposits.add_addresses(1);
                is_of(&recorded.stream, &StreamName::Binding(bound.address.as_str().into()))?;
                self.compare_binding(&projection::binding_row(bound, recorded));
                let said = streams::binding(&self.log, (stream_id, &bound.customer.target), &mut self.findings);
                said.map_err(|error| error.to_string())
            }
            (Event::Desk(event), _) => {
                self.desk = std::mem::take(&mut self.desk).evolve(event);
                match event {
                    desk::Event::TransferDeclared(transfer) => {
                        self.deposits.post(&ledger::of_transfer(transfer)).map_err(|wrong| wrong.to_string())
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn compare_binding(&mut self, expected: &projection::BindingRow) {
        let Views::At(position, stored) = &self.views else { return };
        if expected.seq <= *position
            && let Err(error) = views::binding(stored, expected, &mut self.findings)
        {
            self.views_broken(error.to_string());
        }
    }

    /// The views are held against the log as it was when they stood here.
    fn compare_views_at(&mut self, position: Position) {
        let Views::At(at, stored) = &self.views else { return };
        if *at != position {
            return;
        }
        let outcome = match stored.unreadable() {
            Ok(shown) if !shown.keys().eq(self.deposits.unreadable().keys()) => {
                let why = "a version that reads other deposits made them; the desk makes them again when it starts";
                return self.views_left_out(why.to_owned());
            }
            Ok(_) => views::deposits(stored, (&self.deposits, position), &self.log, &mut self.findings),
            Err(error) => Err(error.into()),
        };
        let bindings = stored.count_bindings();
        match (outcome, bindings) {
            (Ok(()), Ok(bindings)) => {
                if bindings != self.bindings {
                    let (shown, expected) = (bindings, self.bindings);
                    let problem = format!("there are {shown} deposit addresses, and by the log there are {expected}");
                    self.findings.add(Finding::Views { problem });
                }
                self.views_compared(Compared::UpTo(position));
            }
            (Err(error), _) => self.views_broken(error.to_string()),
            (_, Err(error)) => self.views_broken(error.to_string()),
        }
    }

    fn views_broken(&mut self, problem: String) {
        self.findings.add(Finding::Views { problem });
        self.views_left_out("they cannot be read".to_owned());
    }

    fn views_left_out(&mut self, why: String) {
        self.views_compared(Compared::LeftOut(why));
    }

    fn views_compared(&mut self, compared: Compared) {
        let stored = match std::mem::replace(&mut self.views, Views::left_out(String::new())) {
            Views::At(_, stored) => Some(stored),
            Views::Compared(_, stored) => stored,
        };
        self.views = Views::Compared(compared, stored);
    }

    fn finish(mut self) -> Report {
        let verified = self.log.so_far();
        if let Err(error) = streams::all(&self.log, (&self.versions, &self.deposits), &mut self.findings) {
            self.findings.add(Finding::Head { problem: format!("the streams cannot be read: {error}") });
        }
        for wrong in self.log.wrong_kinds() {
            let (shown, expected) = (wrong.noted, wrong.first);
            self.findings.add(Finding::Kind { kind: wrong.kind, schema: wrong.schema, shown, expected });
        }
        let head_file = self.compare_head(verified.head);
        let views = match self.views {
            Views::Compared(compared, _) => compared,
            // What is missing is said already.
            Views::At(position, _) if position <= verified.head => {
                Compared::LeftOut(format!("there is no event {position}, up to which they go"))
            }
            Views::At(position, _) => {
                let end = self.log.end();
                self.findings.add(Finding::Views {
                    problem: format!("they show the log up to position {position}, and it ends at {end}"),
                });
                Compared::LeftOut("the log does not reach them".to_owned())
            }
        };
        Report {
            events: self.events,
            position: verified.head,
            hash: Hash32(verified.tip.0),
            deposits: self.deposits.count(),
            head_file,
            views,
            findings: self.findings.kept,
            more_findings: self.findings.more,
        }
    }

    fn compare_head(&mut self, position: Position) -> Compared {
        let head = match &self.head {
            Ok(head) => head,
            Err(why) => return Compared::LeftOut(why.clone()),
        };
        let end = LogEnd { log: self.first_hash, position, hash_at_head: self.hash_at_head };
        let known = head.position;
        let problem = match Standing::of(&end, Some(head), self.desk.has_answered(Some(head))) {
            Standing::New | Standing::Same => return Compared::UpTo(known.min(position)),
            Standing::Departed(Departure::Shorter) => {
                format!("it ends at {position}, and the head file knows of {known}: what came after is missing")
            }
            Standing::Departed(Departure::Forked | Departure::Unknown) => {
                format!("at {known} stands another event than the head file knows of")
            }
            Standing::Foreign => "the head file is another log's".to_owned(),
        };
        self.findings.add(Finding::Head { problem });
        Compared::UpTo(known.min(position))
    }
}

impl Views {
    fn left_out(why: String) -> Self {
        Self::Compared(Compared::LeftOut(why), None)
    }
}

fn is_of(stream: &StreamName, expected: &StreamName) -> Result<(), String> {
    if stream == expected { Ok(()) } else { Err(format!("it belongs to {expected}")) }
}

fn read_head(path: Result<&PathBuf, &String>, findings: &mut Findings) -> Result<Head, String> {
    match head_file::read(path.map_err(Clone::clone)?) {
        Ok(Some(head)) => Ok(head),
        Ok(None) => Err("there is none".to_owned()),
        Err(error) => {
            findings.add(Finding::Head { problem: error.to_string() });
            Err("it cannot be used".to_owned())
        }
    }
}

fn take_views(path: &Path, may_be_alone: bool, findings: &mut Findings) -> Views {
    if !path.exists() {
        return Views::left_out("there are none".to_owned());
    }
    let taken = StoredViews::open(path, may_be_alone).and_then(|stored| Ok((stored.position()?, stored)));
    match taken {
        Ok((Some(position), stored)) => Views::At(position, Box::new(stored)),
        Ok((None, _)) => {
            let why = "another version made them, or nobody yet; the desk makes them again when it starts";
            Views::left_out(why.to_owned())
        }
        Err(error) => {
            let error: StoredError = error;
            findings.add(Finding::Views { problem: error.to_string() });
            Views::left_out("they cannot be read".to_owned())
        }
    }
}
