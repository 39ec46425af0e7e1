//! The pages for logging in and out.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{REFERRER_POLICY, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::html;
use millrace_model::operator::Action;
use serde::Deserialize;

use super::account_page;
use super::cookie;
use super::form::{Nothing, Submitted, refusal};
use super::gate::{Claim, Gate, Refused, agent_of};
use super::require::{Left, refuse_foreign, require, to_its_end};
use super::sessions::Presence;
use crate::web::client_ip::ClientIp;
use crate::web::console::bare::bare;
use crate::web::extract::{Form, Query};
use crate::web::problem::Problem;

const LOGIN: &str = "/console/login";
const HOME: &str = "/console";
const NEXT_CHARS_MAX: usize = 1_000;

/// `/console/login`, `/console/logout` and `/console/account`.
pub fn routes(gate: Arc<Gate>) -> Router {
    let guarded = Router::new()
        .route("/console/logout", post(log_out))
        .merge(account_page::routes())
        .method_not_allowed_fallback(another_method)
        .layer(from_fn_with_state(Arc::clone(&gate), require));
    let open = Router::new()
        .route(LOGIN, get(page).post(log_in))
        .method_not_allowed_fallback(another_method)
        .layer(from_fn(own_pages_only));
    guarded.merge(open).with_state(gate)
}

async fn another_method() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "This address does not take what was asked of it, so nothing was done.")
}

/// No other site's page may log a browser in.
async fn own_pages_only(request: Request, next: Next) -> Response {
    let mut answer = match refuse_foreign(&request) {
        Ok(()) => to_its_end(&request.method().clone(), next.run(request)).await,
        Err(refusal) => *refusal,
    };
    answer.headers_mut().entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    answer
}

/// Where to log in, and to go on from there.
pub(super) fn login_path(next: &str, left: Option<Left>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", next);
    match left {
        Some(Left::Ended) => drop(query.append_pair("ended", "1")),
        Some(Left::Undone) => drop(query.append_pair("undone", "1")),
        None => {}
    }
    format!("{LOGIN}?{}", query.finish())
}

/// A path within the console, whatever was asked for.
pub(super) fn next_of(path: Option<&str>) -> String {
    let is_plain = |path: &&str| path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_inside = |path: &&str| {
        let rest = path.strip_prefix(HOME);
        let inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        inside && !path.starts_with(LOGIN) && !path.starts_with("/console/logout") && path.len() <= NEXT_CHARS_MAX
    };
    path.filter(is_plain).filter(is_inside).unwrap_or(HOME).to_owned()
}

#[derive(Debug, Deserialize)]
struct Asked {
    next: Option<String>,
    ended: Option<String>,
    undone: Option<String>,
}

async fn page(State(gate): State<Arc<Gate>>, headers: HeaderMap, asked: Result<Query<Asked>, Problem>) -> Response {
    let Query(asked) = asked.unwrap_or(Query(Asked { next: None, ended: None, undone: None }));
    let next = next_of(asked.next.as_deref());
    if gate.visitor(&headers, Presence::Somebody).await.is_some() {
        return Redirect::to(&next).into_response();
    }
    let said = match (asked.ended, asked.undone) {
        (Some(_), _) => Some("Your session has ended, and nothing was done since. Log in again."),
        (None, Some(_)) => {
            Some("You are not logged in, so nothing was done with what you sent. Log in, and send it again.")
        }
        (None, None) => None,
    };
    form(StatusCode::OK, &next, "", said)
}

#[derive(Deserialize)]
struct LogIn {
    name: String,
    password: String,
    #[serde(default)]
    code: String,
    next: Option<String>,
}

async fn log_in(
    State(gate): State<Arc<Gate>>,
    ClientIp(address): ClientIp,
    headers: HeaderMap,
    form: Result<Form<LogIn>, Problem>,
) -> Response {
    let Form(form) = match form {
        Ok(form) => form,
        Err(problem) => return refusal(problem.status(), problem.message()),
    };
    let next = next_of(form.next.as_deref());
    let LogIn { name, password, code, .. } = form;
    let claim = Claim { name: name.clone(), password, code, address, agent: agent_of(&headers) };
    match gate.log_in(claim).await {
        Ok(id) => ([(SET_COOKIE, id.set(gate.transport))], Redirect::to(&next)).into_response(),
        Err(refused) => not_let_in(refused, &next, &name),
    }
}

/// Why somebody is not let in, and how long he waits.
pub(super) fn sentence(refused: Refused) -> (StatusCode, String, Option<Duration>) {
    match refused {
        Refused::Wrong => (StatusCode::UNAUTHORIZED, "Name, password or code is wrong.".to_owned(), None),
        Refused::Locked(wait) => (StatusCode::TOO_MANY_REQUESTS, locked(wait), Some(wait)),
        Refused::Crowded => {
            let sentence = "Too many try to log in at once; try again in a moment.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, sentence, Some(Duration::from_secs(5)))
        }
        Refused::NoAccounts => {
            let sentence = "The operators' accounts cannot be read; the desk's log says why.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, sentence, None)
        }
    }
}

fn not_let_in(refused: Refused, next: &str, name: &str) -> Response {
    let (status, sentence, wait) = sentence(refused);
    let mut answer = form(status, next, name, Some(&sentence));
    if let Some(wait) = wait {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    answer
}

fn locked(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    format!("Too many wrong attempts: nobody is let in for {minutes} {unit}, not even with the right password.")
}

fn form(status: StatusCode, next: &str, name: &str, said: Option<&str>) -> Response {
    let body = html! {
        h1 { "Log in" }
        @if let Some(said) = said { p role="alert" { (said) } }
        form method="post" action=(LOGIN) {
            input type="hidden" name="next" value=(next);
            p {
                label for="name" { "Name" }
                input id="name" name="name" value=(name) autocomplete="username" autocapitalize="none" maxlength="32" required;
            }
            p {
                label for="password" { "Password" }
                input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required;
            }
            p {
                label for="code" { "Code of your app, if you have set one up" }
                input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="40";
            }
            p { button type="submit" { "Log in" } }
        }
    };
    (status, bare("Log in", &body)).into_response()
}

async fn log_out(State(gate): State<Arc<Gate>>, submitted: Submitted<Nothing>) -> Response {
    let Submitted { operator, .. } = submitted;
    gate.end(&operator.name, |session| session.id == *operator.session()).await;
    gate.record(operator.by(), Action::LogOut, None).await;
    ([(SET_COOKIE, cookie::forget(gate.transport))], Redirect::to(LOGIN)).into_response()
}
