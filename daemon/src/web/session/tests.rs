//! The gate as a browser meets it, with a clock that is moved.

mod account;
mod forms;
mod hung_disk;
mod hung_up;
mod login;

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use http::{HeaderMap, Request, StatusCode};
use maud::html;
use millrace_actors::clock::Clock;
use millrace_actors::operations::Operations;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::cookie::SessionId;
use super::form::refusal;
use super::{Gate, Operator, Stay, Submitted, form_fields, require, routes};
use crate::web::client_ip::Peer;
use crate::web::console::bare::bare;
use crate::web::frame::{Frame, Transport, framed};
use crate::web::problem::Problem;

const NAME: &str = "operator";
const HOUR: i64 = 3_600;

#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + self.0.load(Ordering::Relaxed), 0).unwrap()
    }
}

/// A desk's gate with a page behind it, and one browser in front.
struct Desk {
    folder: TempDir,
    clock: Arc<Hands>,
    gate: Arc<Gate>,
    router: Router,
    acts: Arc<Acts>,
    cookie: Mutex<Option<String>>,
    password: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn location(&self) -> &str {
        self.headers.get("location").map_or("", |location| location.to_str().unwrap())
    }

    fn field(&self, name: &str) -> String {
        let (_, rest) = self.body.split_once(&format!(r#"name="{name}" value=""#)).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// The hidden fields of its first form.
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("csrf", self.field("csrf")), ("form_id", self.field("form_id"))]
    }
}

/// What became of the forms.
struct Acts {
    /// How often one was carried out.
    count: AtomicU32,
    /// How many came that wish for time.
    waiting: AtomicU32,
    /// They wait for it.
    time: Semaphore,
}

#[derive(Debug, Deserialize)]
struct Wish {
    wish: String,
}

async fn page(operator: Operator) -> Response {
    bare("Page", &html! { form { (form_fields(&operator)) } }).into_response()
}

async fn act(State(acts): State<Arc<Acts>>, submitted: Submitted<Wish>) -> Response {
    match submitted.fields.wish.as_str() {
        "moon" => return refusal(StatusCode::CONFLICT, "It is not as it was."),
        "time" => {
            acts.waiting.fetch_add(1, Ordering::Relaxed);
            acts.time.acquire().await.unwrap().forget();
        }
        _ => {}
    }
    let number = acts.count.fetch_add(1, Ordering::Relaxed) + 1;
    match submitted.fields.wish.as_str() {
        "picture" => return bare("Picture", &html! { p { "Here it is." } }).into_response(),
        "patience" => return Problem::unavailable("outcome_unknown", "It may be done yet.").into_response(),
        _ => {}
    }
    Redirect::to(&format!("/console/page?done={number}")).into_response()
}

impl Desk {
    fn new() -> Self {
        Self::telling(None)
    }

    /// One whose log is here.
    fn telling(operations: Option<Operations>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hands::default());
        let (gate, router, acts) = face(&folder, &clock, operations);
        let password = std::fs::read_to_string(gate.first_password_file().unwrap()).unwrap().trim().to_owned();
        Self { folder, clock, gate, router, acts, cookie: Mutex::default(), password }
    }

    /// A core that starts again.
    fn start_again(&mut self) {
        (self.gate, self.router, self.acts) = face(&self.folder, &self.clock, None);
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn ask(&self, request: http::request::Builder, body: String) -> Answer {
        let cookie = self.cookie.lock().unwrap().clone();
        let request = match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let request = request.extension(Peer("192.0.2.1:4000".parse().unwrap())).body(Body::from(body)).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        if let Some(set) = parts.headers.get("set-cookie") {
            let set = set.to_str().unwrap();
            let cookie = set.split(';').next().unwrap().to_owned();
            *self.cookie.lock().unwrap() = Some(cookie).filter(|_| !set.contains("Max-Age=0"));
        }
        let body = to_bytes(body, 100_000).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).header("accept", "text/html,*/*"), String::new()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, String)]) -> Answer {
        self.post_with(path, fields, &[("sec-fetch-site", "same-origin")]).await
    }

    async fn post_with(&self, path: &str, fields: &[(&str, String)], headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(path)
            .header("accept", "text/html")
            .header("host", "desk:8081")
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask(request, body).await
    }

    async fn try_password(&self, name: &str, password: &str) -> Answer {
        self.post("/console/login", &[("name", name.to_owned()), ("password", password.to_owned())]).await
    }

    async fn log_in(&self) {
        let answer = self.try_password(NAME, &self.password).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/console"), "{}", answer.body);
    }

    /// What an answer holds that does not end by itself.
    fn stay(&self) -> Stay {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", self.cookie.lock().unwrap().as_ref().unwrap().parse().unwrap());
        let session = SessionId::in_headers(&headers, Transport::Plain).unwrap().kept();
        Stay { gate: Arc::clone(&self.gate), session }
    }

    fn acted(&self) -> u32 {
        self.acts.count.load(Ordering::Relaxed)
    }
}

fn face(folder: &TempDir, clock: &Arc<Hands>, operations: Option<Operations>) -> (Arc<Gate>, Router, Arc<Acts>) {
    let gate = Gate::open(folder.path(), Arc::clone(clock) as _, Transport::Plain, operations);
    let acts = Arc::new(Acts { count: AtomicU32::new(0), waiting: AtomicU32::new(0), time: Semaphore::new(0) });
    let pages = Router::new()
        .route("/console/page", get(page))
        .route("/console/live", get(page))
        .route("/console/act", post(act))
        .layer(from_fn_with_state(Arc::clone(&gate), require))
        .with_state(Arc::clone(&acts));
    let frame = Frame { proxies: vec![], cors: vec![], transport: Transport::Plain, stop: CancellationToken::new() };
    let router = framed(pages.merge(routes(Arc::clone(&gate))), frame);
    (gate, router, acts)
}
