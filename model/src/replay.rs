//! Any stream stepped through: the state that its events fold to, as JSON, and who asked for an event.

mod difference;
mod moment;

use serde::Serialize;
use serde_json::{Value, json};

use crate::address_book::AddressBook;
use crate::chain::Chain;
use crate::deposit::{self, Deposit, HoldReason, evolve};
use crate::desk::{self, Desk, HaltCause};
use crate::event::Event;
use crate::ids::Category;
use crate::operator::{Action, By};
use crate::subscription::{self, Subscription};
use crate::wallet::Wallet;

pub use difference::{Field, fields};
pub use moment::{Moment, NoMoment, Until, moment};

/// What the events of a stream have come to so far.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Of a deposit; `None` before it was detected.
    Deposit(Option<Box<Deposit>>),
    /// Of a deposit address: it is bound once, for ever, and its one event says all.
    Binding,
    /// Of the pool of addresses.
    AddressBook(AddressBook),
    /// Of our reading of the Bitcoin chain.
    Chain(Box<Chain>),
    /// Of the hot wallet.
    Wallet(Wallet),
    /// Of the desk as a whole.
    Desk(Box<Desk>),
    /// Of a subscription; `None` before it began.
    Subscription(Option<Box<Subscription>>),
}

/// Why a state cannot be taken further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The event cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The event cannot be where it is.
    #[error("{0} is no event of this stream")]
    Foreign(String),
}

impl State {
    /// The state before the first event of a stream of this kind.
    pub fn before_all(category: Category) -> Self {
        match category {
            Category::Deposit => Self::Deposit(None),
            Category::Binding => Self::Binding,
            Category::AddressBook => Self::AddressBook(AddressBook::default()),
            Category::Chain => Self::Chain(Box::default()),
            Category::Wallet => Self::Wallet(Wallet::default()),
            Category::Desk => Self::Desk(Box::default()),
            Category::Subscription => Self::Subscription(None),
        }
    }

    /// The state after one more event.
    pub fn after(self, event: &Event) -> Result<Self, Stuck> {
        let foreign = || Stuck::Foreign(event.kind().to_owned());
        match (event, self) {
            (Event::Deposit(event), Self::Deposit(before)) => {
                let after = evolve(before.map(|deposit| *deposit), event).ok_or_else(foreign)?;
                Ok(Self::Deposit(Some(Box::new(after))))
            }
            (Event::Binding(_), Self::Binding) => Ok(Self::Binding),
            (Event::AddressBook(event), Self::AddressBook(book)) => Ok(Self::AddressBook(book.evolve(event))),
            (Event::Chain(event), Self::Chain(chain)) => Ok(Self::Chain(Box::new(chain.evolve(event)))),
            (Event::Wallet(event), Self::Wallet(wallet)) => Ok(Self::Wallet(wallet.evolve(event))),
            (Event::Desk(event), Self::Desk(desk)) => Ok(Self::Desk(Box::new(desk.evolve(event)))),
            (Event::Subscription(event), Self::Subscription(before)) => {
                let after = subscription::evolve(before.map(|before| *before), event).ok_or_else(foreign)?;
                Ok(Self::Subscription(Some(Box::new(after))))
            }
            (Event::Unreadable(unreadable), _) => Err(Stuck::Unreadable(unreadable.why.clone())),
            (_, _) => Err(foreign()),
        }
    }

    /// The state as JSON; null where nothing is folded, or nothing is there yet.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Deposit(deposit) => value(deposit),
            Self::Binding => Value::Null,
            Self::AddressBook(book) => value(book),
            // Without the hundreds of blocks behind the cursor, which are in the events.
            Self::Chain(chain) => json!({
                "cursor": chain.cursor(),
                "blocks_at_hand": chain.recent().len(),
                "remembered": chain.remembered(),
                "set_aside": chain.set_aside(),
            }),
            Self::Wallet(wallet) => value(wallet),
            Self::Desk(desk) => value(desk),
            Self::Subscription(subscription) => value(subscription),
        }
    }
}

fn value(state: &impl Serialize) -> Value {
    serde_json::to_value(state).expect("states have text keys")
}

/// On whose behalf something was asked for. Which operator, the command says ([`By::of`]); his note is in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// Somebody who wanted a deposit address.
    Customer,
    /// An operator.
    Operator,
    /// The desk itself, upon what it saw of the world.
    Desk,
}

impl Asker {
    /// The word in texts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "a customer",
            Self::Operator => "an operator",
            Self::Desk => "the desk",
        }
    }

    /// The same, by name where the command says by whom it was given.
    pub fn words(self, by: Option<&By>) -> String {
        by.map_or_else(|| self.as_str().to_owned(), By::to_string)
    }

    /// Who asked for an event that this command led to.
    pub fn of(command: Option<&str>, event: &Event) -> Self {
        match (command.unwrap_or_default(), event) {
            ("BindAddress", _) => Self::Customer,
            ("Release" | "MarkRefundDue" | "MarkRefunded" | "SetSwitch" | "DeclareTransfer" | "Resume", _) => {
                Self::Operator
            }
            (_, Event::Desk(desk::Event::OperatorActed(acted))) if acted.action != Action::LockOut => Self::Operator,
            (_, Event::Deposit(deposit::Event::Held(held))) if matches!(held.reason, HoldReason::Operator { .. }) => {
                Self::Operator
            }
            (_, Event::Desk(desk::Event::Halted(halted))) if matches!(halted.cause, HaltCause::Operator { .. }) => {
                Self::Operator
            }
            (_, _) => Self::Desk,
        }
    }
}

#[cfg(test)]
mod tests;
