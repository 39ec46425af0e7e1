//! An order as the exchange shows it.

use millrace_model::money::{Amount, Btc, Sky};
pub use millrace_model::purchase::Side;
use millrace_model::purchase::{OrderObservation, OrderState, Price};

use super::fields::{DecodeError, Object, Value};

/// Where an order is, in the exchange's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 1: taken, not yet in the book.
    Pending,
    /// 2: in the book.
    Active,
    /// 3: in the book, filled in part.
    PartiallyCompleted,
    /// 4: filled.
    Completed,
    /// 5: cancelled, perhaps after fills.
    Cancelled,
    /// 6: ended by an error.
    Errored,
    /// 7: put aside, as happens to orders without funds.
    Suspended,
    /// 8: waits for its trigger price.
    TriggerPending,
    /// 9: waits for its stop price.
    StopLossPending,
    /// 11: ended by its time.
    Expired,
    /// 12: being cancelled.
    Cancelling,
    /// A number that was never documented.
    Unrecognised(i64),
}

impl Status {
    /// Every documented status.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Active,
        Self::PartiallyCompleted,
        Self::Completed,
        Self::Cancelled,
        Self::Errored,
        Self::Suspended,
        Self::TriggerPending,
        Self::StopLossPending,
        Self::Expired,
        Self::Cancelling,
    ];

    /// The number on the wire.
    pub const fn code(self) -> i64 {
        match self {
            Self::Pending => 1,
            Self::Active => 2,
            Self::PartiallyCompleted => 3,
            Self::Completed => 4,
            Self::Cancelled => 5,
            Self::Errored => 6,
            Self::Suspended => 7,
            Self::TriggerPending => 8,
            Self::StopLossPending => 9,
            Self::Expired => 11,
            Self::Cancelling => 12,
            Self::Unrecognised(code) => code,
        }
    }

    /// The status of a number on the wire.
    pub fn from_code(code: i64) -> Self {
        Self::ALL.into_iter().find(|status| status.code() == code).unwrap_or(Self::Unrecognised(code))
    }

    /// The same in words that fit any exchange.
    pub const fn state(self) -> OrderState {
        match self {
            Self::Pending | Self::TriggerPending | Self::StopLossPending => OrderState::Pending,
            Self::Active | Self::PartiallyCompleted => OrderState::Open,
            Self::Completed => OrderState::Filled,
            Self::Cancelled => OrderState::Cancelled,
            Self::Errored => OrderState::Failed,
            Self::Suspended => OrderState::Suspended,
            Self::Expired => OrderState::Expired,
            Self::Cancelling => OrderState::Cancelling,
            Self::Unrecognised(_) => OrderState::Unknown,
        }
    }
}

/// An order as the exchange shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The exchange's number for it.
    pub order_id: u64,
    /// The id we gave it, as the exchange shows it.
    pub cid: Option<String>,
    /// Which way it goes.
    pub side: Side,
    /// Where it is.
    pub status: Status,
    /// Its limit; for a market order to buy, the BTC to spend.
    pub price: Option<Price>,
    /// How much was ordered.
    pub quantity: Amount<Sky>,
    /// How much was filled; digits beyond a droplet are cut off.
    pub completed: Amount<Sky>,
    /// The average price of the fills, rounded by the exchange.
    pub avg_price: Option<Price>,
    /// What was charged, in BTC, rounded up.
    pub fee: Amount<Btc>,
    /// When it was taken, Unix milliseconds.
    pub created_ms: Option<u64>,
    /// When it ended, Unix milliseconds.
    pub completed_ms: Option<u64>,
}

impl Order {
    /// What of the order matters to a purchase.
    pub fn observation(&self) -> OrderObservation {
        OrderObservation {
            completed: self.completed,
            avg_price: self.avg_price,
            fee: self.fee,
            state: self.status.state(),
        }
    }

    pub(super) fn decode(value: &Value<'_>) -> Result<Self, DecodeError> {
        let fields = value.object()?;
        let side = fields.get("type")?;
        Ok(Self {
            order_id: fields.get("orderId")?.unsigned()?,
            cid: present(&fields, "cid").map(|cid| cid.text()).transpose()?,
            side: Side::from_word(&side.text()?).ok_or_else(|| side.wrong("neither buy nor sell"))?,
            status: Status::from_code(fields.get("status")?.integer()?),
            price: fields.get("price")?.price()?,
            quantity: fields.get("amount")?.amount_floor()?,
            completed: or_zero(&fields, "completedAmount", Value::amount_floor)?,
            avg_price: present(&fields, "avgPrice").map(|price| price.price()).transpose()?.flatten(),
            fee: or_zero(&fields, "fee", Value::amount_ceil)?,
            created_ms: present(&fields, "createDate").map(|time| time.unsigned()).transpose()?,
            completed_ms: present(&fields, "completeDate").map(|time| time.unsigned()).transpose()?,
        })
    }
}

fn present<'a>(fields: &Object<'a>, name: &str) -> Option<Value<'a>> {
    fields.find(name).filter(|value| !value.is_null())
}

/// A field that must be there; null, which the exchange writes before the first fill, stands for zero.
fn or_zero<'a, T: Default>(
    fields: &Object<'a>,
    name: &str,
    read: impl FnOnce(&Value<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let value = fields.get(name)?;
    if value.is_null() { Ok(T::default()) } else { read(&value) }
}
