//! The middleware in front of the console's pages: nobody without a session, and nothing that another site asked for.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{HOST, LOCATION, REFERER, REFERRER_POLICY};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use millrace_model::operator::By;
use uuid::Uuid;

use super::cookie::{Kept, SessionId};
use super::form::refusal;
use super::forms::{Fate, FormKey};
use super::gate::Gate;
use super::login::{login_path, next_of};
use super::origin::is_foreign;
use super::sessions::{Presence, Session};
use crate::config::Secret;
use crate::web::browsing::wants_html;
use crate::web::problem::{NothingDone, Problem};

const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
/// Sent by the console's script with what it fetches by itself.
const REFRESH: HeaderName = HeaderName::from_static("x-refresh");
/// The stream that an open page holds, and opens again by itself.
const LIVE: &str = "/console/live";
/// Without a referrer, browsers tell no origin with a form either (Fetch standard).
const OWN_REFERRERS: HeaderValue = HeaderValue::from_static("same-origin");

/// Who is logged in; in the extensions of every request behind [`require`].
#[derive(Clone)]
pub struct Operator {
    /// The account's name: 1 to 32 of a-z, 0-9, '.', '_' and '-'.
    pub name: Arc<str>,
    form_token: Secret,
    session: Kept,
}

impl Operator {
    fn of(id: &SessionId, session: &Session) -> Self {
        let form_token = Secret::new(id.form_token());
        Self { name: session.operator.as_str().into(), form_token, session: session.id.clone() }
    }

    pub(super) fn form_token(&self) -> &str {
        self.form_token.reveal()
    }

    /// As the log has him.
    pub fn by(&self) -> By {
        By::Operator(self.name.to_string())
    }

    pub(super) fn session(&self) -> &Kept {
        &self.session
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let operator = parts.extensions.get::<Self>().cloned();
        operator.ok_or_else(|| Problem::internal("a page for operators stands outside of the gate"))
    }
}

/// One request of an operator, for the form in it.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) operator: Operator,
    pub(super) is_fetched: bool,
    pub(super) gate: Arc<Gate>,
    form: Arc<Mutex<Option<FormKey>>>,
}

impl Visit {
    /// Takes a form for the first time.
    pub(super) fn begin(&self, form_id: Uuid) -> Result<(), Fate> {
        let key = (self.operator.session.clone(), form_id);
        self.gate.forms.begin(&key, self.gate.now())?;
        *self.form.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(())
    }

    /// Remembers where the form led, or that nothing was done. One that came to anything else, or to no end, stays begun.
    fn end(&self, answer: &Response) {
        let Some(key) = self.form.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Some(location) = led_to(answer) {
            self.gate.forms.done(&key, location);
        } else if answer.extensions().get::<NothingDone>().is_some() {
            self.gate.forms.refused(&key);
        }
    }
}

fn led_to(answer: &Response) -> Option<&str> {
    let header = if answer.status().is_redirection() { LOCATION } else { HX_REDIRECT };
    answer.headers().get(header).and_then(|location| location.to_str().ok())
}

/// Middleware: without a session a page leads to the log-in, anything else is 401; what another site asked for is 403.
/// The request gets the [`Operator`].
pub async fn require(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let mut answer = match refuse_foreign(&request) {
        Err(refusal) => *refusal,
        Ok(()) => own(gate, request, next).await,
    };
    answer.headers_mut().entry(REFERRER_POLICY).or_insert(OWN_REFERRERS);
    answer
}

/// What the desk's own pages asked for.
async fn own(gate: Arc<Gate>, mut request: Request, next: Next) -> Response {
    let presence = presence(&request);
    let visitor = gate.visitor(request.headers(), presence).await;
    let Some((id, session)) = visitor else { return stranger(&gate, &request) };
    let (operator, is_fetched) = (Operator::of(&id, &session), request.headers().contains_key(HX_REQUEST));
    request.extensions_mut().insert(operator.clone());
    let visit = Visit { operator, is_fetched, gate, form: Arc::default() };
    request.extensions_mut().insert(visit.clone());
    to_its_end(&request.method().clone(), async move {
        let answer = next.run(request).await;
        visit.end(&answer);
        answer
    })
    .await
}

/// What a form asks for is done to its end, whether its browser waits for that or is gone: whoever closes the tab of a log-out
/// means it, no account is left half changed, and who guesses too often is told of.
pub(super) async fn to_its_end(
    method: &Method,
    answering: impl Future<Output = Response> + Send + 'static,
) -> Response {
    if matches!(*method, Method::GET | Method::HEAD) {
        return answering.await;
    }
    #[expect(clippy::disallowed_methods, reason = "it ends with the handler, which waits for nothing without a limit")]
    let answering = tokio::spawn(answering);
    answering.await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(error) => Problem::internal(error).into_response(),
    })
}

fn presence(request: &Request) -> Presence {
    let by_itself = request.headers().contains_key(REFRESH) || request.uri().path() == LIVE;
    if by_itself { Presence::PageAlone } else { Presence::Somebody }
}

/// A page of another site cannot log anybody in or out, nor do anything else.
pub(super) fn refuse_foreign(request: &Request) -> Result<(), Box<Response>> {
    if !is_foreign(request.method(), request.headers()) {
        return Ok(());
    }
    let sentence = "This came from a page of another site, so nothing was done.";
    Err(Box::new(refusal(StatusCode::FORBIDDEN, sentence)))
}

/// The answer to a second click.
pub(super) fn again(visit: &Visit, location: &str) -> Response {
    match (visit.is_fetched, HeaderValue::from_str(location)) {
        (true, Ok(location)) => [(HX_REDIRECT, location)].into_response(),
        _ => Redirect::to(location).into_response(),
    }
}

/// The browser keeps its cookie: one that came from a link elsewhere did not send it (`SameSite=Strict`), and one whose
/// password is just being changed is known again in a moment. Only a log-out makes it forget.
fn stranger(gate: &Gate, request: &Request) -> Response {
    let path = login_path(&back(request), left(gate, request));
    if is_page(request.headers()) {
        return Redirect::to(&path).into_response();
    }
    let message = "You are not logged in, or your session has ended: nothing was done. Log in again.";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "not_logged_in", message).into_response();
    let to = HeaderValue::from_str(&path).expect("a path of letters, digits and percent signs");
    ([(HX_REDIRECT, to)], problem).into_response()
}

/// What somebody without a session came with, which the log-in tells him of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// A session that is no more.
    Ended,
    /// No session, and a form that nobody carried out.
    Undone,
}

fn left(gate: &Gate, request: &Request) -> Option<Left> {
    if SessionId::in_headers(request.headers(), gate.transport).is_some() {
        return Some(Left::Ended);
    }
    (!matches!(*request.method(), Method::GET | Method::HEAD)).then_some(Left::Undone)
}

/// A browser that shows a page asks for HTML; scripts and event streams ask for something else.
fn is_page(headers: &HeaderMap) -> bool {
    !headers.contains_key(HX_REQUEST) && wants_html(headers)
}

/// Where to go on after the log-in: a page that was asked for, or the one with the form.
fn back(request: &Request) -> String {
    if matches!(*request.method(), Method::GET | Method::HEAD) && is_page(request.headers()) {
        return next_of(request.uri().path_and_query().map(|path| path.as_str()));
    }
    let page = request.headers().get(REFERER).and_then(|referer| referer.to_str().ok()?.parse::<http::Uri>().ok());
    let own = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let page = page.filter(|page| page.authority().map(http::uri::Authority::as_str) == own);
    next_of(page.as_ref().and_then(|page| page.path_and_query()).map(|path| path.as_str()))
}
