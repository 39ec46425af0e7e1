//! The exchange's market as everybody at the desk sees it: one order book and one balance, read by one part, used by all.
//!
//! Hundreds of purchases share a reading, so each takes what it is going to use out of it: its funds (`Claims`) and, until
//! the next reading, the offers its order is going to meet.

mod claims;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::ids::DepositId;
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::{OrderIntent, Price, SeenBook};
use millrace_protocols::book::{Book, Level, Rules};
use millrace_protocols::purchase;
use millrace_protocols::wire::c2cx::{BTC_SKY_RULES, Balances};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::clock::Clock;
use crate::exchange::{Exchange, RequestsPerMinute};
use crate::supervision::{Tree, TreeError};

pub(crate) use claims::Claim;
use claims::Claims;

/// The part's name in the tree.
pub const PART: &str = "market";

/// When the exchange is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    /// All the time, so that there is always a quote.
    Always,
    /// While somebody buys.
    WhenAsked,
}

/// How the market is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// When the exchange is asked.
    pub watching: Watching,
    /// How often it is asked without anybody's asking.
    pub poll: Duration,
    /// How old the book may be that an order rests on.
    pub fresh_for: Duration,
    /// How old a book may be, by its own time and by ours, to be shown or quoted.
    pub stale_after: Duration,
    /// What the market demands of an order.
    pub rules: Rules,
    /// Fewer bitcoin than this in the account, frozen ones included, raise a warning.
    pub low_balance: Amount<Btc>,
}

impl Default for Settings {
    /// For an exchange nearby that may be asked often.
    fn default() -> Self {
        Self {
            watching: Watching::Always,
            poll: Duration::from_millis(200),
            fresh_for: Duration::from_millis(250),
            stale_after: Duration::from_secs(10),
            rules: BTC_SKY_RULES,
            low_balance: Amount::ZERO,
        }
    }
}

impl Settings {
    /// For an exchange that may be asked so often: a reading each time it may be, and orders that rest on the last two.
    pub fn for_pace(pace: Option<RequestsPerMinute>) -> Self {
        let Some(pace) = pace else { return Self::default() };
        let gap = Duration::from_secs(60) / pace.get();
        let default = Self::default();
        Self { poll: gap.max(default.poll), fresh_for: (gap * 2).max(default.fresh_for), ..default }
    }
}

/// Adds the part that watches the market to the tree.
pub fn start(
    tree: &Tree,
    exchange: Arc<dyn Exchange>,
    settings: Settings,
    clock: Arc<dyn Clock>,
) -> Result<Market, TreeError> {
    let shared =
        Arc::new(Shared { settings, clock, state: Mutex::default(), wanted: Notify::new(), asked: Notify::new() });
    let market = Market { shared };
    let watched = market.clone();
    tree.add_task(PART, move |report| {
        let (market, exchange) = (watched.clone(), Arc::clone(&exchange));
        async move { market.watch(&*exchange, &report).await }
    })?;
    Ok(market)
}

/// The watched market. Cheap to clone; all clones are the same market.
#[derive(Clone)]
pub struct Market {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Rung by whoever needs a newer reading.
    wanted: Notify,
    /// Rung when the exchange was asked, with whatever result. It wakes in the order of waiting, so that a run can be
    /// repeated.
    asked: Notify,
}

#[derive(Default)]
struct State {
    book: Option<Seen<Arc<Book>>>,
    /// The same book less what orders are going to take from it.
    left: Option<Arc<Book>>,
    /// Those orders, with the time of their claim.
    taking: Vec<(Instant, OrderIntent)>,
    balances: Option<Seen<Balances>>,
    claims: Claims,
}

impl State {
    /// A new book, less what it cannot show yet because it was claimed while it was read.
    fn take_in_book(&mut self, seen: Seen<Arc<Book>>) {
        self.taking.retain(|(claimed, _)| *claimed >= seen.began);
        let left = self.taking.iter().fold(Arc::clone(&seen.value), |book, (_, order)| Arc::new(without(&book, order)));
        self.left = Some(left);
        self.book = Some(seen);
    }
}

/// What an amount would buy by the book as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarketQuote {
    /// How much.
    pub bought: Amount<Sky>,
    /// What of the amount it would cost.
    pub spent: Amount<Btc>,
    /// All that is on offer.
    pub on_offer: Amount<Sky>,
    /// When the book was read.
    pub at: DateTime<Utc>,
}

/// Why there is no quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoQuote {
    /// The book is stale, empty, crossed or not there.
    Untrusted,
    /// The book ends before the amount does.
    BeyondBook,
    /// The amount buys nothing.
    Nothing,
}

/// Something read from the exchange.
#[derive(Debug, Clone, Copy)]
struct Seen<T> {
    value: T,
    /// When reading it began.
    began: Instant,
    began_ms: u64,
    at: DateTime<Utc>,
    /// When it was there. Its age counts from here, so that a slow exchange is not taken for a stale one.
    received: Instant,
}

/// The market as one purchase may use it.
pub(crate) struct View {
    book: Option<(Arc<Book>, u64)>,
    /// What the purchase may spend.
    available: Option<Amount<Btc>>,
    /// Whether a newer balance may show more.
    pub(crate) unsettled: bool,
}

impl View {
    pub(crate) fn market(&self) -> purchase::Market<'_> {
        purchase::Market {
            book: self.book.as_ref().map(|(book, seen_ms)| (&**book, *seen_ms)),
            available: self.available,
        }
    }

    /// What an order was chosen from, where orders may pay `limit`; nothing when its price is not asked in this view.
    pub(crate) fn seen_by(&self, order: &OrderIntent, limit: Price) -> Option<SeenBook> {
        self.book.as_ref()?.0.seen_by(order, limit)
    }
}

impl Market {
    /// The order book; `None` unless it is young, both by its own time and by when it was read, and makes sense.
    pub fn book(&self) -> Option<Arc<Book>> {
        self.trusted().map(|seen| seen.value)
    }

    /// The cheapest ask of [`Self::book`].
    pub fn best_ask(&self) -> Option<Price> {
        self.trusted()?.value.cheapest_ask().map(|level| level.price)
    }

    /// What `amount` would buy if the book stood still, fees not counted.
    pub fn quote(&self, amount: Amount<Btc>) -> Result<MarketQuote, NoQuote> {
        let seen = self.trusted().ok_or(NoQuote::Untrusted)?;
        let walked = seen.value.walk(amount, self.shared.settings.rules.volume_decimals).ok_or(NoQuote::Nothing)?;
        if walked.ran_out {
            return Err(NoQuote::BeyondBook);
        }
        let on_offer = Amount::checked_sum(seen.value.asks().iter().map(|level| level.volume)).unwrap_or(Amount::MAX);
        Ok(MarketQuote { bought: walked.bought, spent: walked.spent, on_offer, at: seen.at })
    }

    /// The smallest amount that would buy at least `wanted` if the book stood still.
    pub fn cost_of(&self, wanted: Amount<Sky>) -> Result<Amount<Btc>, NoQuote> {
        let seen = self.trusted().ok_or(NoQuote::Untrusted)?;
        seen.value.cost_of(wanted, self.shared.settings.rules.volume_decimals).ok_or(NoQuote::BeyondBook)
    }

    /// What the account has, as last read; `None` before the first time.
    pub fn balances(&self) -> Option<Balances> {
        self.state().balances.map(|seen| seen.value)
    }

    /// What of the account's bitcoin is neither frozen nor promised to a purchase; `None` before the first reading.
    pub fn available(&self) -> Option<Amount<Btc>> {
        let state = self.state();
        let balance = state.balances?.value.btc;
        Some(purchase::available(balance.total, balance.frozen, state.claims.total()))
    }

    /// What is promised to purchases beyond what the exchange has frozen for them.
    pub fn reserved(&self) -> Amount<Btc> {
        self.state().claims.total()
    }

    /// The market as this deposit's purchase may use it now. The funds are known only when they are no older than the book.
    pub(crate) fn view(&self, id: DepositId) -> View {
        let fresh_for = self.shared.settings.fresh_for;
        let state = self.state();
        let book = state.book.as_ref().filter(|seen| seen.received.elapsed() <= fresh_for);
        let began = book.map(|seen| seen.began);
        let balance = state.balances.filter(|seen| Some(seen.began) >= began);
        View {
            book: book.zip(state.left.clone()).map(|(seen, left)| (left, seen.began_ms)),
            available: balance.map(|seen| {
                let btc = seen.value.btc;
                purchase::available(btc.total, btc.frozen, state.claims.total_without(id))
            }),
            unsettled: state.claims.are_unsettled(),
        }
    }

    /// Makes sure that `needed` can be spent by this deposit's purchase, and promises it; with it goes what the order is going
    /// to take from the book.
    pub(crate) fn claim(&self, id: DepositId, needed: Amount<Btc>, claim: Claim, order: &OrderIntent) -> Claimed {
        let enough = self.view(id).available.is_some_and(|available| available >= needed);
        if !enough {
            return Claimed::No;
        }
        let mut state = self.state();
        state.claims.set(id, claim);
        state.left = state.left.take().map(|book| Arc::new(without(&book, order)));
        state.taking.push((Instant::now(), order.clone()));
        Claimed::Yes
    }

    /// Promises what a purchase needs as it stands in the log, whether or not it is there.
    pub(crate) fn promise(&self, id: DepositId, claim: Claim) {
        self.state().claims.set(id, claim);
    }

    /// Promises are made anew from the log.
    pub(crate) fn forget_promises(&self) {
        self.state().claims.forget();
    }

    /// The exchange has taken the order: from now on, balances show it.
    pub(crate) fn placed(&self, id: DepositId, claim: Claim) {
        self.state().claims.placed(id, claim, Instant::now());
    }

    /// Asks for a newer reading and waits until the exchange was asked once more, at most `within`.
    pub(crate) async fn ask_again(&self, within: Duration) {
        let asked = self.shared.asked.notified();
        self.shared.wanted.notify_one();
        // Not in time: whoever waits looks at what there is.
        let _ = timeout(within, asked).await;
    }

    fn trusted(&self) -> Option<Seen<Arc<Book>>> {
        let stale_after = self.shared.settings.stale_after;
        let seen = self.state().book.clone().filter(|seen| seen.received.elapsed() <= stale_after)?;
        let stale_after_ms = u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX);
        seen.value.trusted_ask(unix_ms(self.shared.clock.now()), stale_after_ms).ok()?;
        Some(seen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether funds were promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    Yes,
    No,
}

/// Unix milliseconds; zero before 1970.
pub(crate) fn unix_ms(time: DateTime<Utc>) -> u64 {
    u64::try_from(time.timestamp_millis()).unwrap_or_default()
}

/// The book as it will be when this order has met its offers.
fn without(book: &Book, order: &OrderIntent) -> Book {
    let mut left = order.quantity;
    let asks = book.asks().iter().map(|level| {
        let taken = if level.price <= order.price { level.volume.min(left) } else { Amount::ZERO };
        left = left.saturating_sub(taken);
        Level { volume: level.volume.saturating_sub(taken), ..*level }
    });
    Book::new(asks.collect(), book.bids().to_vec(), book.timestamp_ms())
}
