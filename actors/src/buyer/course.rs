//! One purchase under way: its machine, and each of the machine's steps carried out.

use std::time::Duration;

use millrace_model::deposit::{Command, Deposit, Stage};
use millrace_model::desk::Switch;
use millrace_model::ids::DepositId;
use millrace_model::purchase::{Fact, OrderIntent};
use millrace_protocols::purchase::{Failure, Machine, MarketTrouble, PlaceReply, Policy, Step, VenueOrder, Waiting};
use millrace_protocols::wire::c2cx::{self, StatusFilter};

use super::troubles::Troubles;
use super::{BRAKES_PAUSE, Desk, End, LOG_PAUSE, log};
use crate::canary::{self, Canary};
use crate::deposits::ExecuteError;
use crate::market::Claim;
use crate::market::{Claimed, View};

/// How many steps are taken before others have their turn.
const STEPS_MAX: u32 = 64;
/// How often a newer reading of the market is asked for before the purchase rests.
const READINGS_MAX: u32 = 4;
/// How long is waited for one.
const READING_WITHIN: Duration = Duration::from_millis(500);
/// The clock was turned back by more than this: pauses are no longer what they were.
const BACKWARDS_MAX_MS: u64 = 1_000;

/// One purchase.
#[derive(Debug)]
pub(super) struct Course {
    id: DepositId,
    machine: Machine,
    /// Whether the deposit is held, and the purchase on its way to an early end.
    standing: Standing,
    seen_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Buying,
    Stopping,
}

impl Course {
    /// A purchase as the log leaves it; `None` for a deposit that is not to be bought.
    pub(super) fn new(deposit: &Deposit, policy: &Policy, now_ms: u64) -> Option<Self> {
        let (purchase, best_ask) = deposit.purchase.clone().zip(deposit.best_ask)?;
        let id = deposit.receipt.id;
        // What is bought for an output has the same ids in every life of the desk, also in one whose log has forgotten the
        // deposit and detects it anew.
        let machine = Machine::new(purchase, deposit.receipt.outpoint, best_ask, policy.clone(), now_ms);
        Some(Self { id, machine, standing: Standing::Buying, seen_ms: now_ms })
    }

    /// Takes in what the exchange ever had of this purchase.
    pub(super) fn remember(&mut self, orders: Vec<VenueOrder>) {
        self.machine.remember(orders);
    }

    /// Whether this is the purchase that the log tells of.
    pub(super) fn stands_for(&self, deposit: &Deposit, now_ms: u64) -> bool {
        let released = self.is_stopping() && deposit.stage == Stage::WaitBuy;
        deposit.purchase.as_ref() == Some(self.machine.purchase()) && !released && !self.is_turned_back(now_ms)
    }

    fn is_turned_back(&self, now_ms: u64) -> bool {
        now_ms.saturating_add(BACKWARDS_MAX_MS) < self.seen_ms
    }

    /// Whether the deposit is held.
    pub(super) fn is_stopping(&self) -> bool {
        self.standing == Standing::Stopping
    }

    /// Takes steps until there is something to wait for.
    pub(super) async fn go_on(&mut self, desk: &Desk, deposit: &Deposit, troubles: &Troubles) -> End {
        self.heed(deposit);
        let mut readings = 0;
        for _ in 0..STEPS_MAX {
            let view = desk.market.view(self.id);
            let now_ms = desk.now_ms();
            if self.is_turned_back(now_ms) {
                // The machine waits for times that are far away now.
                return End::Anew(Duration::ZERO);
            }
            self.seen_ms = now_ms;
            let step = self.machine.poll_step(&view.market(), now_ms);
            if self.is_an_order(&step)
                && let Some(end) = self.braked(desk, troubles)
            {
                // By the time that it may go out the book is another.
                self.machine.choose_anew();
                return end;
            }
            let end = match step {
                Step::Record(fact) => self.record(desk, fact, &view).await,
                Step::Place(order) => {
                    let reply = match c2cx::place_reply(desk.exchange.place(&order).await) {
                        PlaceReply::Failed(Failure::Unavailable) if canary::lives(Canary::BlindRetry) => {
                            PlaceReply::Refused { reason: "no answer".to_owned() }
                        }
                        reply => reply,
                    };
                    self.machine.handle_place(reply, desk.now_ms());
                    None
                }
                Step::Read { order_id } => {
                    let reply = c2cx::read_reply(desk.exchange.order(order_id).await);
                    self.machine.handle_read(reply, desk.now_ms());
                    None
                }
                Step::Cancel { order_id } => {
                    let reply = c2cx::cancel_reply(desk.exchange.cancel(order_id).await);
                    self.machine.handle_cancel(reply, desk.now_ms());
                    None
                }
                Step::FindByCid { page, .. } => {
                    let reply = c2cx::listing_reply(page, desk.exchange.orders(StatusFilter::All, page).await);
                    self.machine.handle_listing(reply, desk.now_ms());
                    None
                }
                Step::Wait { why, .. } if readings < READINGS_MAX && needs_a_reading(&why, view.unsettled) => {
                    readings += 1;
                    desk.market.ask_again(READING_WITHIN).await;
                    None
                }
                Step::Wait { until_ms, why } => Some(self.rest(troubles, until_ms, &why, now_ms)),
                Step::Finish(_) => Some(End::Finished),
                Step::Stop(_) => Some(End::Stopped),
                Step::Hold(reason) => Some(End::Held(reason)),
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Rests(Duration::ZERO)
    }

    /// Whether this step puts an order at the exchange that is not there yet, or says that it will.
    fn is_an_order(&self, step: &Step) -> bool {
        match step {
            Step::Record(Fact::Intended(order)) => !self.machine.is_forgotten(order),
            Step::Place(_) => true,
            _ => false,
        }
    }

    /// Rests while no order may go out.
    fn braked(&self, desk: &Desk, troubles: &Troubles) -> Option<End> {
        let closed = desk.brakes.closed(Switch::Purchases);
        let why = closed.unwrap_or_else(|error| Some(error.to_string()))?;
        troubles.note_braked(self.id, &why);
        Some(End::Rests(BRAKES_PAUSE))
    }

    /// A deposit that is held buys nothing more; what it may have ordered is followed to its end.
    fn heed(&mut self, deposit: &Deposit) {
        if deposit.stage != Stage::WaitBuy && self.standing == Standing::Buying {
            self.standing = Standing::Stopping;
            self.machine.request_stop();
        }
    }

    async fn record(&mut self, desk: &Desk, fact: Fact, view: &View) -> Option<End> {
        if let Fact::Intended(order) = &fact
            // What the exchange has taken before needs no funds any more.
            && !self.machine.is_forgotten(order)
            && self.claim(desk, order) == Claimed::No
        {
            self.machine.handle_not_reserved(desk.now_ms());
            return None;
        }
        if let Fact::Intended(order) = &fact
            && canary::lives(Canary::OrderFirst)
        {
            let _ = desk.exchange.place(order).await;
        }
        let was_intended = matches!(fact, Fact::Intended(_));
        let is_placed = matches!(fact, Fact::Placed { .. });
        match desk.deposits.execute(self.id, &self.command(fact, view)).await {
            Ok(tracked) => {
                self.machine.handle_recorded(desk.now_ms());
                if tracked.deposit.purchase.as_ref() != Some(self.machine.purchase()) {
                    return Some(End::Anew(Duration::ZERO));
                }
                let claim = Claim::of(self.machine.purchase(), &desk.settings.policy);
                if is_placed {
                    desk.market.placed(self.id, claim)
                } else {
                    desk.market.promise(self.id, claim)
                }
                self.heed(&tracked.deposit);
                None
            }
            Err(error) => {
                log(self.id, &error);
                // An intention is chosen anew; what the exchange did stays true and is recorded when the log takes it.
                let anew = was_intended || matches!(error, ExecuteError::Rejected(_));
                Some(if anew { End::Anew(LOG_PAUSE) } else { End::Rests(LOG_PAUSE) })
            }
        }
    }

    /// With an order that is chosen now goes the book it was chosen from.
    fn command(&self, fact: Fact, view: &View) -> Command {
        let book = match &fact {
            Fact::Intended(order) if !self.machine.is_forgotten(order) => view.seen_by(order, self.machine.limit()),
            _ => None,
        };
        match (fact, book) {
            (Fact::Intended(order), Some(book)) => Command::IntendOrder { order, book: Some(book) },
            (fact, _) => Command::RecordPurchase(fact),
        }
    }

    /// Claims what the order needs and what is to follow it.
    fn claim(&self, desk: &Desk, order: &OrderIntent) -> Claimed {
        let policy = &desk.settings.policy;
        let purchase = self.machine.purchase();
        let intended = purchase.clone().apply(&Fact::Intended(order.clone()));
        let needed = policy.funds_for(purchase.remaining());
        desk.market.claim(self.id, needed, Claim::of(&intended, policy), order)
    }

    fn rest(&self, troubles: &Troubles, until_ms: u64, why: &Waiting, now_ms: u64) -> End {
        troubles.note(self.id, why);
        // With many that wait for the same, each looks less often.
        let crowd = u32::try_from(troubles.waiting_for_better() / 256).unwrap_or(u32::MAX).saturating_add(1);
        let pause = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
        match why {
            Waiting::Market(_) | Waiting::Funds { .. } => End::Rests(pause.saturating_mul(crowd)),
            Waiting::Fill | Waiting::Cancellation | Waiting::Retry(_) => End::Rests(pause),
        }
    }
}

/// Whether another look at the exchange may change the answer at once.
fn needs_a_reading(why: &Waiting, unsettled: bool) -> bool {
    match why {
        Waiting::Market(MarketTrouble::Unread) | Waiting::Funds { available: None, .. } => true,
        Waiting::Funds { available: Some(_), .. } => unsettled,
        Waiting::Market(MarketTrouble::Book(_) | MarketTrouble::AboveBand { .. } | MarketTrouble::TooThin)
        | Waiting::Fill
        | Waiting::Cancellation
        | Waiting::Retry(_) => false,
    }
}
