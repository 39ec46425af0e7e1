//! The purchase's course: intend, place, watch, cancel, account, and again.

mod recall;

use std::collections::BTreeMap;
use std::fmt;

use millrace_model::money::{Amount, Sky};
use millrace_model::purchase::{
    ClientOrderId, Fact, OpenOrder, OrderIntent, OrderObservation, OrderPhase, Price, Purchase,
};

use super::choose::{Choice, Limits, choose};
use super::{
    CancelReply, Failure, HoldReason, ListingReply, Market, Outcome, PlaceReply, Policy, ReadReply, Step, Trouble,
    VenueOrder, Waiting,
};

/// One purchase under way. Made anew from the recorded [`Purchase`] after a restart, and after a commit whose outcome is
/// unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    purchase: Purchase,
    /// Stands for the deposit in client order ids.
    deposit: String,
    policy: Policy,
    limits: Limits,
    state: State,
    stop: StopRequest,
    /// Nothing is begun before this time.
    wake_ms: u64,
    /// What went wrong last, while `wake_ms` is a pause because of it.
    trouble: Option<Trouble>,
    /// When the open order is cancelled, or cancelled again.
    cancel_ms: u64,
    /// When the open order is read next.
    read_ms: u64,
    /// Failures since the last success.
    failures: u32,
    /// Contradictions about the order that is open.
    contradictions: u32,
    /// Orders that ended at once and without a fill since the last that was filled.
    fruitless: u32,
    last_refusal: String,
    /// Orders of this deposit at the exchange that the facts do not know, by attempt.
    forgotten: BTreeMap<u32, VenueOrder>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    /// No order is open.
    Choosing,
    /// Waits for this fact to be committed.
    Recording(Fact),
    /// The order is intended. It is sent, again and again, until the exchange says what became of it.
    Placing(Sent),
    /// The exchange says it has the order; on which page of its listing?
    Searching { page: u32 },
    /// The exchange has the order.
    Following,
    /// Finished, stopped or held.
    Over(Step),
}

/// Whether a request for the order may have reached the exchange before the one now on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sent {
    Never,
    Perhaps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum StopRequest {
    None,
    Asked,
}

impl Machine {
    /// Goes on with a purchase where its facts left it. `deposit` names the deposit in client order ids, `reference` is the
    /// cheapest ask seen at the decision.
    pub fn new(purchase: Purchase, deposit: impl fmt::Display, reference: Price, policy: Policy, now_ms: u64) -> Self {
        let mut machine = Self {
            purchase,
            deposit: deposit.to_string(),
            limits: Limits { reference, too_small: Amount::ZERO, book_after_ms: 0 },
            state: State::Choosing,
            stop: StopRequest::None,
            wake_ms: 0,
            trouble: None,
            cancel_ms: now_ms.saturating_add(policy.patience_ms),
            read_ms: now_ms,
            failures: 0,
            contradictions: 0,
            fruitless: 0,
            last_refusal: String::new(),
            forgotten: BTreeMap::new(),
            policy,
        };
        // an intention that was recorded before now may have been sent before now
        machine.state = machine.state_by_facts(Sent::Perhaps);
        machine
    }

    /// The purchase as recorded so far.
    pub fn purchase(&self) -> &Purchase {
        &self.purchase
    }

    /// The most that one of its orders may pay.
    pub fn limit(&self) -> Price {
        self.limits.dearest(&self.policy)
    }

    /// Asks for an early end: an open order is cancelled and accounted for, then [`Step::Stop`] is said.
    ///
    /// From here on no order is sent: one that was never sent is given up, one that may have been sent is only looked for.
    pub fn request_stop(&mut self) {
        self.stop = StopRequest::Asked;
        self.cancel_ms = 0;
        match &self.state {
            State::Recording(Fact::Intended(_)) => self.state = State::Choosing,
            State::Placing(Sent::Never) => {
                let reason = "not sent, the purchase was stopped before".to_owned();
                self.state = State::Recording(Fact::Refused { reason });
            }
            State::Placing(Sent::Perhaps) => self.state = State::Searching { page: 1 },
            State::Choosing | State::Recording(_) | State::Searching { .. } | State::Following | State::Over(_) => {}
        }
    }

    /// What is to be done now.
    pub fn poll_step(&mut self, market: &Market<'_>, now_ms: u64) -> Step {
        if self.state == State::Choosing
            && let Some(wait) = self.choose(market, now_ms)
        {
            return wait;
        }
        match (&self.state, self.purchase.open_order()) {
            (State::Recording(fact), _) => Step::Record(fact.clone()),
            (State::Over(step), _) => step.clone(),
            (State::Placing(_) | State::Searching { .. }, Some(_)) if now_ms < self.wake_ms => self.pause(),
            (State::Placing(_), Some(order)) => Step::Place(order.intent.clone()),
            (State::Searching { page }, Some(order)) => Step::FindByCid { cid: order.intent.cid.clone(), page: *page },
            (State::Following, Some(order)) => match order.phase {
                OrderPhase::Placed { order_id } => self.watch(order_id, now_ms),
                OrderPhase::Cancelling { order_id } => self.see_off(order_id, now_ms),
                OrderPhase::Intended => self.pause(),
            },
            (State::Choosing | State::Placing(_) | State::Searching { .. } | State::Following, _) => self.pause(),
        }
    }

    /// The fact of [`Step::Record`] is committed.
    pub fn handle_recorded(&mut self, now_ms: u64) {
        let State::Recording(fact) = &self.state else { return };
        let fact = fact.clone();
        let before = self.purchase.open_order().cloned();
        self.purchase = self.purchase.clone().apply(&fact);
        self.state = self.state_by_facts(Sent::Never);
        match fact {
            Fact::Intended(_) => {
                self.begin_order(now_ms);
                self.pass_over_gap();
            }
            Fact::Placed { .. } => self.begin_watch(now_ms),
            Fact::Refused { reason } => self.after_refusal(reason, now_ms),
            Fact::CancelIntended => (self.cancel_ms, self.read_ms) = (now_ms, now_ms),
            Fact::Observed(seen) => self.after_observation(before, &seen, now_ms),
        }
    }

    /// The intended order of [`Step::Record`] was not committed: its funds went to another.
    pub fn handle_not_reserved(&mut self, now_ms: u64) {
        if let State::Recording(Fact::Intended(_)) = self.state {
            self.state = State::Choosing;
            self.rest(Trouble::FundsTaken, self.policy.look_again_ms, now_ms);
        }
    }

    /// The intended order of [`Step::Record`] was not committed and is not to be now: when it may be, another is chosen, from the
    /// book of that time. Nothing is in the log yet, so nothing is given up.
    pub fn choose_anew(&mut self) {
        if let State::Recording(Fact::Intended(_)) = self.state {
            self.state = State::Choosing;
        }
    }

    /// What came of [`Step::Place`].
    pub fn handle_place(&mut self, reply: PlaceReply, now_ms: u64) {
        let State::Placing(sent) = self.state else { return };
        match (reply, sent) {
            (PlaceReply::Placed { order_id }, _) => self.succeed(State::Recording(Fact::Placed { order_id })),
            (PlaceReply::CidExists, _) => self.succeed(State::Searching { page: 1 }),
            (PlaceReply::TooSmall { reason }, Sent::Never) => {
                let quantity = self.purchase.open_order().map(|order| order.intent.quantity);
                self.limits.too_small = self.limits.too_small.max(quantity.unwrap_or_default());
                self.succeed(State::Recording(Fact::Refused { reason }));
            }
            (PlaceReply::Refused { reason }, Sent::Never) => {
                self.succeed(State::Recording(Fact::Refused { reason }));
            }
            // Refused now, but an earlier request may have been taken, or be on its way: no proof. Is it in the listing?
            (PlaceReply::TooSmall { .. } | PlaceReply::Refused { .. }, Sent::Perhaps) => {
                self.succeed(State::Searching { page: 1 });
            }
            (PlaceReply::Failed(failure), _) => {
                if failure == Failure::Unavailable {
                    self.state = State::Placing(Sent::Perhaps);
                }
                self.fail(failure, now_ms);
            }
        }
    }

    /// What came of [`Step::FindByCid`].
    pub fn handle_listing(&mut self, reply: ListingReply, now_ms: u64) {
        let State::Searching { page } = self.state else { return };
        let Some(intent) = self.purchase.open_order().map(|order| order.intent.clone()) else { return };
        match reply {
            ListingReply::Failed(failure) => self.fail(failure, now_ms),
            ListingReply::Page(orders) if page < self.policy.pages_max => match find(&orders, &intent.cid) {
                Some(found) => self.adopt(found, &intent),
                None => self.succeed(State::Searching { page: page + 1 }),
            },
            ListingReply::Page(orders) | ListingReply::LastPage(orders) => match find(&orders, &intent.cid) {
                Some(found) => self.adopt(found, &intent),
                None => {
                    self.state = match self.stop {
                        StopRequest::None => State::Placing(Sent::Perhaps),
                        StopRequest::Asked => State::Searching { page: 1 },
                    };
                    self.contradict(HoldReason::Unaccounted { cid: intent.cid }, now_ms);
                }
            },
        }
    }

    /// What came of [`Step::Read`].
    pub fn handle_read(&mut self, reply: ReadReply, now_ms: u64) {
        if self.state != State::Following {
            return;
        }
        let Some((order, order_id)) = self.placed_order() else { return };
        match reply {
            ReadReply::Failed(failure) => self.fail(failure, now_ms),
            ReadReply::NoSuchOrder => self.contradict(HoldReason::Vanished { order_id }, now_ms),
            ReadReply::Order(shown) => {
                let strange_cid = shown.cid.as_deref().is_some_and(|cid| cid != order.intent.cid.as_str());
                if shown.order_id != order_id || strange_cid {
                    self.contradict(HoldReason::Mismatch { order_id }, now_ms);
                } else {
                    self.account(&order, order_id, shown, now_ms);
                }
            }
        }
    }

    /// What came of [`Step::Cancel`]. Whatever it is, the order is read.
    pub fn handle_cancel(&mut self, reply: CancelReply, now_ms: u64) {
        if self.state != State::Following {
            return;
        }
        self.cancel_ms = now_ms.saturating_add(self.policy.recancel_every_ms);
        match reply {
            CancelReply::Accepted | CancelReply::Refused => self.read_ms = self.read_ms.min(now_ms),
            CancelReply::Failed(failure) => {
                self.fail(failure, now_ms);
                self.cancel_ms = self.cancel_ms.max(self.wake_ms);
            }
        }
    }

    /// Moves on from [`State::Choosing`], or says what to wait for.
    fn choose(&mut self, market: &Market<'_>, now_ms: u64) -> Option<Step> {
        if self.stop == StopRequest::Asked {
            self.state = State::Over(Step::Stop(self.outcome()));
            return None;
        }
        if now_ms < self.wake_ms {
            return Some(self.pause());
        }
        if self.recall() {
            return None;
        }
        match choose(&self.purchase, self.limits, &self.policy, market, now_ms) {
            Choice::Unspendable => self.state = State::Over(Step::Finish(self.outcome())),
            Choice::Wait(why) => {
                return Some(Step::Wait { until_ms: now_ms.saturating_add(self.policy.look_again_ms), why });
            }
            Choice::Order { .. } if self.purchase.next_attempt() > self.policy.orders_max => {
                self.hold(HoldReason::TooManyOrders);
            }
            Choice::Order { price, quantity } => self.intend(price, quantity),
        }
        None
    }

    fn intend(&mut self, price: Price, quantity: Amount<Sky>) {
        let attempt = self.purchase.next_attempt();
        let cid = self.cid(attempt);
        let intended = Fact::Intended(OrderIntent { attempt, cid, price, quantity });
        match self.purchase.check(&intended) {
            Ok(()) => self.state = State::Recording(intended),
            Err(_) => self.hold(HoldReason::TooLarge),
        }
    }

    fn cid(&self, attempt: u32) -> ClientOrderId {
        ClientOrderId::for_attempt(&self.deposit, attempt)
    }

    fn watch(&mut self, order_id: u64, now_ms: u64) -> Step {
        if self.read_ms <= now_ms {
            return Step::Read { order_id };
        }
        if self.cancel_ms <= now_ms {
            self.state = State::Recording(Fact::CancelIntended);
            return Step::Record(Fact::CancelIntended);
        }
        Step::Wait { until_ms: self.read_ms.min(self.cancel_ms), why: self.troubled(Waiting::Fill) }
    }

    fn see_off(&self, order_id: u64, now_ms: u64) -> Step {
        if self.cancel_ms <= now_ms {
            return Step::Cancel { order_id };
        }
        if self.read_ms <= now_ms {
            return Step::Read { order_id };
        }
        Step::Wait { until_ms: self.read_ms.min(self.cancel_ms), why: self.troubled(Waiting::Cancellation) }
    }

    fn begin_order(&mut self, now_ms: u64) {
        (self.wake_ms, self.contradictions, self.failures) = (now_ms, 0, 0);
    }

    fn begin_watch(&mut self, now_ms: u64) {
        self.read_ms = now_ms;
        self.contradictions = 0;
        self.cancel_ms = match self.stop {
            StopRequest::None => now_ms.saturating_add(self.policy.patience_ms),
            StopRequest::Asked => now_ms,
        };
    }

    fn after_refusal(&mut self, reason: String, now_ms: u64) {
        self.last_refusal = reason;
        let refusals = self.purchase.refused_in_a_row();
        if refusals >= self.policy.tries_max {
            return self.hold(HoldReason::Refused { reason: self.last_refusal.clone() });
        }
        self.rest(Trouble::Refused, self.back_off(refusals), now_ms);
    }

    fn after_observation(&mut self, before: Option<OpenOrder>, seen: &OrderObservation, now_ms: u64) {
        if !seen.state.is_terminal() {
            self.read_ms = now_ms.saturating_add(self.policy.read_every_ms);
            return;
        }
        self.limits.book_after_ms = now_ms;
        match before.map(|order| order.phase) {
            // it ended by itself, and without a fill: that may go on for ever, so more and more slowly
            Some(OrderPhase::Placed { .. }) if seen.completed.is_zero() => {
                self.fruitless = self.fruitless.saturating_add(1);
                self.rest(Trouble::Fruitless, self.back_off(self.fruitless), now_ms);
            }
            Some(OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. } | OrderPhase::Intended) | None => {
                self.fruitless = 0;
                (self.wake_ms, self.trouble) = (now_ms, None);
            }
        }
    }

    fn adopt(&mut self, found: &VenueOrder, intent: &OrderIntent) {
        if found.price != Some(intent.price) || found.quantity != intent.quantity {
            return self.hold(HoldReason::Mismatch { order_id: found.order_id });
        }
        self.succeed(State::Recording(Fact::Placed { order_id: found.order_id }));
    }

    /// Takes an order's reading into account: recorded when it tells something new.
    fn account(&mut self, order: &OpenOrder, order_id: u64, shown: VenueOrder, now_ms: u64) {
        let above = self.policy.rules.half_price_step() + order.intent.price.btc_per_sky();
        if shown.seen.avg_price.is_some_and(|average| average.btc_per_sky() > above) {
            return self.hold(HoldReason::AboveLimit { order_id });
        }
        let filled_before = order.seen.as_ref().map(|seen| seen.completed).unwrap_or_default();
        let news = shown.seen.state.is_terminal() || shown.seen.completed != filled_before;
        let observed = Fact::Observed(shown.seen);
        match self.purchase.check(&observed) {
            Err(problem) => self.contradict(HoldReason::Nonsense { order_id, problem }, now_ms),
            Ok(()) => {
                self.contradictions = 0;
                self.succeed(if news { State::Recording(observed) } else { State::Following });
                self.read_ms = now_ms.saturating_add(self.policy.read_every_ms);
            }
        }
    }

    fn state_by_facts(&self, sent: Sent) -> State {
        match self.purchase.open_order().map(|order| order.phase) {
            None => State::Choosing,
            Some(OrderPhase::Intended) => State::Placing(sent),
            Some(OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. }) => State::Following,
        }
    }

    fn placed_order(&self) -> Option<(OpenOrder, u64)> {
        let order = self.purchase.open_order()?;
        match order.phase {
            OrderPhase::Intended => None,
            OrderPhase::Placed { order_id } | OrderPhase::Cancelling { order_id } => Some((order.clone(), order_id)),
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            bought: self.purchase.bought(),
            spent: self.purchase.spent(),
            fee: self.purchase.fee(),
            remainder: self.purchase.remaining(),
        }
    }

    fn hold(&mut self, reason: HoldReason) {
        self.state = State::Over(Step::Hold(reason));
    }

    fn succeed(&mut self, state: State) {
        (self.failures, self.trouble) = (0, None);
        self.state = state;
    }

    /// A call failed: the same again, later.
    fn fail(&mut self, failure: Failure, now_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        let (trouble, pause_ms) = match failure {
            Failure::Unavailable => (Trouble::Unavailable, self.back_off(self.failures)),
            Failure::NotAuthorised => (Trouble::NotAuthorised, self.back_off(self.failures)),
            Failure::Throttled => (Trouble::Throttled, self.policy.throttled_ms),
        };
        self.rest(trouble, pause_ms, now_ms);
    }

    /// The exchange contradicts itself: held after a few times.
    fn contradict(&mut self, reason: HoldReason, now_ms: u64) {
        self.contradictions = self.contradictions.saturating_add(1);
        if self.contradictions >= self.policy.tries_max {
            return self.hold(reason);
        }
        self.rest(Trouble::Contradiction, self.back_off(self.contradictions), now_ms);
    }

    fn rest(&mut self, trouble: Trouble, pause_ms: u64, now_ms: u64) {
        self.trouble = Some(trouble);
        self.wake_ms = now_ms.saturating_add(pause_ms);
        self.read_ms = self.wake_ms;
    }

    fn back_off(&self, times: u32) -> u64 {
        let factor = 1u64 << times.saturating_sub(1).min(20);
        self.policy.retry_first_ms.saturating_mul(factor).min(self.policy.retry_max_ms)
    }

    fn pause(&self) -> Step {
        let why = self.troubled(Waiting::Retry(Trouble::Unavailable));
        Step::Wait { until_ms: self.wake_ms, why }
    }

    fn troubled(&self, otherwise: Waiting) -> Waiting {
        self.trouble.map_or(otherwise, Waiting::Retry)
    }
}

fn find<'a>(orders: &'a [VenueOrder], cid: &ClientOrderId) -> Option<&'a VenueOrder> {
    orders.iter().find(|order| order.cid.as_deref() == Some(cid.as_str()))
}
