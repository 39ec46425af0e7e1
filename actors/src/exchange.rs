//! The exchange as the actors see it, and the real one: C2CX over HTTP.
//!
//! One call is one request. Nothing is ever sent twice here: whoever asked decides, by what the answer says, whether the
//! same request may be repeated.

mod http;
mod pace;

use futures::future::BoxFuture;
use millrace_model::purchase::OrderIntent;
use millrace_protocols::book::Book;
use millrace_protocols::wire::c2cx::{Balances, CallError, Order, Page, StatusFilter};

pub use http::{HttpC2cx, Settings};
pub use pace::RequestsPerMinute;

/// An exchange's answer, later.
///
/// [`CallError::Refused`] is the exchange's own word that it did not act. [`CallError::Unavailable`] and
/// [`CallError::Malformed`] say nothing about that: the outcome is **unknown**.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// An account at an exchange, on the market where SKY is bought with BTC.
pub trait Exchange: Send + Sync {
    /// Who sells and who buys.
    fn book(&self) -> Reply<'_, Book>;
    /// What the account has.
    fn balances(&self) -> Reply<'_, Balances>;
    /// Sends an order to buy; the exchange's number for it. The same intention always makes the same request.
    fn place<'a>(&'a self, order: &'a OrderIntent) -> Reply<'a, u64>;
    /// Reads one order.
    fn order(&self, order_id: u64) -> Reply<'_, Order>;
    /// A page, from 1, of all orders that ever were, or of those of one status; the exchange may mix in others.
    fn orders(&self, which: StatusFilter, page: u32) -> Reply<'_, Page>;
    /// Asks for an order to be cancelled.
    fn cancel(&self, order_id: u64) -> Reply<'_, ()>;
}
