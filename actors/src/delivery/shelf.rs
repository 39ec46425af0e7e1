//! Where notifications come from, and the pages that were read lately: endpoints read about the same at about the same time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::future::BoxFuture;
use millrace_protocols::delivery::cursor::Position;
use tokio::sync::watch;

use super::endpoint::Outgoing;

/// How many notifications are read at once, unless their source says otherwise.
pub(super) const PAGE_ITEMS: usize = 128;
/// How much is kept, in bytes of bodies.
const KEPT_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// How many pages are kept: while notifications come one by one, a page has one.
const KEPT_PAGES_MAX: usize = 8_192;

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
#[error("notifications cannot be read: {0}")]
pub struct SourceError(pub String);

/// The log of notifications.
pub trait Source: Send + Sync + 'static {
    /// The last position there is, as it changes.
    fn head(&self) -> watch::Receiver<Position>;

    /// How many are read at once: fewer where they are large.
    fn page_items(&self) -> usize {
        PAGE_ITEMS
    }

    /// Up to `limit` notifications after a position, in their order. Fewer only when there are no more.
    fn after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Outgoing>, SourceError>>;
}

/// What was read after a position, up to another.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) after: Position,
    pub(super) through: Position,
    pub(super) items: Vec<Arc<Outgoing>>,
}

impl Page {
    /// Reads what comes after a position, where `head` is the last there is.
    pub(super) async fn read(source: &dyn Source, after: Position, head: Position) -> Result<Self, SourceError> {
        let limit = source.page_items();
        let items: Vec<_> = source.after(after, limit).await?.into_iter().map(Arc::new).collect();
        let last = items.last().map(|item| item.position);
        let through = if items.len() < limit { last.max(Some(head)) } else { last };
        Ok(Self { after, through: through.unwrap_or(head), items })
    }

    fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.body.len()).sum()
    }
}

/// The pages read lately.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pages: BTreeMap<Position, Page>,
    order: VecDeque<Position>,
    bytes: usize,
}

impl Shelf {
    pub(super) fn put(&mut self, page: Page) {
        self.bytes += page.bytes();
        self.order.push_back(page.after);
        if let Some(replaced) = self.pages.insert(page.after, page) {
            self.bytes -= replaced.bytes();
            let before = self.order.iter().position(|after| *after == replaced.after);
            self.order.remove(before.expect("a page has its place in the order"));
        }
        while (self.bytes > KEPT_BYTES_MAX || self.pages.len() > KEPT_PAGES_MAX) && self.pages.len() > 1 {
            let oldest = self.order.pop_front().expect("there are pages");
            self.bytes -= self.pages.remove(&oldest).map_or(0, |page| page.bytes());
        }
    }

    /// The page that tells what comes after a position, and from which of its items on.
    pub(super) fn after(&self, position: Position) -> Option<(&Page, &[Arc<Outgoing>])> {
        let (_, page) = self.pages.range(..=position).next_back()?;
        let first = page.items.partition_point(|item| item.position <= position);
        (position < page.through).then(|| (page, &page.items[first..]))
    }

    /// One notification.
    pub(super) fn at(&self, position: Position) -> Option<Arc<Outgoing>> {
        let (_, items) = self.after(position.checked_sub(1)?)?;
        items.first().filter(|item| item.position == position).cloned()
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;
    use uuid::Uuid;

    use super::*;

    fn page(after: Position, through: Position, positions: &[Position], bytes: usize) -> Page {
        let item = |position: &Position| Outgoing {
            position: *position,
            id: Uuid::nil(),
            key: None,
            kind: Arc::from("k"),
            customer: None,
            about: None,
            body: Bytes::from(vec![0; bytes]),
            recorded_ms: None,
        };
        Page { after, through, items: positions.iter().map(item).map(Arc::new).collect() }
    }

    fn positions(shelf: &Shelf, after: Position) -> Option<Vec<Position>> {
        shelf.after(after).map(|(_, items)| items.iter().map(|item| item.position).collect())
    }

    #[test]
    fn a_page_tells_what_comes_after_any_position_in_it() {
        let mut shelf = Shelf::default();
        shelf.put(page(10, 20, &[12, 15, 20], 1));
        assert_eq!(positions(&shelf, 10), Some(vec![12, 15, 20]));
        assert_eq!(positions(&shelf, 13), Some(vec![15, 20]));
        assert_eq!((positions(&shelf, 9), positions(&shelf, 20)), (None, None));
        assert_eq!(shelf.at(15).map(|item| item.position), Some(15));
        assert!(shelf.at(14).is_none() && shelf.at(21).is_none());
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        let mut shelf = Shelf::default();
        for number in 0..10 {
            shelf.put(page(number * 10, number * 10 + 10, &[number * 10 + 1], KEPT_BYTES_MAX / 4));
        }
        assert!(shelf.bytes <= KEPT_BYTES_MAX);
        assert_eq!((positions(&shelf, 0), positions(&shelf, 90)), (None, Some(vec![91])));
    }

    #[test]
    fn a_page_read_again_takes_the_place_of_the_one_before() {
        let mut shelf = Shelf::default();
        shelf.put(page(0, 1, &[1], 5));
        shelf.put(page(0, 2, &[1, 2], 5));
        assert_eq!((positions(&shelf, 0), shelf.bytes, shelf.order.len()), (Some(vec![1, 2]), 10, 1));
    }
}
