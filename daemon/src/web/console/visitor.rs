//! Somebody who has logged in and looks at pages, for their tests.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION};
use http::{Request, Response, StatusCode};
use millrace_actors::clock::SystemClock;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use super::routes;
use crate::web::frame::{Frame, Transport, framed};
use crate::web::operator::tests::Desk;
use crate::web::session::{self, Gate};

pub(super) struct Visitor {
    router: Router,
    cookie: String,
    form_token: String,
}

/// What a page answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where it leads, if it does.
    pub(super) to: Option<String>,
    pub(super) text: String,
}

impl Visitor {
    /// Somebody at the console of this desk.
    pub(super) async fn of(desk: &Desk) -> Self {
        let gate = Gate::open(desk.folder.path(), Arc::new(SystemClock), Transport::Plain, None);
        let (cookie, form_token) = gate.let_in().await;
        let frame =
            Frame { proxies: vec![], cors: vec![], transport: Transport::Plain, stop: CancellationToken::new() };
        let pages = routes(Arc::clone(&desk.state), Arc::clone(&gate)).merge(session::routes(gate));
        Self { router: framed(pages, frame), cookie, form_token }
    }

    /// The same, whom nobody let in.
    pub(super) fn without_cookie(self) -> Self {
        Self { cookie: String::new(), ..self }
    }

    /// Looks at a page.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path), String::new()).await
    }

    /// Follows what changes, from what was seen.
    pub(super) async fn follow(&self, seen: Option<&str>) -> Response<Body> {
        let mut request = Request::get("/console/live").header(COOKIE, &self.cookie);
        if let Some(seen) = seen {
            request = request.header("last-event-id", seen);
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// Sends the form of this number with these fields.
    pub(super) async fn post(&self, form: u128, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let id = Uuid::from_u128(form).to_string();
        body.append_pair("csrf", &self.form_token).append_pair("form_id", &id).extend_pairs(fields);
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request, body.finish()).await
    }

    async fn ask(&self, request: http::request::Builder, body: String) -> Answer {
        let request =
            request.header(COOKIE, &self.cookie).header("accept", "text/html").body(Body::from(body)).unwrap();
        read(self.router.clone().oneshot(request).await.unwrap()).await
    }
}

impl Answer {
    /// What the page says, which is there.
    #[track_caller]
    pub(super) fn shown(self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.text
    }

    /// The sentence that it was refused with.
    #[track_caller]
    pub(super) fn refused(self, status: u16, sentence: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.contains(sentence) && self.text.contains("role=\"alert\""), "{}", self.text);
    }
}

async fn read(response: Response<Body>) -> Answer {
    let status = response.status();
    let to = response.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
    let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
    Answer { status, to, text: String::from_utf8(bytes.to_vec()).unwrap() }
}
