//! Every deposit, folded afresh: what it is, what it posts, and the row that shows it.

use std::collections::{BTreeMap, HashMap};

use millrace_model::deposit::{Deposit, Event, ImpossibleStep, Outcome, Stage, check_step, evolve};
use millrace_model::event::{Event as Stored, Recorded};
use millrace_model::ids::{DepositId, Hash32, Outpoint, Position, StreamName};
use millrace_model::ledger::{self, Account, Balances, Entry, Nature, Standing, Ticker};
use sha2::{Digest, Sha256};

use crate::event_store::{Examination, ReadError};
use crate::projection::{DepositRow, Summand, Totals, UnreadableFrom};

/// What a deposit that ended may no longer owe. A refund is paid by hand, and later.
const OWED_TO_NOBODY: [Account; 4] = [Account::Customer, Account::Suspense, Account::Payout, Account::PayoutInFlight];

/// Why an event of a deposit is wrong, although it can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("an impossible step: {0}")]
    Step(#[from] ImpossibleStep),
    #[error("it detects deposit {0}")]
    Another(DepositId),
    #[error("its postings in {} come to {}, not to zero", .0.as_str(), .0.amount(*.1))]
    Unbalanced(Ticker, i128),
    #[error("the ledger comes to {} {}, not to zero", .0.amount(*.1), .0.as_str())]
    LedgerUnbalanced(Ticker, i128),
    #[error("by the ledger {} in {} would be {}", .0.as_str(), .1.as_str(), .1.amount(*.2))]
    Liability(Account, Ticker, i128),
    #[error("it ends, and by the ledger {} in {} is still {}", .0.as_str(), .1.as_str(), .1.amount(*.2))]
    StillOwed(Account, Ticker, i128),
}

/// A deposit as far as it was followed.
#[derive(Debug)]
struct Followed {
    deposit: Deposit,
    row: DepositRow,
    /// What its own events posted.
    own: Balances,
}

/// What is kept of a deposit.
#[derive(Debug)]
enum Kept {
    InMotion(Box<Followed>),
    /// It ended: a digest of its row. Should it go on after all, it is read again.
    Finished(Hash32),
    /// An event of it cannot be read; the row, if it has one.
    Aside(Option<Box<DepositRow>>),
}

#[derive(Debug)]
struct Track {
    stream_id: i64,
    /// What it stands for, unless it never began as a deposit.
    outpoint: Option<Outpoint>,
    kept: Kept,
}

/// All deposits, the ledger and the sums, as the events so far leave them.
#[derive(Debug, Default)]
pub(super) struct Deposits {
    /// By the position of their first events: the order of the views.
    tracks: BTreeMap<Position, Track>,
    first_positions: HashMap<i64, Position>,
    balances: Balances,
    totals: Totals,
    unreadable: BTreeMap<DepositId, UnreadableFrom>,
}

/// A row as it ought to be.
pub(super) enum Expected {
    Row(Box<DepositRow>),
    /// The digest of its body, and the number of the stream that it is made of.
    Digest(Hash32, i64),
}

impl Deposits {
    pub(super) fn balances(&self) -> &Balances {
        &self.balances
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn add_addresses(&mut self, count: usize) {
        self.totals.add_addresses(count);
    }

    pub(super) fn unreadable(&self) -> &BTreeMap<DepositId, UnreadableFrom> {
        &self.unreadable
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.tracks.len() as u64
    }

    /// What no deposit posts: a transfer that an operator declared.
    pub(super) fn post(&mut self, entry: &Entry) -> Result<(), Wrong> {
        self.balances.post(entry);
        check_sums(entry, &self.balances)
    }

    /// What the deposit of this stream stands for, and whether something is expected to happen to it, as far as is known.
    pub(super) fn standing(&self, stream_id: i64) -> (Option<Outpoint>, Option<bool>) {
        let first = self.first_positions.get(&stream_id);
        let Some(track) = first.and_then(|first| self.tracks.get(first)) else { return (None, None) };
        let is_open = match &track.kept {
            Kept::InMotion(_) => Some(true),
            Kept::Finished(_) => Some(false),
            Kept::Aside(_) => None,
        };
        (track.outpoint, is_open)
    }

    /// The rows that there ought to be, in the order of the views.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Position, Expected)> + '_ {
        self.tracks.iter().filter_map(|(first, track)| {
            let expected = match &track.kept {
                Kept::InMotion(followed) => Expected::Row(Box::new(followed.row.clone())),
                Kept::Aside(row) => Expected::Row(row.clone()?),
                Kept::Finished(digest) => Expected::Digest(*digest, track.stream_id),
            };
            Some((*first, expected))
        })
    }

    /// Takes one more event in. What is wrong with it is said once it was taken in as the desk takes it.
    pub(super) fn take_in(
        &mut self,
        (id, recorded): (DepositId, &Recorded),
        stream_id: i64,
        log: &Examination,
    ) -> Result<Result<(), Wrong>, ReadError> {
        let first = *self.first_positions.entry(stream_id).or_insert(recorded.position);
        let track = self.tracks.remove(&first);
        let outpoint = match (&track, &recorded.event) {
            (Some(track), _) => track.outpoint,
            (None, Stored::Deposit(Event::Detected(detected))) => Some(detected.outpoint),
            (None, _) => None,
        };
        let keep = |deposits: &mut Self, kept| deposits.tracks.insert(first, Track { stream_id, outpoint, kept });
        let before = match track.map(|track| track.kept) {
            None => None,
            Some(Kept::InMotion(followed)) => Some(followed),
            Some(Kept::Finished(_)) => again(&log.stream_before(stream_id, recorded.version)?),
            Some(Kept::Aside(row)) => {
                let kept = Kept::Aside(self.totals.moved(row, recorded));
                keep(self, kept);
                return Ok(Ok(()));
            }
        };
        let (kept, outcome) = match &recorded.event {
            Stored::Deposit(event) => match self.follow(before, (id, event), recorded) {
                (Some(followed), outcome) if followed.deposit.is_finished() => {
                    (Kept::Finished(digest(&followed.row)), outcome)
                }
                (Some(followed), outcome) => (Kept::InMotion(followed), outcome),
                (None, outcome) => (Kept::Aside(None), outcome),
            },
            Stored::Unreadable(what) => {
                let from = UnreadableFrom { position: recorded.position, why: what.why.clone() };
                self.unreadable.entry(id).or_insert(from);
                let row = before.map(|followed| Box::new(followed.row));
                (Kept::Aside(self.totals.moved(row, recorded)), Ok(()))
            }
            _ => (Kept::Aside(None), Ok(())),
        };
        keep(self, kept);
        Ok(outcome)
    }

    fn follow(
        &mut self,
        before: Option<Box<Followed>>,
        (id, event): (DepositId, &Event),
        recorded: &Recorded,
    ) -> (Option<Box<Followed>>, Result<(), Wrong>) {
        let mut outcome = check_step(before.as_ref().map(|before| &before.deposit), event).map_err(Wrong::from);
        if let Event::Detected(detected) = event
            && detected.id != id
        {
            outcome = outcome.and(Err(Wrong::Another(detected.id)));
        }
        if let Some(before) = &before {
            self.totals.take_away(&Summand::of(&before.row));
        }
        let Some((followed, entry)) = step(before, event, recorded) else { return (None, outcome) };
        self.totals.add(&Summand::of(&followed.row));
        self.balances.post(&entry);
        let posted = check_sums(&entry, &self.balances).and_then(|()| check_owed(&entry, &followed));
        (Some(followed), outcome.and(posted))
    }
}

/// A deposit after one more event, and what that posts.
fn step(before: Option<Box<Followed>>, event: &Event, recorded: &Recorded) -> Option<(Box<Followed>, Entry)> {
    let standing = before.as_ref().map(|before| Standing::of(&before.deposit));
    let (deposit, row, mut own) = match before {
        Some(before) => (Some(before.deposit), Some(before.row), before.own),
        None => (None, None, Balances::default()),
    };
    let deposit = evolve(deposit, event)?;
    let row = DepositRow::after(row, recorded)?;
    let entry = standing.map(|standing| ledger::of_deposit(&standing, event, &deposit)).unwrap_or_default();
    own.post(&entry);
    Some((Box::new(Followed { deposit, row, own }), entry))
}

/// A deposit that ended, as the events of its stream leave it. They were looked at once already.
fn again(events: &[Recorded]) -> Option<Box<Followed>> {
    events.iter().fold(None, |before, recorded| match &recorded.event {
        Stored::Deposit(event) => step(before, event, recorded).map(|(followed, _)| followed),
        _ => before,
    })
}

/// The row of a deposit, as its stream leaves it up to a position.
pub(super) fn row_at(events: &[Recorded], position: Position) -> Option<DepositRow> {
    events.iter().take_while(|recorded| recorded.position <= position).fold(None, DepositRow::after)
}

/// By which a row is known again.
pub(super) fn digest(row: &DepositRow) -> Hash32 {
    let body = serde_json::to_string(row).expect("a row has text keys");
    Hash32(Sha256::digest(body).into())
}

fn check_sums(entry: &Entry, balances: &Balances) -> Result<(), Wrong> {
    if entry.postings().is_empty() {
        return Ok(());
    }
    for coin in Ticker::ALL {
        let of_coin = entry.postings().iter().filter(|posting| posting.coin == coin);
        match of_coin.map(|posting| i128::from(posting.units)).sum() {
            0 => {}
            units => return Err(Wrong::Unbalanced(coin, units)),
        }
        match balances.sum(coin) {
            0 => {}
            units => return Err(Wrong::LedgerUnbalanced(coin, units)),
        }
    }
    Ok(())
}

/// Nobody owes the desk what is the customer's, and a deposit that ended owes nothing but a refund.
fn check_owed(entry: &Entry, followed: &Followed) -> Result<(), Wrong> {
    if entry.postings().is_empty() && !followed.deposit.is_finished() {
        return Ok(());
    }
    for balance in followed.own.all() {
        let (account, coin, units) = (balance.account, balance.coin, balance.units);
        if account.nature() == Nature::Liability && units > 0 {
            return Err(Wrong::Liability(account, coin, units));
        }
        let is_failed = matches!(&followed.deposit.stage, Stage::Done(Outcome::Failed { .. }));
        if followed.deposit.is_finished() && !is_failed && OWED_TO_NOBODY.contains(&account) && units != 0 {
            return Err(Wrong::StillOwed(account, coin, units));
        }
    }
    Ok(())
}

impl Totals {
    /// The sums and the row after an event of a deposit that is not followed.
    fn moved(&mut self, row: Option<Box<DepositRow>>, recorded: &Recorded) -> Option<Box<DepositRow>> {
        if let Some(before) = &row {
            self.take_away(&Summand::of(before));
        }
        let after = DepositRow::after(row.map(|row| *row), recorded)?;
        self.add(&Summand::of(&after));
        Some(Box::new(after))
    }
}

/// The deposit that a stream is of.
pub(super) fn deposit_of(recorded: &Recorded) -> Option<DepositId> {
    match recorded.stream {
        StreamName::Deposit(id) => Some(id),
        _ => None,
    }
}
