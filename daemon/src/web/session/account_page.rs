//! An operator's own account: his password, his codes and his sessions.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use http::StatusCode;
use maud::{Markup, html};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use super::credentials::Unchanged;
use super::form::{Submitted, form_fields, refusal};
use super::gate::{Gate, Refused};
use super::login::sentence;
use super::require::Operator;
use super::sessions::Session;
use crate::web::client_ip::ClientIp;
use crate::web::console::bare::bare;
use crate::web::extract::Query;
use crate::web::problem::Problem;

const PAGE: &str = "/console/account";
const CODE_PAGE: &str = "/console/account/code";
const TIME: &str = "%Y-%m-%d %H:%M UTC";

/// Everything under `/console/account`.
pub(super) fn routes() -> Router<Arc<Gate>> {
    Router::new()
        .route(PAGE, get(page))
        .route("/console/account/password", post(password))
        .route(CODE_PAGE, get(code_page).post(confirm))
        .route("/console/account/code/begin", post(begin))
        .route("/console/account/code/off", post(off))
        .route("/console/account/sessions/end", post(end))
}

#[derive(Debug, Deserialize)]
struct Asked {
    done: Option<String>,
}

async fn page(State(gate): State<Arc<Gate>>, operator: Operator, asked: Result<Query<Asked>, Problem>) -> Response {
    let done = asked.ok().and_then(|Query(asked)| asked.done);
    let done = done.as_deref().and_then(|done| match done {
        "password" => Some("Your password is changed, and your other sessions have ended."),
        "off" => Some("No code is asked for any more."),
        "ended" => Some("The sessions have ended."),
        _ => None,
    });
    let Some(accounts) = gate.accounts().await else { return unreadable() };
    let Some(account) = accounts.get(&operator.name) else { return unreadable() };
    let left = account.codes.as_ref().map(super::totp::Codes::recovery_left);
    let sessions = gate.sessions_of(account);
    let body = html! {
        h1 { "Account of " (operator.name) }
        p { a href="/console" { "To the console" } }
        @if let Some(done) = done { p role="status" { (done) } }
        (password_form(&operator))
        (code_section(&operator, left))
        (sessions_section(&operator, &sessions))
        form.out method="post" action="/console/logout" { (form_fields(&operator)) button.quiet type="submit" { "Sign out" } }
    };
    bare("Account", &body).into_response()
}

fn unreadable() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "Your account cannot be read; the desk's log says why.")
}

fn password_form(operator: &Operator) -> Markup {
    html! {
        section aria-labelledby="password-title" {
            h2 id="password-title" { "Password" }
            form method="post" action="/console/account/password" {
                (form_fields(operator))
                (secret_field("present", "Present password", "current-password"))
                (secret_field("new", "New password, at least 15 characters", "new-password"))
                (secret_field("again", "The new password again", "new-password"))
                p { button type="submit" { "Change the password" } }
            }
        }
    }
}

fn secret_field(name: &str, label: &str, autocomplete: &str) -> Markup {
    html! {
        p {
            label { (label) " " input name=(name) type="password" autocomplete=(autocomplete) maxlength="256" required; }
        }
    }
}

fn code_section(operator: &Operator, left: Option<usize>) -> Markup {
    let (action, button) = match left {
        Some(_) => ("/console/account/code/off", "Ask for no code any more"),
        None => ("/console/account/code/begin", "Set a code up"),
    };
    html! {
        section aria-labelledby="code-title" {
            h2 id="code-title" { "Code at log-in" }
            @match left {
                Some(left) => p { "A code of your app is asked for at every log-in. Recovery codes left: " (left) "." },
                None => p { "The password alone lets you in. With an authenticator app, a code is asked for as well." },
            }
            form method="post" action=(action) {
                (form_fields(operator))
                (secret_field("present", "Present password", "current-password"))
                p { button type="submit" { (button) } }
            }
        }
    }
}

fn sessions_section(operator: &Operator, sessions: &[Session]) -> Markup {
    let time = |at: DateTime<Utc>| html! { time datetime=(at.to_rfc3339()) { (at.format(TIME)) } };
    html! {
        section aria-labelledby="sessions-title" {
            h2 id="sessions-title" { "Sessions" }
            div.scroll tabindex="0" { table {
                thead { tr { th { "Since" } th { "Last seen" } th { "From" } th { "Browser" } th { "" } } }
                tbody {
                    @for session in sessions {
                        tr {
                            td { (time(session.opened_at)) }
                            td { (time(session.seen_at)) }
                            td { (session.address) }
                            td { (session.agent) }
                            td {
                                @if session.id == *operator.session() { "this one" } @else {
                                    (end_form(operator, &session.id, "End"))
                                }
                            }
                        }
                    }
                }
            } }
            @if sessions.len() > 1 { (end_form(operator, OTHERS, "End all others")) }
        }
    }
}

/// In place of one session's id.
const OTHERS: &str = "others";

fn end_form(operator: &Operator, which: &str, label: &str) -> Markup {
    html! {
        form method="post" action="/console/account/sessions/end" {
            (form_fields(operator))
            input type="hidden" name="which" value=(which);
            button type="submit" { (label) }
        }
    }
}

#[derive(Deserialize)]
struct NewPassword {
    present: String,
    new: String,
    again: String,
}

async fn password(
    State(gate): State<Arc<Gate>>,
    ClientIp(address): ClientIp,
    submitted: Submitted<NewPassword>,
) -> Response {
    let Submitted { operator, fields: NewPassword { present, new, again }, .. } = submitted;
    if new != again {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "The two new passwords are not the same.");
    }
    went(gate.change_password(&operator, address, (present, new)).await, "/console/account?done=password")
}

#[derive(Deserialize)]
struct Present {
    present: String,
}

async fn begin(State(gate): State<Arc<Gate>>, ClientIp(address): ClientIp, submitted: Submitted<Present>) -> Response {
    let Submitted { operator, fields: Present { present }, .. } = submitted;
    went(gate.begin_codes(&operator, address, present).await, CODE_PAGE)
}

async fn off(State(gate): State<Arc<Gate>>, ClientIp(address): ClientIp, submitted: Submitted<Present>) -> Response {
    let Submitted { operator, fields: Present { present }, .. } = submitted;
    went(gate.turn_off_codes(&operator, address, present).await, "/console/account?done=off")
}

async fn code_page(State(gate): State<Arc<Gate>>, operator: Operator) -> Response {
    let now = gate.now();
    if let Some(codes) = gate.offers.recovery(operator.session(), now) {
        return bare("Recovery codes", &recovery(&codes)).into_response();
    }
    match gate.offers.offered(operator.session(), &operator.name, now) {
        Some((secret, uri)) => bare("Set a code up", &offer(&operator, &secret, &uri)).into_response(),
        None => Redirect::to(PAGE).into_response(),
    }
}

fn offer(operator: &Operator, secret: &str, uri: &str) -> Markup {
    html! {
        h1 { "Set a code up" }
        p { "Let your authenticator app read this picture, or type the secret. It is shown for ten minutes." }
        (picture(uri))
        p { code { (secret) } }
        form method="post" action=(CODE_PAGE) {
            (form_fields(operator))
            p {
                label for="code" { "The code that the app shows now" }
                input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="20" required;
            }
            p { button type="submit" { "Ask for a code from now on" } }
        }
        p { a href=(PAGE) { "Leave it as it was" } }
    }
}

fn recovery(codes: &[String]) -> Markup {
    html! {
        h1 { "Recovery codes" }
        p role="status" { "From now on a code is asked for at every log-in." }
        p { "If you lose the app, each of these lets you in once in place of a code. They are shown here for ten minutes and kept nowhere." }
        ul { @for code in codes { li { code { (code) } } } }
        p { a href=(PAGE) { "I have them" } }
    }
}

fn picture(uri: &str) -> Markup {
    let Ok(code) = QrCode::new(uri) else { return html! {} };
    let drawing = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    let drawing = drawing.find("<svg").map_or("", |start| &drawing[start..]);
    html! { figure role="img" aria-label="QR code with the secret" { (maud::PreEscaped(drawing)) } }
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn confirm(State(gate): State<Arc<Gate>>, submitted: Submitted<Code>) -> Response {
    let Submitted { operator, fields, .. } = submitted;
    went(gate.confirm_codes(&operator, &fields.code).await, CODE_PAGE)
}

#[derive(Deserialize)]
struct Which {
    which: String,
}

async fn end(State(gate): State<Arc<Gate>>, submitted: Submitted<Which>) -> Response {
    let Submitted { operator, fields: Which { which }, .. } = submitted;
    let own = operator.session().clone();
    gate.end_sessions(&operator, |session| match which.as_str() {
        OTHERS => session.id != own,
        one => session.id == one,
    })
    .await;
    Redirect::to("/console/account?done=ended").into_response()
}

fn went(done: Result<(), Unchanged>, next: &str) -> Response {
    match done {
        Ok(()) => Redirect::to(next).into_response(),
        Err(Unchanged::Refused(Refused::Wrong)) => {
            refusal(StatusCode::UNPROCESSABLE_ENTITY, "The present password is not right.")
        }
        Err(Unchanged::Refused(refused)) => {
            let (status, sentence, _) = sentence(refused);
            refusal(status, &sentence)
        }
        Err(Unchanged::Code) => {
            refusal(StatusCode::UNPROCESSABLE_ENTITY, "The code is not right, or the picture is too old: begin anew.")
        }
        Err(Unchanged::Accounts(error)) => {
            refusal(StatusCode::UNPROCESSABLE_ENTITY, &format!("It stays as it was: {error}."))
        }
    }
}
