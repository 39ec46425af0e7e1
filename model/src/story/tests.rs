//! Whole lives of deposits, as the rules let them be lived, and what the story makes of them.

use std::collections::BTreeSet;

use chrono::TimeZone;

use super::*;
use crate::deposit::{
    BlockRef, Command, DecisionTerms, Detected, HoldReason, PayoutTerms, RemainderPolicy, SignedPayout, Terms,
};
use crate::event::Unreadable;
use crate::ids::Hash32;
use crate::purchase::{ClientOrderId, Fact, Level, OrderIntent, OrderObservation, OrderState, SeenBook};
use crate::testing::{self, detected, recorded_of};

const ID: DepositId = testing::deposit(1);

/// A deposit that lives by the rules, a second a command.
struct Life {
    deposit: Deposit,
    recorded: Vec<Recorded>,
}

impl Life {
    fn of(detected: Detected) -> Self {
        let event = Event::from(detected);
        let deposit = evolve(None, &event).unwrap();
        Self { deposit, recorded: Vec::new() }.record(vec![event])
    }

    /// A deposit that is received.
    fn received(amount: &str) -> Self {
        Self::of(detected(1, amount)).mined(7).mature()
    }

    fn command(mut self, command: &Command) -> Self {
        let events = self.deposit.decide(command).unwrap();
        self.deposit = events.iter().fold(Some(self.deposit), evolve).unwrap();
        self.record(events)
    }

    fn record(mut self, events: Vec<Event>) -> Self {
        let seconds = self.recorded.last().map_or(0, |last| last.recorded_at.timestamp() - start().timestamp() + 1);
        for event in events {
            let version = self.recorded.len() as u64 + 1;
            let recorded_at = start() + TimeDelta::seconds(seconds);
            self.recorded.push(Recorded { recorded_at, ..recorded_of(ID, version, event) });
        }
        self
    }

    fn mined(self, height: u64) -> Self {
        self.command(&Command::ObserveMined { block: BlockRef { height, hash: Hash32([height as u8; 32]) } })
    }

    fn mature(self) -> Self {
        self.command(&Command::ObserveMature { confirmations: 2, seen_before: None })
    }

    fn decided(self, terms: Terms) -> Self {
        let (minimum, maximum) = ("0.001".parse().unwrap(), "1".parse().unwrap());
        self.command(&Command::Decide(DecisionTerms { terms, minimum, maximum, payout: payout() }))
    }

    fn direct(self, rate: &str) -> Self {
        self.decided(Terms::Direct { rate: rate.parse().unwrap() })
    }

    fn fact(self, fact: Fact) -> Self {
        self.command(&Command::RecordPurchase(fact))
    }

    fn order(self, attempt: u32, quantity: &str) -> Self {
        let (price, quantity) = ("0.002".parse().unwrap(), quantity.parse().unwrap());
        self.fact(Fact::Intended(OrderIntent {
            attempt,
            cid: ClientOrderId::for_attempt(ID, attempt),
            price,
            quantity,
        }))
    }

    fn seen(self, completed: &str, price: Option<&str>, state: OrderState) -> Self {
        let (completed, fee) = (completed.parse().unwrap(), "0.00001".parse().unwrap());
        let avg_price = price.map(|price| price.parse().unwrap());
        self.fact(Fact::Observed(OrderObservation { completed, avg_price, fee, state }))
    }

    fn signed(self) -> Self {
        let [txid, inner_hash, input] = [5, 6, 4].map(|byte| Hash32([byte; 32]));
        self.command(&Command::RecordSigned(SignedPayout { txid, inner_hash, inputs: vec![input], bytes: "00".into() }))
    }

    fn paid(self) -> Self {
        let sent = self.signed().command(&Command::RecordSent);
        sent.command(&Command::RecordConfirmed { block_seq: 180, confirmations: 3 })
    }

    fn story(&self) -> Story {
        Story::of(&self.recorded).unwrap()
    }

    #[track_caller]
    fn tells(self, expected: &[&str]) -> Story {
        let story = self.story();
        let told: Vec<_> = story.steps.iter().map(|step| step.sentence.as_str()).collect();
        assert_eq!(told, expected);
        assert_eq!(told.len(), self.recorded.len(), "an event, a sentence");
        story
    }
}

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2030, 1, 1, 0, 0, 0).unwrap()
}

fn payout() -> PayoutTerms {
    PayoutTerms { decimals: 3, maximum: "1000".parse().unwrap() }
}

fn hash(byte: &str) -> String {
    byte.repeat(32)
}

const SEEN: &str = "A payment of 0.05000000 BTC to bcrt1qdeposit was seen, output \
    0101010101010101010101010101010101010101010101010101010101010101:0; to be paid out to 2Gcustomer (bound for direct).";
const MINED: &str =
    "Its transaction was mined in block 7 (0707070707070707070707070707070707070707070707070707070707070707).";
const RECEIVED: &str = "The desk took receipt of 0.05000000 BTC; from here on it owes an outcome.";
const DEEP: &str = "It was 2 blocks deep in the Bitcoin chain, deep enough.";

/// What is told of a payout of this amount.
fn payout_told(amount: &str) -> [String; 4] {
    let txid = hash("05");
    [
        "Attempt 1 at the payout began.".to_owned(),
        format!(
            "The payout of {amount} SKY to 2Gcustomer was signed as transaction {txid}, which spends one output of the hot \
             wallet; from here on these bytes are the payout."
        ),
        format!("The Skycoin node took the payout (transaction {txid})."),
        format!("The payout is final (transaction {txid}): it is in Skycoin block 180, 3 blocks deep."),
    ]
}

#[test]
fn a_sale_from_stock_is_told_from_the_payment_to_the_final_payout() {
    let [began, signed, sent, last] = payout_told("25.616000");
    let decided = "Decided: direct. Sold from stock at 512.3333 SKY for one BTC, 25.616000 SKY are to be paid out; \
        0.000665 SKY beyond the payout's decimals went to the desk's rounding account.";
    let expected = [SEEN, MINED, DEEP, RECEIVED, decided, &began, &signed, &sent, &last];
    let story = Life::received("0.05").direct("512.3333").paid().tells(&expected);
    assert_eq!((story.deposit, &story.broken_off), (ID, &None));
    let end = "It is done: paid out for good. From the first of these steps to the last it took 6.000 s.";
    assert_eq!(story.stands, Stands { status: "done", sentence: end.to_owned() });
    let since: Vec<_> = story.steps.iter().map(|step| step.since_previous.map(|since| since.num_seconds())).collect();
    let second = Some(1);
    let same = Some(0);
    assert_eq!(since, [None, second, second, same, second, second, same, second, second]);
    assert_eq!((story.steps[3].version, story.steps[3].position, story.steps[3].kind), (4, 40, "StatusWaitDecide"));
}

fn bought() -> Life {
    let decided =
        Life::received("0.05").decided(Terms::Passthrough { best_ask: "0.00189".parse().unwrap(), book: None });
    let placed = decided.order(1, "20").fact(Fact::Placed { order_id: 77 });
    let open = placed.seen("12.5", Some("0.0019"), OrderState::Open).fact(Fact::CancelIntended);
    let cancelled = open.seen("12.5", Some("0.0019"), OrderState::Cancelled);
    let refused = cancelled.order(2, "13").fact(Fact::Refused { reason: "limit".to_owned() });
    let filled =
        refused.order(3, "13").fact(Fact::Placed { order_id: 78 }).seen("13", Some("0.002"), OrderState::Filled);
    let rounding_maximum = "0.0001".parse().unwrap();
    filled.command(&Command::FinishPurchase(RemainderPolicy { rounding_maximum, payout: payout() }))
}

#[test]
fn a_purchase_is_told_order_by_order_with_fills_fees_and_what_was_left_over() {
    let [began, signed, sent, last] = payout_told("25.500000");
    let intended = |attempt, order| {
        let cid = ClientOrderId::for_attempt(ID, attempt);
        format!("Order {attempt} was put down before it was sent: buy {order}, under the id {cid}.")
    };
    let first = intended(1, "20.000000 SKY at 0.002 BTC at most, 0.04000000 BTC in all");
    let [second, third] = [2, 3].map(|at| intended(at, "13.000000 SKY at 0.002 BTC at most, 0.02600000 BTC in all"));
    let expected = [
        SEEN,
        MINED,
        DEEP,
        RECEIVED,
        "Decided: passthrough. Up to 0.05000000 BTC may be spent on the exchange; the best ask seen was 0.00189 BTC for \
         one SKY.",
        &first,
        "The exchange took order 1 as its number 77.",
        "The exchange showed order 1 (its number 77) open: 12.500000 of 20.000000 SKY filled at 0.0019 BTC on average, fee \
         0.00001000 BTC. That makes 12.500000 SKY for 0.02375000 BTC.",
        "The desk began to cancel order 1 (its number 77), with 12.500000 of 20.000000 SKY filled.",
        "The exchange showed order 1 (its number 77) cancelled: 12.500000 of 20.000000 SKY filled at 0.0019 BTC on \
         average, fee 0.00001000 BTC. That makes 12.500000 SKY for 0.02375000 BTC.",
        &second,
        "The exchange refused order 2: limit.",
        &third,
        "The exchange took order 3 as its number 78.",
        "The exchange showed order 3 (its number 78) filled for good: 13.000000 of 13.000000 SKY filled at 0.002 BTC on \
         average, fee 0.00001000 BTC. That makes 25.500000 SKY for 0.04975000 BTC.",
        "The purchase is over: 25.500000 SKY for 0.04975000 BTC of 0.05000000, fees of 0.00002000 BTC.",
        "0.00025000 BTC were left over that no order could spend; they are owed back to the customer.",
        "Of what was bought, 25.500000 SKY are to be paid out.",
        &began,
        &signed,
        &sent,
        &last,
    ];
    bought().paid().tells(&expected);
}

#[test]
fn a_decision_to_buy_says_how_deep_the_book_was_and_how_far_the_budget_would_come() {
    let level =
        |(price, volume): (&str, &str)| Level { price: price.parse().unwrap(), volume: volume.parse().unwrap() };
    let asks = [("0.00189", "10"), ("0.0019", "20"), ("0.00191", "12270")].map(level);
    let told = |amount: &str, asks: &[Level]| {
        let limit = "0.00191".parse().unwrap();
        let book = SeenBook::of(0, (asks, None), limit, amount.parse().unwrap()).unwrap();
        let story = Life::received(amount).decided(Terms::upon(book)).story();
        story.steps.last().unwrap().sentence.rsplit_once("one SKY. ").unwrap().1.to_owned()
    };
    let enough = "The book offered 12300.000000 SKY up to 0.00191 BTC, in 3 levels; the budget would take 2 levels: \
         26.368421 SKY for 0.05000000 BTC.";
    assert_eq!(told("0.05", &asks), enough);
    let thin = "The book offered 10.000000 SKY up to 0.00191 BTC, in 1 level; the budget would take all of it, and \
         0.03110000 BTC would be left.";
    assert_eq!(told("0.05", &asks[..1]), thin);
    let many = [level(("0.00189", "1")); 25];
    assert!(told("0.05", &many).ends_with("25 levels; the budget would take more than the cheapest 20."));
}

#[test]
fn a_held_deposit_says_why_and_who_let_it_go_on_with_which_words() {
    let held = Life::received("1.5").direct("500");
    let stands = held.story().stands;
    assert_eq!(stands.status, "held");
    assert!(stands.sentence.starts_with("It is held: it is more than the desk deals in. "), "{}", stands.sentence);
    let released = held.command(&Command::Release { note: "a friend".to_owned() });
    let story = released.command(&Command::Hold { reason: HoldReason::Operator { note: "wait!".to_owned() } }).story();
    let told: Vec<_> = story.steps[4..].iter().map(|step| step.sentence.as_str()).collect();
    let expected = [
        "It was held: it is more than the desk deals in. It was interrupted in wait_decide.",
        "It was released: a friend. It is received and waits for the decision.",
        "It was held: an operator asked for it: wait! It was interrupted in wait_decide.",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_a_reorganisation_undid_is_told_with_what_became_of_it() {
    let undone = Life::received("0.05").direct("500").command(&Command::ObserveOrphaned);
    let again = undone.mined(8).mature().paid();
    let story = again.command(&Command::ObserveOrphaned).story();
    let told: Vec<_> = story.steps[5..9].iter().map(|step| step.sentence.as_str()).collect();
    let orphaned = format!(
        "A reorganisation of the Bitcoin chain removed block 7 ({}), which held it: that undid the receipt, and its whole \
         depth is waited for again.",
        hash("07")
    );
    let mined_again = format!("Its transaction was mined again, in block 8 ({}).", hash("08"));
    let expected = [
        &orphaned,
        "It was held: its transaction left the best chain. It was interrupted in wait_send.",
        &mined_again,
        "It was 2 blocks deep in the Bitcoin chain, deep enough again.",
    ];
    assert_eq!(told, expected);
    let lost = "0.05000000 BTC were lost: the deposit left the best chain after its payout was signed.";
    assert_eq!(story.steps.last().unwrap().sentence, lost);
}

#[test]
fn coins_that_were_spent_elsewhere_end_the_story_with_what_is_the_desks() {
    let undone = bought().command(&Command::ObserveOrphaned);
    let replaced_by = Some(Hash32([9; 32]));
    let story = undone.command(&Command::ObserveVanished { replaced_by }).story();
    let expected = "It was written off: its coins were spent elsewhere. The 25.500000 SKY that were bought for it, for \
        0.04975000 BTC, are the desk's.";
    assert_eq!(story.steps.last().unwrap().sentence, expected);
    assert_eq!(story.stands.status, "done");

    let never = Life::of(detected(1, "0.05")).command(&Command::ObserveVanished { replaced_by: None }).story();
    let expected = "Its transaction left the node's mempool and is in no block; nothing was ordered or signed for it, and \
        it ends.";
    assert_eq!(never.steps.last().unwrap().sentence, expected);
}

#[test]
fn what_belongs_to_nobody_is_told_up_to_its_refund() {
    let unbound = Detected { customer: None, coinbase: true, ..detected(1, "0.05") };
    let due = Life::of(unbound).mined(7).mature().command(&Command::MarkRefundDue { note: "asked".to_owned() });
    let txid = Hash32([3; 32]);
    let story = due.command(&Command::MarkRefunded { txid, note: "by hand".to_owned() }).story();
    assert!(story.steps[0].sentence.ends_with("which was never given to anybody. It is a block's reward."));
    let told: Vec<_> = story.steps[3..].iter().map(|step| step.sentence.as_str()).collect();
    let refunded = format!("An operator paid it back by transaction {txid}: by hand.");
    let expected = [
        "0.05000000 BTC were received on an address that belongs to nobody; they are quarantined for an operator.",
        "An operator decided that 0.05000000 BTC are to be paid back: asked.",
        &refunded,
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_payout_that_becomes_void_or_leaves_its_chain_is_told() {
    let paid = Life::received("0.05").direct("500").paid();
    let reorged = paid.command(&Command::RecordPayoutReorged);
    let conflicting_txid = Hash32([8; 32]);
    let story = reorged.command(&Command::RecordVoided { conflicting_txid }).story();
    let [.., reorged, voided] = &story.steps[..] else { panic!("{story:?}") };
    let txid = hash("05");
    let expected = format!(
        "The block that held the payout left the Skycoin chain (transaction {txid}); the same bytes are handed in again."
    );
    assert_eq!(reorged.sentence, expected);
    let expected = format!(
        "The payout became void: transaction {txid} can never be final since {conflicting_txid} is. It has to be signed anew."
    );
    assert_eq!(voided.sentence, expected);
}

#[test]
fn an_event_that_cannot_be_read_breaks_the_story_off_with_its_place() {
    let mut life = Life::received("0.05").direct("500");
    let unreadable = Unreadable { kind: "Beamed".into(), schema: 1, payload: "{}".into(), why: "is unknown".into() };
    life.recorded[3].event = event::Event::Unreadable(unreadable);
    let story = life.story();
    assert_eq!((story.steps.len(), story.stands.status), (3, "pending"));
    assert_eq!(story.broken_off, Some(BrokenOff { position: 40, why: "is unknown".to_owned() }));

    let rest = Story::of(&life.recorded[3..]).unwrap_err();
    let expected = "position 40: Beamed cannot be the first event of a deposit: is unknown";
    assert_eq!((rest.to_string().as_str(), Story::of(&[])), (expected, Err(Untold::Unknown)));
    let headless = Story::of(&life.recorded[1..]).unwrap_err().to_string();
    assert_eq!(headless, "position 20: Mined cannot be the first event of a deposit");
}

#[test]
fn every_kind_that_a_life_can_hold_says_something_of_its_own() {
    let lives = [bought().paid(), Life::received("0.05").direct("512.3333").paid()];
    let mut said = BTreeSet::new();
    for step in lives.iter().flat_map(|life| life.story().steps) {
        assert!(step.sentence.ends_with('.') && !step.sentence.contains("  "), "{}", step.sentence);
        said.insert(step.kind);
    }
    assert_eq!(said.len(), 17, "{said:?}");
}

#[test]
fn a_story_as_json_has_times_and_spans_in_microseconds() {
    let json = serde_json::to_value(Life::received("0.05").story()).unwrap();
    assert_eq!(json["steps"][0]["since_previous_us"], serde_json::Value::Null);
    assert_eq!(json["steps"][1]["since_previous_us"], 1_000_000);
    assert_eq!(json["steps"][1]["at"], "2030-01-01T00:00:01Z");
    assert_eq!((&json["stands"]["status"], &json["deposit"]), (&"wait_decide".into(), &ID.to_string().into()));
}
