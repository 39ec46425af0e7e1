//! One place, asked what it holds, and the books of the moment before and the moment after.

use std::time::Duration;

use millrace_model::desk::{Coins, Desk, Place, TransferKind};
use millrace_model::ledger::Ticker;
use millrace_model::money::Amount;
use millrace_model::reconciliation::{Booked, Comparison, Verdict, compare};

use super::{Compared, Inside, Openings, Outside};
use crate::brakes;
use crate::operations::{Note, Transfer};

/// So long the ledger has to catch up with the log.
const LEDGER_WITHIN: Duration = Duration::from_secs(10);
/// So little more than is booked is what the exchange's rounding leaves, and nobody need be told.
const DUST_UNITS: i64 = 1_000;

/// What became of a comparison.
pub(super) enum Outcome {
    /// It was made.
    Compared(Compared),
    /// Nobody has declared what lay there when the desk began.
    NotOpened { place: Place, coin: Ticker, found: u64 },
    /// It could not be made; in words for a person.
    Obstacle(String),
}

impl Outcome {
    pub(super) fn compared(&self) -> Option<&Compared> {
        if let Self::Compared(compared) = self { Some(compared) } else { None }
    }

    pub(super) fn comparison(&self) -> Option<&Comparison> {
        self.compared().map(|compared| &compared.comparison)
    }

    /// The numbers, if coins are missing.
    pub(super) fn missing(&self) -> Option<String> {
        let Comparison { difference, verdict } = self.comparison()?;
        (*verdict == Verdict::Missing).then(|| difference.to_string())
    }

    /// The numbers, if there is more than there can be.
    pub(super) fn surplus(&self) -> Option<String> {
        let Comparison { difference, verdict } = self.comparison()?;
        let is_dust = difference.found.saturating_sub(difference.booked) <= DUST_UNITS;
        (*verdict == Verdict::Surplus && !is_dust).then(|| difference.to_string())
    }

    pub(super) fn not_opened(&self) -> Option<String> {
        let Self::NotOpened { place, coin, found } = self else { return None };
        Some(format!("{place} ({} {} there now)", coin.amount(i128::from(*found)), coin.as_str()))
    }

    pub(super) fn obstacle(&self) -> Option<String> {
        if let Self::Obstacle(why) = self { Some(why.clone()) } else { None }
    }
}

/// The ledger, which is the log's as soon as it has caught up.
pub(super) struct Books {
    pub(super) inside: Inside,
    openings: Openings,
}

impl Books {
    pub(super) fn new(inside: Inside, openings: Openings) -> Self {
        Self { inside, openings }
    }

    pub(super) async fn compare(&self, place: Place, coin: Ticker, outside: &Outside) -> Outcome {
        self.try_compare(place, coin, outside).await.unwrap_or_else(Outcome::Obstacle)
    }

    async fn try_compare(&self, place: Place, coin: Ticker, outside: &Outside) -> Result<Outcome, String> {
        let (before, _) = self.cut(place, coin).await?;
        let found = found(place, coin, outside).await?;
        let (after, desk) = self.cut(place, coin).await?;
        if desk.is_opened(place, coin) {
            let comparison = compare((place, coin), before, after, found);
            return Ok(Outcome::Compared(Compared { comparison, at: self.inside.clock.now() }));
        }
        if self.openings == Openings::AsFound && before == after {
            self.open(place, coin, after, found).await?;
        }
        Ok(Outcome::NotOpened { place, coin, found })
    }

    /// What the books say now, of everything that is in the log.
    async fn cut(&self, place: Place, coin: Ticker) -> Result<(Booked, Desk), String> {
        let Inside { deposits, views, .. } = &self.inside;
        let (position, desk) = brakes::read_desk(deposits.store()).map_err(|error| error.to_string())?;
        views.caught_up(position, LEDGER_WITHIN).await;
        let ledger = views.ledger();
        if ledger.position < position {
            return Err(format!("the ledger is at position {} while the log is at {position}", ledger.position));
        }
        if let Some(id) = ledger.unreadable.keys().next() {
            return Err(format!("the ledger is incomplete: an event of deposit {id} cannot be read"));
        }
        Ok((Booked::of(&ledger.balances, place, coin), desk))
    }

    /// Declares what is there beyond what was booked since. Waits for a moment when nothing is on its way.
    async fn open(&self, place: Place, coin: Ticker, booked: Booked, found: u64) -> Result<(), String> {
        let opening = i128::from(found) - booked.units;
        let Ok(units) = u64::try_from(opening) else { return Ok(()) };
        if booked.in_flight != 0 || booked.may_have_grown {
            return Ok(());
        }
        let coins = match coin {
            Ticker::Btc => Amount::from_units(units).map(Coins::Btc),
            Ticker::Sky => Amount::from_units(units).map(Coins::Sky),
        };
        let coins = coins.ok_or_else(|| format!("{place} holds more {} than there are", coin.as_str()))?;
        let transfer = Transfer { kind: TransferKind::Opening, place, coins };
        let note = Note::new("what was found there").expect("a short text is a note");
        self.inside.operations.declare(transfer, note, None, None).await.map(drop).map_err(|error| error.to_string())
    }
}

/// How much of a coin a place holds, in smallest units.
async fn found(place: Place, coin: Ticker, outside: &Outside) -> Result<u64, String> {
    match (place, &outside.exchange) {
        (Place::HotWallet, _) => {
            let node = &outside.skycoin;
            let lag = node.lag().await.map_err(|error| format!("the Skycoin node: {error}"))?;
            if let Some(lag) = lag {
                return Err(format!("the Skycoin node: {lag}"));
            }
            let funds = node.holdings().await.map_err(|error| format!("the Skycoin node: {error}"))?;
            Ok(funds.coins.units())
        }
        (Place::Exchange, Some(exchange)) => {
            let balances = exchange.balances().await.map_err(|error| format!("the exchange: {error}"))?;
            Ok(match coin {
                Ticker::Btc => balances.btc.total.units(),
                Ticker::Sky => balances.sky.total.units(),
            })
        }
        (Place::Exchange | Place::DepositAddresses, _) => Err(format!("{place} cannot be asked")),
    }
}
