//! A deposit address and whom it belongs to. One stream an address; bound once, for ever.

use serde::{Deserialize, Serialize};

use crate::deposit::Customer;

crate::event::events! {
    /// An event of a deposit address.
    pub enum Event {
        /// The address was given to a customer.
        Bound = 1,
    }
}

/// See [`Event::Bound`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The deposit address.
    pub address: String,
    /// Its number in the pool it came from.
    pub index: u32,
    /// Whom it belongs to.
    pub customer: Customer,
}
