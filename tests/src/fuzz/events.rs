//! Events as the log stores them: what decodes is written and decoded as the same, and no history of them breaks a fold or
//! leaves a story without words.

use chrono::{DateTime, TimeDelta};
use millrace_model::chain::Chain;
use millrace_model::deposit::{Deposit, evolve};
use millrace_model::desk::{self, Desk};
use millrace_model::event::{Event, PAYLOAD_MAX_BYTES, Recorded};
use millrace_model::ids::{Category, CommandId, DepositId, StreamName};
use millrace_model::ledger::{Balances, Standing, Ticker, of_deposit, of_transfer};
use millrace_model::story::Story;
use millrace_model::subscription::{self, Subscription};
use millrace_model::wallet::Wallet;

/// More than any deposit has; the work is bounded by this.
const EVENTS_MAX: usize = 200;

/// Each line of the input is an event: `CATEGORY KIND SCHEMA PAYLOAD`. Together they are the history of one deposit, one
/// wallet, one chain and one desk.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut folded = Folded::default();
    for line in text.lines().take(EVENTS_MAX) {
        if let Some(event) = event(line) {
            folded.take_in(&event);
        }
        if let Ok(name) = line.parse::<StreamName>() {
            assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
        }
    }
    is_told(&folded.lived);
}

/// Whatever happened to a deposit has a sentence of its own.
fn is_told(lived: &[Recorded]) {
    if lived.is_empty() {
        return;
    }
    let story = Story::of(lived).unwrap_or_else(|untold| panic!("{untold}: {lived:?}"));
    assert_eq!(story.steps.len(), lived.len());
    let sentences = story.steps.iter().map(|step| &step.sentence).chain([&story.stands.sentence]);
    sentences.for_each(|sentence| assert!(!sentence.trim().is_empty(), "{lived:?}"));
}

/// The next event of a deposit, as the log would hold it.
fn recorded(event: &millrace_model::deposit::Event, version: u64) -> Recorded {
    Recorded {
        position: version,
        stream: StreamName::Deposit(DepositId(uuid::Uuid::nil())),
        version,
        event: Event::Deposit(event.clone()),
        causation: None,
        correlation: None,
        command_id: CommandId([0; 16]),
        recorded_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(version as i64),
    }
}

fn event(line: &str) -> Option<Event> {
    let mut parts = line.splitn(4, ' ');
    let category = category(parts.next()?)?;
    let (kind, schema, payload) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    match Event::decode(category, kind, schema, payload) {
        Ok(event) => {
            same_again(&event, category);
            Some(event)
        }
        Err(error) => {
            // It quotes what it cannot read; it is the log of lines that makes one harmless line of it.
            assert!(!error.to_string().trim().is_empty());
            None
        }
    }
}

fn category(word: &str) -> Option<Category> {
    Some(match word {
        "deposit" => Category::Deposit,
        "binding" => Category::Binding,
        "address_book" => Category::AddressBook,
        "chain" => Category::Chain,
        "wallet" => Category::Wallet,
        "desk" => Category::Desk,
        _ => return None,
    })
}

fn same_again(event: &Event, category: Category) {
    assert_eq!(event.category(), category);
    let payload = event.payload();
    // What is larger is refused when it is to be stored.
    if payload.len() <= PAYLOAD_MAX_BYTES {
        let again = Event::decode(category, event.kind(), event.schema(), &payload);
        let again = again.unwrap_or_else(|error| panic!("{payload} is not read back: {error}"));
        assert_eq!(again, *event);
        assert_eq!(again.payload(), payload, "one spelling");
    }
}

#[derive(Default)]
struct Folded {
    deposit: Option<Deposit>,
    chain: Chain,
    wallet: Wallet,
    desk: Desk,
    subscription: Option<Subscription>,
    balances: Balances,
    /// What happened to the deposit since it was detected.
    lived: Vec<Recorded>,
}

impl Folded {
    fn take_in(&mut self, event: &Event) {
        match event {
            Event::Deposit(event) => self.take_in_deposit(event),
            Event::Chain(event) => self.chain = std::mem::take(&mut self.chain).evolve(event),
            Event::Wallet(event) => self.wallet = std::mem::take(&mut self.wallet).evolve(event),
            Event::Desk(event) => {
                self.desk = std::mem::take(&mut self.desk).evolve(event);
                if let desk::Event::TransferDeclared(transfer) = event {
                    self.balances.post(&of_transfer(transfer));
                }
            }
            Event::Subscription(event) => {
                let before = self.subscription.take();
                self.subscription = subscription::evolve(before.clone(), event).or(before);
            }
            Event::Binding(_) | Event::AddressBook(_) | Event::Unreadable(_) => {}
        }
        assert_eq!((self.balances.sum(Ticker::Btc), self.balances.sum(Ticker::Sky)), (0, 0), "after {event:?}");
    }

    fn take_in_deposit(&mut self, event: &millrace_model::deposit::Event) {
        let before = self.deposit.as_ref().map(Standing::of);
        self.deposit = evolve(self.deposit.take(), event);
        if self.deposit.is_some() {
            self.lived.push(recorded(event, self.lived.len() as u64 + 1));
        }
        if let (Some(before), Some(after)) = (before, &self.deposit) {
            self.balances.post(&of_deposit(&before, event, after));
            if let Some(purchase) = &after.purchase {
                assert!(purchase.spent() <= purchase.budget(), "more is spent than may be: {purchase:?}");
            }
        }
    }
}
