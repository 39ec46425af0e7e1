//! What is told, read from a desk over its operator API: `GET /operator/v1/notifications/webhooks-events`.
//!
//! The desk's cursor is opaque here, and a page that was read after one begins the same ever after. What sinks at the same
//! place read is asked for once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::delivery::endpoint::Outgoing;
use crate::http::{Http, HttpError, Limits, SetUpError};

const PATH: &str = "operator/v1/notifications/webhooks-events";
/// How many notifications are read at once.
const PAGE_ITEMS: usize = 200;
/// How many pages are kept for other sinks.
const PAGES_KEPT_MAX: usize = 8;
/// A cursor of the desk's has 23 bytes; one that is longer than this is none.
const CURSOR_BYTES_MAX: usize = 256;
/// Pages of the largest notifications stay below.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
    at_once_max: 1,
    answer_bytes_max: 4 * 1_024 * 1_024,
};

/// Where a sink reads on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The desk's cursor; empty for none yet.
    pub cursor: String,
    /// Without a cursor: what came about from this time on, in milliseconds since 1970; nothing for everything. With one it is
    /// when the last one that is settled came about.
    pub since_ms: Option<i64>,
}

/// A notification as the desk has it.
#[derive(Debug, Clone)]
pub struct Told {
    /// As it is sent.
    pub outgoing: Outgoing,
    /// When what it tells of was recorded, in milliseconds since 1970.
    pub created_ms: i64,
}

/// What comes after a place.
#[derive(Debug)]
pub struct Page {
    /// In the order of the log.
    pub told: Vec<Told>,
    /// The place after them.
    pub next: String,
    /// Whether there is more by now.
    pub has_more: bool,
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The cursor is of another log, or of this one before it was put back.
    #[error("the desk does not know the cursor: its log was put back, or is another one")]
    Foreign,
    /// The desk does not answer, or says that it cannot now.
    #[error("the desk cannot be read: {0}")]
    Unreachable(String),
    /// It does not know the token.
    #[error("the desk refuses the token")]
    Token,
    /// Its answer is not understood.
    #[error("what the desk answers is not understood ({0}); is it of another version?")]
    Nonsense(String),
}

/// Where notifications come from.
pub trait Feed: Send + Sync {
    /// What comes after a place.
    fn after<'f>(&'f self, place: &'f Place) -> BoxFuture<'f, Result<Arc<Page>, FeedError>>;
}

/// A desk.
pub struct Desk {
    http: Http,
    token: String,
    pages: Mutex<VecDeque<(Place, Arc<Page>)>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// The desk whose operator API is at this address and knows this token.
    pub fn new(url: &str, token: String) -> Result<Self, SetUpError> {
        Ok(Self { http: Http::new(url, LIMITS)?, token, pages: Mutex::default() })
    }

    async fn read(&self, place: &Place) -> Result<Page, FeedError> {
        let mut query = vec![("limit", PAGE_ITEMS.to_string())];
        match (place.cursor.as_str(), place.since_ms.and_then(DateTime::<Utc>::from_timestamp_millis)) {
            ("", Some(since)) => query.push(("start_time", since.to_rfc3339_opts(SecondsFormat::Millis, true))),
            ("", None) => {}
            (cursor, _) => query.push(("cursor", cursor.to_owned())),
        }
        let request = self.http.request(Method::GET, PATH).query(&query).bearer_auth(&self.token);
        let reply = self.http.send(request).await.map_err(|error| match error {
            HttpError::Broken(_) | HttpError::TooSlow => FeedError::Unreachable(error.to_string()),
            HttpError::TooLong(_) => FeedError::Nonsense(error.to_string()),
        })?;
        match reply.status {
            StatusCode::OK => read_page(&reply.body),
            status => Err(refusal(status, &reply.body)),
        }
    }
}

impl Feed for Desk {
    fn after<'f>(&'f self, place: &'f Place) -> BoxFuture<'f, Result<Arc<Page>, FeedError>> {
        async move {
            // Held while it is asked, so that those at the same place wait for one answer.
            let mut pages = self.pages.lock().await;
            if let Some((_, page)) = pages.iter().find(|(read, _)| is_same(read, place)) {
                return Ok(Arc::clone(page));
            }
            let page = Arc::new(self.read(place).await?);
            pages.truncate(PAGES_KEPT_MAX - 1);
            pages.push_front((place.clone(), Arc::clone(&page)));
            Ok(page)
        }
        .boxed()
    }
}

/// With a cursor the time says nothing.
fn is_same(one: &Place, other: &Place) -> bool {
    one.cursor == other.cursor && (!one.cursor.is_empty() || one.since_ms == other.since_ms)
}

#[derive(Deserialize)]
struct Answer {
    events: Vec<Map<String, Value>>,
    next_cursor: String,
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    rel: String,
}

#[derive(Deserialize)]
struct Refused {
    code: String,
    message: String,
}

fn read_page(body: &[u8]) -> Result<Page, FeedError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| FeedError::Nonsense(error.to_string()))?;
    let next = answer.next_cursor;
    if next.len() > CURSOR_BYTES_MAX || !next.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(FeedError::Nonsense("its cursor is none".to_owned()));
    }
    let has_more = answer.links.iter().any(|link| link.rel == "next");
    let told = answer.events.into_iter().map(|event| read_one(event).ok_or_else(not_one));
    Ok(Page { told: told.collect::<Result<_, _>>()?, next, has_more })
}

fn not_one() -> FeedError {
    FeedError::Nonsense("a notification in it is none".to_owned())
}

/// A notification as it is sent: what the desk adds for its readers are the links.
fn read_one(mut event: Map<String, Value>) -> Option<Told> {
    event.insert("links".to_owned(), Value::Array(Vec::new()));
    let id: Uuid = event.get("id")?.as_str()?.parse().ok()?;
    let kind = event.get("event_type")?.as_str()?.into();
    let position = event.get("position")?.as_u64()?;
    let created: DateTime<Utc> = event.get("create_time")?.as_str()?.parse().ok()?;
    let created_ms = created.timestamp_millis();
    let recorded_ms = u64::try_from(created_ms).ok();
    let body = Bytes::from(Value::Object(event).to_string());
    let outgoing = Outgoing { position, id, key: None, kind, customer: None, about: None, body, recorded_ms };
    Some(Told { outgoing, created_ms })
}

fn refusal(status: StatusCode, body: &[u8]) -> FeedError {
    let said: Option<Refused> = serde_json::from_slice(body).ok();
    let code = said.as_ref().map_or("", |said| said.code.as_str());
    match (status, code) {
        (StatusCode::UNAUTHORIZED, _) => FeedError::Token,
        (_, "foreign_cursor" | "invalid_cursor") => FeedError::Foreign,
        _ => {
            let said = said.map(|said| super::progress::excerpt(&said.message));
            FeedError::Unreachable(said.unwrap_or_else(|| format!("it answers {status}")))
        }
    }
}

/// The notification of this number, which came about then.
#[cfg(test)]
pub(super) fn told(number: u128, created_ms: i64) -> Told {
    let outgoing = Outgoing {
        position: 1,
        id: Uuid::from_u128(number),
        key: None,
        kind: Arc::from("Deposit.Confirmed"),
        customer: None,
        about: None,
        body: Bytes::from_static(b"{}"),
        recorded_ms: None,
    };
    Told { outgoing, created_ms }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(id: &str) -> Value {
        json!({
            "id": id, "event_type": "Deposit.Confirmed", "position": 4, "create_time": "2026-11-22T11:00:00.5Z",
            "links": [{ "href": "/x", "rel": "self", "method": "GET" }],
        })
    }

    #[test]
    fn a_notification_is_what_is_sent_without_the_readers_links() {
        let id = "6e0a3c9e-7b0c-5d5c-8d0f-0d5f4f1d2c3b";
        let answer =
            json!({ "events": [event(id)], "next_cursor": "AQ", "links": [{ "rel": "self" }, { "rel": "next" }] });
        let page = read_page(answer.to_string().as_bytes()).unwrap();
        assert!((page.has_more, page.next.as_str()) == (true, "AQ"));
        let told = &page.told[0];
        assert_eq!((told.outgoing.id.to_string().as_str(), told.outgoing.position), (id, 4));
        assert_eq!(told.created_ms % 1_000, 500);
        let body: Value = serde_json::from_slice(&told.outgoing.body).unwrap();
        assert_eq!((&body["links"], &body["id"]), (&json!([]), &json!(id)));
    }

    #[test]
    fn an_answer_that_is_no_page_is_refused_whole() {
        for answer in [
            json!({}),
            json!({ "events": [event("x")], "next_cursor": "", "links": [] }),
            json!({ "events": [], "next_cursor": "a b", "links": [] }),
            json!({ "events": [], "next_cursor": "a".repeat(300), "links": [] }),
        ] {
            let read = read_page(answer.to_string().as_bytes());
            assert!(matches!(read, Err(FeedError::Nonsense(_))), "{answer}");
        }
    }

    #[test]
    fn a_refusal_says_whether_the_cursor_or_the_token_is_wrong() {
        let refused = |status, code: &str| {
            refusal(status, json!({ "code": code, "message": "a sentence" }).to_string().as_bytes())
        };
        assert_eq!(refused(StatusCode::BAD_REQUEST, "foreign_cursor"), FeedError::Foreign);
        assert_eq!(refused(StatusCode::UNAUTHORIZED, "unauthorized"), FeedError::Token);
        assert_eq!(
            refused(StatusCode::SERVICE_UNAVAILABLE, "views_unavailable"),
            FeedError::Unreachable("a sentence".to_owned())
        );
        assert!(matches!(refusal(StatusCode::BAD_GATEWAY, b"<html>"), FeedError::Unreachable(_)));
    }
}
