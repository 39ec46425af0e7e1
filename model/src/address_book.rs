//! Which deposit addresses were given out. One owner claims the next number; a number is never given out twice.

use serde::{Deserialize, Serialize};

crate::event::events! {
    /// An event of the address book.
    pub enum Event {
        /// The address with this number was given out.
        AddressIssued = 1,
    }
}

/// See [`Event::AddressIssued`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressIssued {
    /// The address's number: its index on the receive chain, or its line in the imported list.
    pub index: u32,
}

/// Which numbers are taken: all below [`AddressBook::next_index`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressBook {
    next_index: u32,
}

impl AddressBook {
    /// The lowest number that was never given out, nor any above it.
    pub fn next_index(&self) -> u32 {
        self.next_index
    }

    /// The state after one more event.
    pub fn evolve(self, event: &Event) -> Self {
        match event {
            Event::AddressIssued(issued) => Self { next_index: self.next_index.max(issued.index + 1) },
        }
    }
}
