//! Which number of an address comes next, by the log.

use millrace_model::address_book::AddressBook;
use millrace_model::event::Event;
use millrace_model::ids::StreamName;

use super::REQUESTS_MAX;
use crate::brakes;
use crate::event_store::{ReadError, Reader};

/// How many events of the book are read to find the next number. Appends overtake each other, so the newest event need
/// not hold the highest number; but never by more than what is under way at once.
const BOOK_TAIL: u64 = 4 * REQUESTS_MAX as u64;

/// The lowest number that the log does not know of, and that no life which the log has forgotten may have given out.
pub(crate) fn next_index(reader: &Reader) -> Result<u32, ReadError> {
    let end = reader.last_of(&StreamName::AddressBook, BOOK_TAIL)?;
    let book = end.iter().fold(AddressBook::default(), |book, recorded| match &recorded.event {
        Event::AddressBook(event) => book.evolve(event),
        Event::Deposit(_)
        | Event::Binding(_)
        | Event::Chain(_)
        | Event::Wallet(_)
        | Event::Desk(_)
        | Event::Subscription(_)
        | Event::Unreadable(_) => book,
    });
    Ok(book.next_index().max(brakes::desk(reader)?.free_index()))
}
