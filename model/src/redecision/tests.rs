//! Lives of deposits decided again: the same when nothing changed, and every difference with its place.

use std::convert::Infallible;

use serde_json::{Value, json};

use super::{Outcome, *};
use crate::chain::Seen;
use crate::deposit::*;
use crate::event::Unreadable;
use crate::ids::{CommandId, Hash32};
use crate::observation::{self, CameBefore, Replaced, SeenOutput};
use crate::testing::{self, recorded_of};

const ID: DepositId = testing::deposit(1);
const EARLIER: DepositId = testing::deposit(3);

/// What the rest of the log says.
struct Says(Option<Option<DepositId>>);

impl Elsewhere for Says {
    type Error = Infallible;
    fn seen_before(&self, _: &Deposit, _: Position) -> Result<Option<Option<DepositId>>, Infallible> {
        Ok(self.0)
    }
}

/// A deposit's stream as it is stored.
#[derive(Default)]
struct Life {
    events: Vec<Happened>,
    deposit: Option<Deposit>,
    commands: u8,
}

impl Life {
    fn stored(mut self, name: &str, body: Value, events: Vec<Event>) -> Self {
        self.commands += 1;
        self.deposit = events.iter().fold(self.deposit, evolve);
        for event in events {
            let version = self.events.len() as u64 + 1;
            let command_id = CommandId([self.commands; 16]);
            let recorded = Recorded { command_id, ..recorded_of(ID, version, event) };
            let asked = Some(Asked { name: name.to_owned(), body: body.to_string() });
            self.events.push(Happened { recorded, older: None, asked });
        }
        self
    }

    /// As the scanner and everybody else store it.
    fn command(self, name: &str, body: Value, command: &Command) -> Self {
        let events = self.deposit.as_ref().unwrap().decide(command).unwrap();
        self.stored(name, body, events)
    }

    fn own(self, command: &Command) -> Self {
        let body = serde_json::to_value(command).unwrap();
        self.command(command.name(), body, command)
    }

    fn seen() -> Self {
        Self::default().stored("RecordSightings", json!({ "outpoints": 1 }), vec![detected().into()])
    }

    fn mined(self) -> Self {
        let body = json!({ "block": block(7), "payments": 1 });
        self.command("RecordBlock", body, &Command::ObserveMined { block: block(7) })
    }

    fn deep(self, seen_before: Option<DepositId>) -> Self {
        let body = json!({ "block": block(7), "tip": block(8) });
        self.command("RecordMaturity", body, &Command::ObserveMature { confirmations: 2, seen_before })
    }

    fn decided(self) -> Self {
        let (minimum, maximum) = ("0.001".parse().unwrap(), "1".parse().unwrap());
        let payout = PayoutTerms { decimals: 3, maximum: "9000".parse().unwrap() };
        let terms = Terms::Direct { rate: "500".parse().unwrap() };
        self.own(&Command::Decide(DecisionTerms { terms, minimum, maximum, payout }))
    }

    fn again(&self, elsewhere: Says) -> Vec<Redecided> {
        redecide(&self.events, &elsewhere).unwrap()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.again(Says(Some(None))).into_iter().map(|redecided| redecided.outcome).collect()
    }

    /// The one difference there is.
    fn difference(&self) -> (Redecided, Difference) {
        let mut different = self.again(Says(Some(None)));
        different.retain(|redecided| redecided.outcome != Outcome::Same);
        let [Redecided { outcome: Outcome::Different(difference), .. }] = &different[..] else {
            panic!("{different:?}")
        };
        (different[0].clone(), (**difference).clone())
    }

    fn change(mut self, version: usize, event: Event) -> Self {
        self.events[version - 1].recorded.event = event::Event::Deposit(event);
        self
    }
}

fn block(height: u64) -> BlockRef {
    BlockRef { height, hash: Hash32([height as u8; 32]) }
}

fn detected() -> Detected {
    testing::detected(1, "0.05")
}

fn received() -> Life {
    let body = json!({ "block": block(7), "payments": 1 });
    let in_block = vec![detected().into(), Mined { block: block(7) }.into()];
    Life::default().stored("RecordBlock", body, in_block).deep(None)
}

#[test]
fn what_the_rules_decided_they_decide_again() {
    let hold = Command::Hold { reason: HoldReason::Operator { note: "look".into() } };
    let life = received().own(&hold).own(&Command::Release { note: "fine".into() }).decided();
    assert_eq!(life.outcomes(), vec![Outcome::Same; 5]);
    let again = life.again(Says(None));
    let named: Vec<_> = again.iter().map(|it| (it.version, it.command.as_deref().unwrap())).collect();
    assert_eq!(named, [(1, "RecordBlock"), (3, "RecordMaturity"), (5, "Hold"), (6, "Release"), (7, "Decide")]);
}

/// Also where the rules of today read the book as none, in the command and in the event.
#[test]
fn decisions_that_keep_an_order_book_are_decided_again_with_it() {
    let decide = include_str!("../upcast/golden/Decide.command.json");
    let intend = include_str!("../upcast/golden/IntendOrder.command.json");
    let [decided, intended] = [decide, intend].map(|stored| serde_json::from_str::<Command>(stored).unwrap());
    let mut life = received().own(&decided).own(&intended);
    let book = include_str!("../upcast/golden/OrderIntended.1.book.json").trim_end();
    let event::Event::Deposit(order) = &life.events[5].recorded.event else { panic!("it is one of a deposit") };
    assert_eq!(order.payload(), book);
    assert_eq!(life.outcomes(), vec![Outcome::Same; 4]);

    let without = Event::decode("OrderIntended", 1, include_str!("../upcast/golden/OrderIntended.1.json")).unwrap();
    let crossed = intend.replace("\"best_bid\":\"0.00188\"", "\"best_bid\":\"0.00189\"");
    life.events[5].asked = Some(Asked { name: "IntendOrder".into(), body: crossed });
    assert_eq!(life.difference().1.decided[0].kind, "OrderIntended", "the event has a book and the command none");
    assert_eq!(life.change(6, without).outcomes(), vec![Outcome::Same; 4]);
}

#[test]
fn the_scanners_commands_are_decided_by_what_they_told_the_deposit() {
    let replaced_by = Some(Hash32([9; 32]));
    let reorganised = json!({ "fork": block(6), "abandoned": block(7) });
    let orphaned = received().command("RecordReorganisation", reorganised, &Command::ObserveOrphaned);
    let gone = orphaned.command("RecordGone", json!({ "deposits": 1 }), &Command::ObserveVanished { replaced_by });
    assert_eq!(gone.outcomes(), vec![Outcome::Same; 4]);

    let seen = [Seen::Orphaned { above: 6 }, Seen::Mined { block: block(9) }];
    let life = received();
    let told = life.deposit.as_ref().unwrap().take_up(&seen).unwrap();
    assert_eq!(told.len(), 3, "undone, held and mined again");
    let life = life.stored("TakeUpSightings", json!({ "deposit": ID, "seen": seen }), told);
    assert_eq!(life.outcomes(), vec![Outcome::Same; 3]);
}

#[test]
fn a_sighting_is_a_fact_and_is_counted_as_such() {
    let outcomes = Life::seen().mined().deep(None).outcomes();
    let [Outcome::Undecidable { why }, Outcome::Same, Outcome::Same] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(why, "what was seen is a fact, and nothing was decided");
}

/// A body that says how the output was seen is held against what was made of it.
#[test]
fn a_sighting_with_its_output_is_decided_again() {
    let seen = |satoshis| {
        let body = observation::Sightings::of(vec![SeenOutput { output: detected().outpoint, satoshis }]);
        Life::default().stored("RecordSightings", json!(body), vec![detected().into()])
    };
    assert_eq!(seen(5_000_000).outcomes(), [Outcome::Same]);
    let (_, difference) = seen(4_000_000).difference();
    let field = difference.field.unwrap();
    assert_eq!((field.path.as_str(), field.after.unwrap()), ("amount", json!("0.04000000")));
    for nothing in [
        seen(0),
        seen(u64::MAX),
        Life::default().stored("RecordSightings", json!({ "outpoints": 1, "seen": [] }), vec![detected().into()]),
    ] {
        assert_eq!(nothing.difference().1.decided, []);
    }
}

/// A body that names what took the coins is believed, and not the event.
#[test]
fn what_took_the_coins_is_taken_from_the_command() {
    let by = Hash32([9; 32]);
    let gone = |replaced: Vec<Replaced>, recorded: Option<Hash32>| {
        let body = observation::Gone::of(1, replaced);
        Life::seen().stored("RecordGone", json!(body), vec![Vanished { replaced_by: recorded }.into()])
    };
    let told = vec![Replaced { deposit: ID, by }];
    assert_eq!(gone(told.clone(), Some(by)).outcomes().last(), Some(&Outcome::Same));
    assert_eq!(gone(vec![], None).outcomes().last(), Some(&Outcome::Same));
    for life in [gone(told, None), gone(vec![Replaced { deposit: EARLIER, by }], Some(by))] {
        assert!(matches!(life.outcomes().last(), Some(Outcome::Different(_))));
    }
}

/// So is one that names the earlier deposit, where the chain's stream is not at hand.
#[test]
fn coins_that_came_before_are_taken_from_the_command_of_a_part() {
    let deep = |told: Vec<CameBefore>, seen_before| {
        let body = observation::Maturity::of((block(7), block(8)), told);
        Life::seen().mined().command(
            "RecordMaturity",
            json!(body),
            &Command::ObserveMature { confirmations: 2, seen_before },
        )
    };
    let last = |life: &Life, says| life.again(says).pop().unwrap().outcome;
    let told = vec![CameBefore { deposit: ID, earlier: EARLIER }];
    assert_eq!(last(&deep(told.clone(), Some(EARLIER)), Says(None)), Outcome::Same);
    assert!(matches!(last(&deep(told.clone(), None), Says(None)), Outcome::Different(_)));
    assert!(matches!(last(&deep(vec![], Some(EARLIER)), Says(None)), Outcome::Different(_)));
    assert!(matches!(last(&deep(told, Some(EARLIER)), Says(Some(None))), Outcome::Different(_)), "the chain says no");
}

/// Whether coins came a second time is said by the chain's stream, and by the events where that is not at hand.
#[test]
fn coins_that_came_before_are_looked_up_in_the_rest_of_the_log() {
    let life = Life::seen().mined().deep(Some(EARLIER));
    let outcome = |says| life.again(says).pop().unwrap().outcome;
    assert_eq!([outcome(Says(None)), outcome(Says(Some(Some(EARLIER))))], [Outcome::Same, Outcome::Same]);
    let Outcome::Different(difference) = outcome(Says(Some(None))) else { panic!("the log says another thing") };
    assert_eq!((difference.index, difference.recorded.len(), difference.decided.len()), (2, 3, 2));
}

#[test]
fn a_changed_amount_is_told_with_its_field() {
    let owed = StatusWaitSend {
        basis: PayoutBasis::Direct { rate: "500".parse().unwrap() },
        amount: "25.001".parse().unwrap(),
        rounding: "0".parse().unwrap(),
    };
    let (redecided, difference) = received().decided().change(5, owed.into()).difference();
    assert_eq!((redecided.version, redecided.position, redecided.command.as_deref()), (5, 50, Some("Decide")));
    let field = difference.field.unwrap();
    assert_eq!(field.path, "amount");
    assert_eq!((field.before.unwrap(), field.after.unwrap()), (json!("25.001000"), json!("25.000000")));
    assert_eq!((difference.index, difference.forbidden), (0, None));
}

#[test]
fn another_kind_and_what_is_forbidden_today_are_told() {
    let held = Held { reason: HoldReason::BelowMinimum };
    let (_, difference) = received().decided().change(5, held.into()).difference();
    assert_eq!((difference.field, difference.decided[0].kind.as_str()), (None, "StatusWaitSend"));

    let released = received().stored(
        "Release",
        json!({ "Release": { "note": "go" } }),
        vec![Released { note: "go".into() }.into()],
    );
    let (_, difference) = released.difference();
    assert_eq!(difference.forbidden.as_deref(), Some("the deposit is not held"));
    assert_eq!((difference.recorded.len(), difference.decided.len()), (1, 0));
}

#[test]
fn what_an_older_schema_did_not_have_is_not_compared_and_the_rest_is() {
    let hold = Command::Hold { reason: HoldReason::Operator { note: "look".into() } };
    let due = Command::MarkRefundDue { note: "by hand".into() };
    let mut life = received().own(&hold).own(&due);
    let last = life.events.last_mut().unwrap();
    let (amount, note) = ("0.05".parse().unwrap(), String::new());
    last.recorded.event = event::Event::Deposit(RefundDue { amount, note }.into());
    let (_, difference) = life.difference();
    assert_eq!(difference.field.unwrap().path, "note", "as long as it is the newest schema");
    life.events.last_mut().unwrap().older = Some(json!({ "amount": "0.05000000" }));
    assert_eq!(life.outcomes(), vec![Outcome::Same; 4]);
    let (amount, note) = ("0.04".parse().unwrap(), String::new());
    let mut life = life.change(6, RefundDue { amount, note }.into());
    life.events.last_mut().unwrap().older = Some(json!({ "amount": "0.04000000" }));
    assert_eq!(life.difference().1.field.unwrap().path, "amount");
}

#[test]
fn what_cannot_be_decided_again_says_why() {
    let why = |life: &Life| match life.outcomes().pop().unwrap() {
        Outcome::Undecidable { why } => why,
        other => panic!("{other:?}"),
    };
    let mut life = received();
    life.events[3].asked = None;
    life.events[2].asked = None;
    assert_eq!(why(&life), "the log does not have the command");
    life.events[2].asked = Some(Asked { name: "RecordMaturity".into(), body: "{}".into() });
    assert!(why(&life).starts_with("the body of RecordMaturity cannot be read: missing field `block`"));
    life.events[2].asked = Some(Asked { name: "Dance".into(), body: r#""RecordSent""#.into() });
    assert_eq!(why(&life), "the body of Dance is one of RecordSent");
    life.events[2].asked = Some(Asked { name: "Dance".into(), body: r#"{"Dance":{}}"#.into() });
    assert!(why(&life).starts_with("the body of Dance cannot be read: unknown variant"), "it is of a newer version");
    let unreadable = Unreadable { kind: "Beamed".into(), schema: 1, payload: "{}".into(), why: "is unknown".into() };
    life.events[3].recorded.event = event::Event::Unreadable(unreadable);
    assert_eq!(why(&life), "is unknown");
    life.events.remove(0);
    assert_eq!(why(&life), "version 1 is missing, so it is not known where the deposit stood");
    assert_eq!(life.again(Says(None)).len(), 1, "nothing is known from there on");
}
