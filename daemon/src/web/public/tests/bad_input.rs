//! Everything a customer, or somebody who is none, may send: a 4xx with a stable code and one sentence, nothing stored,
//! nothing logged that could end a line or move a cursor.

use std::io;
use std::sync::Mutex;

use tracing_subscriber::util::SubscriberInitExt;

use super::*;
use crate::config::LogFilter;
use crate::logging::{Colours, human_lines};
use crate::web::openapi::{Face, document};

/// What is sent: the method, the path of the document, the path, headers, the body; and the status and code it earns.
struct Case {
    operation: (&'static str, &'static str),
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    refused: (u16, &'static str),
}

const JSON: &[u8] = b"application/json";
/// A Bitcoin address, and [`TARGET`] with one letter changed.
const BITCOIN: &str = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu";
const BROKEN: &str = "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qw";

fn posted(path: &'static str, kind: &[u8], body: impl Into<Vec<u8>>, refused: (u16, &'static str)) -> Case {
    let headers = vec![("content-type", kind.to_vec())];
    Case { operation: ("post", path), path: path.to_owned(), headers, body: body.into(), refused }
}

fn got(operation: &'static str, path: impl Into<String>, refused: (u16, &'static str)) -> Case {
    Case { operation: ("get", operation), path: path.into(), headers: vec![], body: vec![], refused }
}

/// Bodies that are no JSON of the right shape, for both ways to bind.
fn bodies() -> Vec<Case> {
    let large = format!(r#"{{"skyaddr":"{}","coin_type":"BTC"}}"#, "x".repeat(20_000));
    let mut cases = vec![
        posted("/api/bind", JSON, b"{\"skyaddr\":\"\xff\"}", (400, "malformed_json")),
        posted("/api/v1/bindings", JSON, b"{\"target\":\"\xff\"}", (400, "malformed_json")),
    ];
    for path in ["/api/bind", "/api/v1/bindings"] {
        for (body, code) in [
            (&b""[..], "malformed_json"),
            (b"{", "malformed_json"),
            (b"nonsense\n\x1b[2J", "malformed_json"),
            (b"\xff\xfe", "malformed_json"),
            (b"[]", "invalid_body"),
            (b"null", "invalid_body"),
            (b"7", "invalid_body"),
            (b"{\"skyaddr\":7,\"target\":7,\"coin\":\"BTC\",\"coin_type\":\"BTC\"}", "invalid_body"),
            (b"{\"skyaddr\":null,\"target\":null,\"coin\":\"BTC\"}", "invalid_body"),
            (b"{\"target\":\"a\",\"target\":\"b\",\"skyaddr\":\"a\",\"skyaddr\":\"b\"}", "invalid_body"),
        ] {
            cases.push(posted(path, JSON, body, (400, code)));
        }
        cases.push(posted(path, JSON, large.clone(), (413, "body_too_large")));
        for kind in [&b"text/plain"[..], b"", b"application/jsonx", b"multipart/form-data; boundary=x", b"\xff"] {
            cases.push(posted(path, kind, "{}", (415, "unsupported_media_type")));
        }
    }
    cases
}

/// JSON of the right shape that makes no sense.
fn values() -> Vec<Case> {
    let teller = |skyaddr: &str, coin: &str, code| {
        let body = serde_json::json!({ "skyaddr": skyaddr, "coin_type": coin }).to_string();
        posted("/api/bind", JSON, body, (400, code))
    };
    let own = |target: &str, coin: &str, code| {
        let body = serde_json::json!({ "target": target, "coin": coin }).to_string();
        posted("/api/v1/bindings", JSON, body, (400, code))
    };
    let mut cases = vec![teller("", "BTC", "missing_address"), teller(TARGET, "", "missing_coin")];
    for bind in [teller as fn(&str, &str, &'static str) -> Case, own] {
        for address in [BITCOIN, BROKEN, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "0x", "\u{202e}\n\x1b[31m", "é"] {
            cases.push(bind(address, "BTC", "invalid_address"));
        }
        cases.push(bind(&"2".repeat(5_000), "BTC", "invalid_address"));
        for coin in ["ETH", "btc", "BTC ", "\u{1b}[2J", "₿"] {
            cases.push(bind(TARGET, coin, "unknown_coin"));
        }
        for key in [&b""[..], &[b'k'; 129], b"\xff", "schlüssel".as_bytes()] {
            let mut case = bind(TARGET, "BTC", "invalid_idempotency_key");
            case.headers.push(("idempotency-key", key.to_vec()));
            cases.push(case);
        }
    }
    cases
}

/// Questions that make no sense.
fn questions() -> Vec<Case> {
    let status = |query: &str, code| got("/api/status", format!("/api/status{query}"), (400, code));
    let mut cases = vec![status("", "missing_address"), status("?skyaddr=", "missing_address")];
    for text in [BITCOIN, BROKEN, "%00", "%0a%1b%5b2J", "%ff%fe", "%", "%zz", "%E2%80%AE", "a&skyaddr=b"] {
        let code = if text.contains('&') { "invalid_query" } else { "invalid_address" };
        cases.push(status(&format!("?skyaddr={text}"), code));
    }
    let quote = "/api/v1/quote";
    for neither in ["", "?", "?amount=1&payout=1"] {
        cases.push(got(quote, format!("{quote}{neither}"), (422, "amount_or_payout")));
    }
    cases.push(got(quote, format!("{quote}?amount=1&amount=2"), (400, "invalid_query")));
    for payout in ["", "-1", "1e3", "0.0000001", "1,5"] {
        cases.push(got(quote, format!("{quote}?payout={payout}"), (400, "invalid_amount")));
    }
    for payout in ["0", "2.499", "5000.000001", "9000000000000"] {
        cases.push(got(quote, format!("{quote}?payout={payout}"), (422, "amount_out_of_range")));
    }
    for amount in [
        "",
        "-1",
        "%2B1",
        "1e3",
        "NaN",
        "inf",
        "0x10",
        "1,5",
        "1.",
        ".5",
        "%201",
        "1.000000001",
        "99999999999999999999",
        "%D9%A3",
        "%00",
        "%ff",
        "1%0a2",
        "%1b%5b2J",
        "0.000000000000000000000000000001",
    ] {
        cases.push(got(quote, format!("{quote}?amount={amount}"), (400, "invalid_amount")));
    }
    for amount in ["0", "0.00499999", "10.00000001", "20999999"] {
        cases.push(got(quote, format!("{quote}?amount={amount}"), (422, "amount_out_of_range")));
    }
    for live in ["", "/live"] {
        let operation = if live.is_empty() { "/api/v1/customers/{target}" } else { "/api/v1/customers/{target}/live" };
        for (target, refused) in [
            (TARGET, (404, "unknown_customer")),
            (BROKEN, (400, "invalid_address")),
            ("%2e%2e%2f%2e%2e", (400, "invalid_address")),
            ("%1b%5b2J%0a", (400, "invalid_address")),
            ("%ff", (404, "not_found")),
        ] {
            cases.push(got(operation, format!("/api/v1/customers/{target}{live}"), refused));
        }
    }
    let deposit = "/api/v1/deposits/{id}";
    for (id, code) in
        [("00000000-0000-0000-0000-000000000001", "unknown_deposit"), ("1", "not_found"), ("%ff", "not_found")]
    {
        cases.push(got(deposit, format!("/api/v1/deposits/{id}"), (404, code)));
    }
    cases
}

/// Questions for a history that make no sense, and for what is not told.
fn histories() -> Vec<Case> {
    let history = "/api/history";
    let long = format!("?user={}", "x".repeat(129));
    let elsewhere = crate::web::cursor::Cursor::after(7, uuid::Uuid::from_u128(7)).text();
    let mut cases: Vec<_> =
        ["", "?user=", "?user=a%20b", "?user=%00", "?user=%ff", "?user=%E2%80%AE", &long, "?user=a&user=b"]
            .into_iter()
            .map(|query| got(history, format!("{history}{query}"), (400, "invalid_query")))
            .collect();
    for (query, code) in [
        ("limit=-1", "invalid_query"),
        ("limit=1.5", "invalid_query"),
        ("limit=4294967296", "invalid_query"),
        ("offset=x", "invalid_query"),
        ("offset=10001", "invalid_query"),
        ("type=desk", "invalid_query"),
        ("type=", "invalid_query"),
        ("coin=btc", "invalid_query"),
        ("event=", "invalid_query"),
        ("event=Desk.Halted", "invalid_query"),
        ("event=Desk.*", "invalid_query"),
        ("event=Deposit.%0a%1b%5b2J", "invalid_query"),
        ("since=1", "invalid_query"),
        ("cursor=1", "invalid_cursor"),
        ("cursor=%00", "invalid_cursor"),
        ("cursor=AAAAAAAAAAAAAAAAAAAAAAA", "invalid_cursor"),
        (&format!("cursor={elsewhere}"), "foreign_cursor"),
    ] {
        cases.push(got(history, format!("{history}?user=a&{query}"), (400, code)));
    }
    let event_type = "/api/v1/event-types/{name}";
    for name in ["Desk.Halted", "Deposit.*", "*", "deposit.pending", "%00"] {
        cases.push(got(event_type, format!("/api/v1/event-types/{name}"), (404, "unknown_event_type")));
    }
    cases
}

/// A log that is read afterwards.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// D11: a broken address, a Bitcoin address and a very long one are refused, and nothing is stored.
#[tokio::test]
async fn is_refused_with_its_code_stores_nothing_and_forges_no_line_of_the_log() {
    let page = Page::default();
    let out = page.clone();
    let everything: LogFilter = crate::config::Setting::from_text("trace").unwrap();
    let _logging = human_lines(&everything, Colours::Off, move || out.clone()).set_default();
    let desk = Rig::start(Setup::default()).await;
    // While there is one subscriber, tracing asks the thread that comes by a line first whether it is wanted, for all: that may
    // have been another test's, which has none.
    desk.get("/api/health").await;
    tracing::callsite::rebuild_interest_cache();
    let described = document(Face::Public);
    for case in bodies().into_iter().chain(values()).chain(questions()).chain(histories()) {
        refused(&desk, &described, case).await;
    }
    assert_eq!(desk.store.head(), 0, "nothing is stored");
    let log = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("answered"), "the log was written");
    for line in log.lines() {
        assert!(line.starts_with("20") && !line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}

async fn refused(desk: &Rig, described: &Value, case: Case) {
    let (method, operation) = case.operation;
    let shown = format!("{method} {} {}", case.path, String::from_utf8_lossy(&case.body));
    let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(case.path);
    for (name, value) in case.headers {
        request = request.header(name, value);
    }
    let response = desk.ask(request.body(Body::from(case.body)).unwrap()).await;
    let problem = response.extensions().get::<Problem>().cloned().unwrap_or_else(|| panic!("no problem: {shown}"));
    assert_eq!((problem.status().as_u16(), problem.code()), case.refused, "{shown}: {problem}");
    let responses = &described["paths"][operation][method]["responses"];
    let description = responses[problem.status().as_str()]["description"].as_str().unwrap_or_default();
    assert!(description.contains(problem.code()), "{shown}: {} is not described", problem.code());
    let (status, text) = read(response).await;
    assert_eq!(status, problem.status());
    let sentence = match operation.starts_with("/api/v1/") || operation == "/api/history" {
        true => serde_json::from_str::<Value>(&text).unwrap()["message"].as_str().unwrap().to_owned(),
        false => text.trim_end_matches('\n').to_owned(),
    };
    assert_eq!(sentence, problem.message(), "{shown}");
    assert!(
        !sentence.contains(char::is_control) && !sentence.is_empty() && sentence.len() < 500,
        "{shown}: {sentence}"
    );
}

#[tokio::test]
async fn a_form_that_is_none_is_a_page_with_a_sentence() {
    let desk = Rig::start(Setup::default()).await;
    let form = "application/x-www-form-urlencoded";
    for (kind, body, status) in [
        (form, "", 400),
        (form, "target=%ff%00", 400),
        (form, &format!("target={BROKEN}"), 400),
        (form, "target=a&target=b", 400),
        (form, &"x".repeat(20_000), 413),
        ("application/json", "{}", 415),
    ] {
        let request = Request::post("/bind").header("content-type", kind).body(Body::from(body.to_owned())).unwrap();
        let (found, page) = read(desk.ask(request).await).await;
        assert_eq!(found, status, "{kind} {body}: {page}");
        assert!(page.contains("role=\"alert\""), "{kind} {body}: {page}");
    }
    assert_eq!(desk.store.head(), 0);
}
