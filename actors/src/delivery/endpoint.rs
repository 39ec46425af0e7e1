//! An endpoint as its owner wants it, and a notification as it is sent.

use std::sync::Arc;

use hyper::body::Bytes;
use millrace_protocols::delivery::cursor::{OrderKey, Position};
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::webhook::sign::Signer;
use uuid::Uuid;

use super::sinks::destination::Destination;

/// A notification.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its place in the log.
    pub position: Position,
    /// Its id, the same at every endpoint and over all attempts.
    pub id: Uuid,
    /// What those of one deposit have in common.
    pub key: Option<OrderKey>,
    /// What it tells, for filters: `deposit.confirmed`.
    pub kind: Arc<str>,
    /// Whose it is, for filters.
    pub customer: Option<Arc<str>>,
    /// The subscription that it is about, which is not told of itself.
    pub about: Option<Uuid>,
    /// What is signed and sent.
    pub body: Bytes,
    /// When the event that it tells of was committed, in milliseconds since 1970; nothing where that is not known.
    pub recorded_ms: Option<u64>,
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its subscription's id.
    pub id: Uuid,
    /// Where it is.
    pub destination: Destination,
    /// What signs for it.
    pub signer: Signer,
    /// How it wants to be served.
    pub terms: Terms,
    /// What it wants to hear of.
    pub filter: Filter,
    /// What its bodies are.
    pub content: Content,
    /// Whether it is served.
    pub service: Service,
    /// When it is new: the last notification that it does not get.
    pub begins_after: Position,
    /// What the event log says of it.
    pub told: Told,
}

/// What the event log says of an endpoint, so that nothing of it is lost when the process ends before it is followed, and
/// nothing is followed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// The position of its newest event.
    pub through: Position,
    /// The position of the newest one that had it served again.
    pub resumed_at: Option<Position>,
    /// The newest one that moved its cursor.
    pub moved: Option<Moved>,
}

/// A cursor that was moved; what is owed stays owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The position of the event that says so.
    pub at: Position,
    /// The last notification that the endpoint does not get again.
    pub after: Position,
}

impl Told {
    /// Whether it was resumed after a position.
    pub(super) fn is_resumed_after(&self, applied: Position) -> bool {
        self.resumed_at.is_some_and(|at| at > applied)
    }

    /// Where its cursor was moved to after a position.
    pub(super) fn moved_after(&self, applied: Position) -> Option<Position> {
        self.moved.filter(|moved| moved.at > applied).map(|moved| moved.after)
    }
}

/// Whether an endpoint is served, as far as its owner is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Service {
    /// It is.
    #[default]
    Running,
    /// Not for now.
    Paused,
}

/// What the header `Content-Type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// `application/json`.
    #[default]
    Json,
    /// `text/plain`, as ton.events has it.
    Text,
}

/// What an endpoint wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Kinds: a name, all below a name (`deposit.*`), or all (`*`). Without any, all.
    pub kinds: Vec<String>,
    /// Of this customer alone.
    pub customer: Option<String>,
    /// The subscription itself: what is about it is for others.
    pub oneself: Option<Uuid>,
}

impl Filter {
    /// Whether the endpoint wants this one.
    pub fn wants(&self, outgoing: &Outgoing) -> bool {
        let is_his = self.customer.as_deref().is_none_or(|customer| outgoing.customer.as_deref() == Some(customer));
        let is_about_itself = outgoing.about.is_some() && outgoing.about == self.oneself;
        is_his
            && !is_about_itself
            && (self.kinds.is_empty() || self.kinds.iter().any(|pattern| is_of(&outgoing.kind, pattern)))
    }
}

fn is_of(kind: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => kind == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, customer: Option<&str>) -> Outgoing {
        let (kind, customer) = (Arc::from(kind), customer.map(Arc::from));
        Outgoing {
            position: 1,
            id: Uuid::nil(),
            key: None,
            kind,
            customer,
            about: None,
            body: Bytes::new(),
            recorded_ms: None,
        }
    }

    fn kinds(patterns: &[&str]) -> Filter {
        Filter { kinds: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(), ..Filter::default() }
    }

    #[test]
    fn a_pattern_is_a_name_all_below_one_or_all() {
        let wants = |patterns: &[&str]| kinds(patterns).wants(&of("deposit.confirmed", None));
        assert!(wants(&[]) && wants(&["*"]) && wants(&["deposit.*"]) && wants(&["x", "deposit.confirmed"]));
        assert!(!wants(&["deposit"]) && !wants(&["deposits.*"]) && !wants(&["deposit.confirmed.late"]));
    }

    #[test]
    fn nobody_is_told_of_himself() {
        let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let about = Outgoing { about: Some(ids[0]), ..of("k", None) };
        let wants = |oneself, outgoing: &Outgoing| Filter { oneself, ..Filter::default() }.wants(outgoing);
        assert!(!wants(Some(ids[0]), &about) && wants(Some(ids[1]), &about) && wants(None, &about));
        assert!(wants(None, &of("k", None)) && wants(Some(ids[0]), &of("k", None)));
    }

    #[test]
    fn a_customers_endpoint_hears_of_him_alone() {
        let filter = Filter { customer: Some("a".to_owned()), ..Filter::default() };
        assert!(filter.wants(&of("k", Some("a"))));
        assert!(!filter.wants(&of("k", Some("b"))) && !filter.wants(&of("k", None)));
    }
}
