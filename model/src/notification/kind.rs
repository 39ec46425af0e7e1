//! The catalogue: every type of notification there is, by its name.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{example, schema};
use crate::ledger::Ticker;

/// A type of notification.
///
/// The nine of deposits and withdrawals are the names that the bridge's customers were promised; a payout is called a
/// withdrawal. Those of subscriptions are for their owners, those of the desk for operators. What has no source in the log has no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotificationType {
    /// A deposit is in no block: it was just seen, or a reorganisation took its block.
    DepositPending,
    /// A deposit is in a block, and not deep enough.
    DepositWaitForConfirmation,
    /// A deposit is received.
    DepositConfirmed,
    /// A deposit ended, and nothing was decided to be paid out for it.
    DepositFailed,
    /// A payout is owed, and waits for its turn.
    WithdrawalAddedToQueue,
    /// A payout is signed: these bytes and no others.
    WithdrawalInConsensus,
    /// The network has a payout, and it is not final.
    WithdrawalSubmitted,
    /// A payout that was owed is not made.
    WithdrawalFailed,
    /// A payout is final.
    WithdrawalConfirmed,
    /// A subscription of the customer is not served any more.
    SubscriptionDisabled,
    /// The desk is halted.
    DeskHalted,
    /// The desk goes on.
    DeskResumed,
    /// A webhook of an operator cannot be delivered to.
    DeskWebhookDisabled,
    /// A part of the desk, or what it depends on, is down.
    DeskPartDown,
    /// It is up again.
    DeskPartUp,
    /// The hot wallet or the exchange account holds too little.
    DeskBalanceLow,
    /// It holds enough again.
    DeskBalanceRestored,
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceType {
    /// Coins that came in.
    Deposit,
    /// Coins that go out for them.
    Withdrawal,
    /// Where a customer is told.
    Subscription,
    /// The desk as a whole.
    Desk,
}

/// Whom a notification is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// The customer whose deposit or subscription it is, and operators.
    Customer,
    /// Operators alone.
    Operator,
}

impl ResourceType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Deposit, Self::Withdrawal, Self::Subscription, Self::Desk];

    /// The word in notifications and in the history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Subscription => "subscription",
            Self::Desk => "desk",
        }
    }

    /// The coins that it counts.
    pub const fn coin(self) -> Option<Ticker> {
        match self {
            Self::Deposit => Some(Ticker::Btc),
            Self::Withdrawal => Some(Ticker::Sky),
            Self::Subscription | Self::Desk => None,
        }
    }

    /// What the names of its types begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Deposit => "Deposit",
            Self::Withdrawal => "Withdrawal",
            Self::Subscription => "Subscription",
            Self::Desk => "Desk",
        }
    }

    /// The one of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == word)
    }
}

impl NotificationType {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::DepositPending,
        Self::DepositWaitForConfirmation,
        Self::DepositConfirmed,
        Self::DepositFailed,
        Self::WithdrawalAddedToQueue,
        Self::WithdrawalInConsensus,
        Self::WithdrawalSubmitted,
        Self::WithdrawalFailed,
        Self::WithdrawalConfirmed,
        Self::SubscriptionDisabled,
        Self::DeskHalted,
        Self::DeskResumed,
        Self::DeskWebhookDisabled,
        Self::DeskPartDown,
        Self::DeskPartUp,
        Self::DeskBalanceLow,
        Self::DeskBalanceRestored,
    ];

    /// Its name. Never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DepositPending => "Deposit.Pending",
            Self::DepositWaitForConfirmation => "Deposit.Wait_For_Confirmation",
            Self::DepositConfirmed => "Deposit.Confirmed",
            Self::DepositFailed => "Deposit.Failed",
            Self::WithdrawalAddedToQueue => "Withdrawal.Added_To_Queue",
            Self::WithdrawalInConsensus => "Withdrawal.In_Consensus",
            Self::WithdrawalSubmitted => "Withdrawal.Submitted",
            Self::WithdrawalFailed => "Withdrawal.Failed",
            Self::WithdrawalConfirmed => "Withdrawal.Confirmed",
            Self::SubscriptionDisabled => "Subscription.Disabled",
            Self::DeskHalted => "Desk.Halted",
            Self::DeskResumed => "Desk.Resumed",
            Self::DeskWebhookDisabled => "Desk.Webhook_Disabled",
            Self::DeskPartDown => "Desk.Part_Down",
            Self::DeskPartUp => "Desk.Part_Up",
            Self::DeskBalanceLow => "Desk.Balance_Low",
            Self::DeskBalanceRestored => "Desk.Balance_Restored",
        }
    }

    /// What it says, for whoever chooses what to be told.
    pub const fn description(self) -> &'static str {
        match self {
            Self::DepositPending => {
                "A transaction that pays a deposit address was seen and is in no block; told again when a reorganisation \
                 took the block that it was in."
            }
            Self::DepositWaitForConfirmation => {
                "The transaction is in a block and not deep enough; told again for every other block that it comes to be in."
            }
            Self::DepositConfirmed => {
                "The deposit is deep enough and received; told again when it is deep enough after a reorganisation."
            }
            Self::DepositFailed => {
                "The deposit ended and no payout was decided for it, or its coins went elsewhere after it was paid; told \
                 again, with the transaction, when it was paid back."
            }
            Self::WithdrawalAddedToQueue => {
                "It is decided how much is paid out; told again when a payout that was signed can never confirm."
            }
            Self::WithdrawalInConsensus => "The payout is signed; from here on its transaction is known.",
            Self::WithdrawalSubmitted => {
                "The network took the payout; told again when a reorganisation took the block that it was in."
            }
            Self::WithdrawalFailed => {
                "A payout that was decided on is not made; told again, with the transaction, when the deposit was paid back."
            }
            Self::WithdrawalConfirmed => "The payout is final.",
            Self::SubscriptionDisabled => {
                "A subscription of the customer cannot be delivered to, or its receiver stopped proving itself; nothing is sent \
                 there until it is subscribed again. Told to the customer's other subscriptions."
            }
            Self::DeskHalted => "No order and no payout goes out until an operator resumes.",
            Self::DeskResumed => "An operator lets orders and payouts go out again.",
            Self::DeskWebhookDisabled => {
                "A webhook of an operator cannot be delivered to; nothing is sent there until it is resumed. Of customers' \
                 own subscriptions Subscription.Disabled is told."
            }
            Self::DeskPartDown => {
                "A part of the desk, or a node or exchange it depends on, has been failing for longer than is borne."
            }
            Self::DeskPartUp => "What was told to be down has been well for a while.",
            Self::DeskBalanceLow => "The hot wallet or the exchange account holds less than the operator wants there.",
            Self::DeskBalanceRestored => "What was told to be low is well above what the operator wants there.",
        }
    }

    /// What it is about.
    pub const fn resource(self) -> ResourceType {
        match self {
            Self::DepositPending | Self::DepositWaitForConfirmation | Self::DepositConfirmed | Self::DepositFailed => {
                ResourceType::Deposit
            }
            Self::WithdrawalAddedToQueue
            | Self::WithdrawalInConsensus
            | Self::WithdrawalSubmitted
            | Self::WithdrawalFailed
            | Self::WithdrawalConfirmed => ResourceType::Withdrawal,
            Self::SubscriptionDisabled => ResourceType::Subscription,
            Self::DeskHalted
            | Self::DeskResumed
            | Self::DeskWebhookDisabled
            | Self::DeskPartDown
            | Self::DeskPartUp
            | Self::DeskBalanceLow
            | Self::DeskBalanceRestored => ResourceType::Desk,
        }
    }

    /// Whom it is for.
    pub const fn audience(self) -> Audience {
        match self.resource() {
            ResourceType::Deposit | ResourceType::Withdrawal | ResourceType::Subscription => Audience::Customer,
            ResourceType::Desk => Audience::Operator,
        }
    }

    /// What the body of such a notification looks like, as JSON Schema (2020-12).
    pub fn schema(self) -> Value {
        schema::of(self)
    }

    /// The body of one, as it is sent.
    pub fn example(self) -> Value {
        example::of(self)
    }

    /// The body of one that tells of nothing, to try a receiver out: the example under an id and a time of its own, and with
    /// the field `simulation`, which no other has.
    pub fn simulation(self, id: Uuid, at: DateTime<Utc>) -> String {
        let mut body = self.example();
        body["id"] = json!(id);
        body["create_time"] = json!(at);
        body["simulation"] = json!(true);
        body.to_string()
    }

    /// The one of this name, exactly.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for NotificationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for NotificationType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for NotificationType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom(super::pattern::UnknownPattern::of(&name)))
    }
}
