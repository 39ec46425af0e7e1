//! Finding deposits by anything that names them. What a text may be is told from its shape; each kind is looked up by an index of
//! its own, and nothing is looked through.

use std::sync::Arc;

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use millrace_actors::deposits::deposits_of_transaction;
use millrace_actors::projection::{PAGE_ROWS_MAX, name_given};
use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Hash32, StreamName};

use super::list::{self, PAGE, of_customer};
use super::path;
use crate::web::console::frame::answer;
use crate::web::console::words::counted;
use crate::web::operator::deposits::opened;
use crate::web::operator::{OperatorState, views_unreadable};
use crate::web::problem::Problem;
use crate::web::session::Operator;

/// Nothing that names a deposit is longer.
pub(super) const CHARS_MAX: usize = 128;
/// After an update deposits are shown for a while as they were made before it, without an index of their addresses.
const ADDRESSES_UNSEARCHED: &str =
    "Deposits are being made anew, and can be searched by our deposit address once they are.";
/// More are not listed; a transaction hardly ever pays so many of our addresses.
const HITS_MAX: usize = 50;

/// What somebody looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sought {
    /// A deposit by its id.
    Deposit(DepositId),
    /// A transaction: of the deposit, of the payout or of a refund.
    Transaction(Hash32),
    /// A customer, a deposit address, an order of ours or the exchange's number for one.
    Word(String),
}

impl Sought {
    /// What this text may be; nothing when there is nothing in it.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Problem> {
        let text = text.trim();
        let chars = text.chars().count();
        if chars > CHARS_MAX {
            let message =
                format!("Nothing was looked for: a search has at most {CHARS_MAX} characters, and this has {chars}.");
            return Err(Problem::bad_request("search_too_long", message));
        }
        let of_stream = text.strip_prefix("deposit/").unwrap_or(text);
        let transaction = text.split_once(':').map_or(text, |(transaction, _)| transaction);
        Ok(match (text, of_stream.parse(), transaction.parse()) {
            ("", _, _) => None,
            (_, Ok(id), _) => Some(Self::Deposit(id)),
            (_, _, Ok(txid)) => Some(Self::Transaction(txid)),
            (_, Err(_), Err(_)) => Some(Self::Word(text.to_owned())),
        })
    }

    /// Where it was looked.
    fn places(&self) -> &'static str {
        match self {
            Self::Deposit(_) => "It was looked for among the ids of deposits.",
            Self::Transaction(_) => {
                "It was looked for among the transactions that brought a deposit, paid one out and paid one back."
            }
            Self::Word(_) => {
                "It was looked for among the customers' addresses, our deposit addresses, our orders and the exchange's numbers \
                 for them. Only what is whole is found."
            }
        }
    }
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) deposits: Vec<DepositId>,
    /// The text is a customer's address, with more deposits than one or none.
    pub(super) customer: Option<String>,
    /// Where it could not be looked for.
    pub(super) unsearched: Option<&'static str>,
}

/// The page that answers a search: the one deposit that was found, the customer, or a list.
pub(super) async fn shown(desk: &Arc<OperatorState>, operator: &Operator, text: &str, sought: &Sought) -> Response {
    match find(desk, sought).await {
        Ok(Found { customer: Some(customer), .. }) => Redirect::to(&of_customer(&customer)).into_response(),
        Ok(Found { deposits, .. }) if deposits.len() == 1 => Redirect::to(&path(deposits[0])).into_response(),
        Ok(found) => {
            let body = hits(desk, text, sought, found).await;
            answer(desk, operator, &PAGE, body)
        }
        Err(problem) => answer(desk, operator, &PAGE, Err(problem)),
    }
}

async fn hits(desk: &OperatorState, text: &str, sought: &Sought, found: Found) -> Result<Markup, Problem> {
    let many = found.deposits.len() as u64;
    let mut rows = Vec::new();
    for id in found.deposits.into_iter().take(HITS_MAX) {
        rows.extend(desk.views.deposit(id).await.map_err(views_unreadable)?);
    }
    let rows = opened(desk, rows).await?;
    Ok(html! {
        (list::search(text.trim()))
        @if many == 0 {
            p { b { "Nothing here is " code { (text.trim()) } "." } }
            p { (sought.places()) }
            @if let Some(why) = found.unsearched { p { (why) } }
        } @else {
            p { (counted(many, "deposit", "deposits")) " found" @if many > HITS_MAX as u64 { ", the newest " (HITS_MAX) " are shown" } "." }
            (list::table(&rows, desk.now()))
        }
    })
}

pub(super) async fn find(desk: &Arc<OperatorState>, sought: &Sought) -> Result<Found, Problem> {
    let deposits = match sought {
        Sought::Deposit(id) => known(desk, *id).await?,
        Sought::Transaction(txid) => {
            let txid = *txid;
            let brought = desk.read(move |reader| deposits_of_transaction(reader, txid, PAGE_ROWS_MAX as usize));
            let mut deposits = brought.await?;
            let others = named(desk, &txid.to_string()).await?;
            let others: Vec<_> = others.into_iter().filter(|id| !deposits.contains(id)).collect();
            deposits.extend(others);
            deposits
        }
        Sought::Word(word) => return by_word(desk, word).await,
    };
    Ok(Found { deposits, ..Found::default() })
}

async fn known(desk: &Arc<OperatorState>, id: DepositId) -> Result<Vec<DepositId>, Problem> {
    let last = desk.read(move |reader| reader.last_of(&StreamName::Deposit(id), 1)).await?;
    Ok(if last.is_empty() { Vec::new() } else { vec![id] })
}

async fn by_word(desk: &Arc<OperatorState>, word: &str) -> Result<Found, Problem> {
    let views = &desk.views;
    let of_customer = views.deposits_of(word).await.map_err(views_unreadable)?;
    if let [only] = of_customer.as_slice() {
        return Ok(Found { deposits: vec![only.id], ..Found::default() });
    }
    if !of_customer.is_empty() || !views.bindings_of(word).await.map_err(views_unreadable)?.is_empty() {
        return Ok(Found { customer: Some(word.to_owned()), ..Found::default() });
    }
    let deposits = named(desk, word).await?;
    if !deposits.is_empty() {
        return Ok(Found { deposits, ..Found::default() });
    }
    let on_address = views.deposits_on(word).await.map_err(views_unreadable)?;
    let unsearched = on_address.is_none().then_some(ADDRESSES_UNSEARCHED);
    Ok(Found { deposits: on_address.unwrap_or_default(), unsearched, ..Found::default() })
}

/// The deposits that an event names so: the views have a number of the name alone.
async fn named(desk: &Arc<OperatorState>, name: &str) -> Result<Vec<DepositId>, Problem> {
    let mut ids = desk.views.deposits_named(name).await.map_err(views_unreadable)?;
    ids.truncate(HITS_MAX);
    let name = name.to_owned();
    let confirmed = desk.read(move |reader| {
        let mut confirmed = Vec::new();
        for id in ids {
            let events = reader.stream(&StreamName::Deposit(id), 0)?;
            let is_named = events.iter().any(|recorded| match &recorded.event {
                Event::Deposit(event) => name_given(event).is_some_and(|given| given == name),
                _ => false,
            });
            confirmed.extend(is_named.then_some(id));
        }
        Ok(confirmed)
    });
    confirmed.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_may_be_is_told_from_its_shape() {
        let id = DepositId(uuid::Uuid::from_u128(7));
        let txid = Hash32([0xab; 32]);
        let sought = |text: &str| Sought::parse(text).unwrap();
        for text in [id.to_string(), format!("  {id} "), format!("deposit/{id}")] {
            assert_eq!(sought(&text), Some(Sought::Deposit(id)), "{text}");
        }
        for text in [txid.to_string(), txid.to_string().to_uppercase(), format!("{txid}:3")] {
            assert_eq!(sought(&text), Some(Sought::Transaction(txid)), "{text}");
        }
        for word in ["2EfrKStoSNNNqBSJUh8NzbPWhXgAzASTvcH", "1234567", "0123456789abcdef01234567-1", "'; --"] {
            assert_eq!(sought(word), Some(Sought::Word(word.to_owned())));
        }
        assert_eq!((sought(""), sought("  \t")), (None, None));
    }

    #[test]
    fn a_gigantic_search_is_answered_with_a_sentence() {
        let refused = Sought::parse(&"x".repeat(10_000)).unwrap_err();
        assert_eq!(refused.status(), 400);
        assert!(refused.message().contains("at most 128 characters, and this has 10000"), "{}", refused.message());
        assert!(Sought::parse(&"x".repeat(CHARS_MAX)).is_ok());
    }
}
