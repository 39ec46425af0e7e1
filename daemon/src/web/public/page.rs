//! The customer's page: a quote, an address in, a deposit address with its QR code out, and every step of a deposit as it moves.
//!
//! Works without scripts; with them, parts of it are fetched again while one types and whenever the live stream says so. Every word
//! is made here, so that a page and its parts cannot disagree.

mod customer;
mod layout;
mod missing;
mod quote;
mod reader;
mod target;
mod timeline;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use maud::{Markup, html};
use millrace_model::money::{Amount, Btc};
use serde::Deserialize;

pub(crate) use layout::bare;
pub(super) use layout::{document, notice, told_of};
pub(super) use missing::missing;
pub(super) use reader::Reader;

use super::bind::{bind as bind_address, log_is_dead, target as read_target};
use super::v1::unknown_customer;
use super::words::Words;
use super::{Binds, Desk, shape};
use crate::web::extract::{Form, Path, Query};
use crate::web::problem::Problem;

const SCRIPT: &str = include_str!("../../../assets/page.js");
const STYLE: &str = include_str!("../../../assets/page.css");

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=300")], text).into_response()
}

pub(super) async fn home(State(desk): State<Arc<Desk>>, reader: Reader, wanted: Asked) -> Response {
    let wanted = wanted.map(|Query(wanted)| wanted).unwrap_or_default();
    reader.answer(start(&desk, &reader, &wanted, &Typed::default()))
}

/// What is asked of a quote; a query that cannot be read asks nothing.
type Asked = Result<Query<quote::Wanted>, Problem>;

/// A quote alone.
pub(super) async fn quote(State(desk): State<Arc<Desk>>, reader: Reader, wanted: Asked) -> Response {
    let wanted = wanted.map(|Query(wanted)| wanted).unwrap_or_default();
    reader.part(quote::answer(&desk, &reader, &wanted))
}

/// A text that is typed as an address.
#[derive(Debug, Deserialize)]
pub(super) struct Tried {
    #[serde(default)]
    target: String,
}

/// What is to be said of an address that is typed.
pub(super) async fn check(State(desk): State<Arc<Desk>>, reader: Reader, Query(tried): Query<Tried>) -> Response {
    reader.part(target::said(target::look_at(&desk, &tried.target, reader.words)))
}

/// The form's fields.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    target: String,
    /// What the customer means to deposit, for the link that his wallet opens.
    #[serde(default)]
    amount: String,
}

/// What somebody typed that could not be taken, and why.
#[derive(Default)]
struct Typed<'t> {
    target: &'t str,
    problem: Option<String>,
}

pub(super) async fn bind(
    State(desk): State<Arc<Desk>>,
    reader: Reader,
    headers: HeaderMap,
    form: Result<Form<Fields>, Problem>,
) -> Response {
    let Form(fields) = match form {
        Ok(form) => form,
        Err(problem) => return refused(&desk, &reader, "", &problem),
    };
    let bound = async {
        let target = read_target(&fields.target)?;
        bind_address(&desk, &headers, &target).await?;
        Ok(target)
    };
    match bound.await {
        Ok(target) => match meant(&fields.amount) {
            Some(amount) => Redirect::to(&format!("/customer/{target}?amount={amount}")).into_response(),
            None => Redirect::to(&format!("/customer/{target}")).into_response(),
        },
        Err(problem) => refused(&desk, &reader, &fields.target, &problem),
    }
}

fn meant(amount: &str) -> Option<Amount<Btc>> {
    amount.parse().ok().filter(|amount: &Amount<Btc>| !amount.is_zero())
}

fn refused(desk: &Desk, reader: &Reader, typed: &str, problem: &Problem) -> Response {
    let said = match problem.code() {
        "invalid_address" => target::look_at(desk, typed, reader.words).err(),
        code => known(code, reader.words),
    };
    let problem_text = said.unwrap_or_else(|| problem.message()).to_owned();
    let typed = Typed { target: typed, problem: Some(problem_text) };
    let page = reader.answer(start(desk, reader, &quote::Wanted::default(), &typed));
    (problem.status(), page).into_response()
}

/// A refusal in the reader's language.
fn known(code: &str, words: &'static Words) -> Option<&'static str> {
    Some(match code {
        "binds_disabled" => words.binds_disabled,
        "too_many_addresses" => words.too_many_addresses,
        "pool_empty" => words.pool_empty,
        "too_many_requests" => words.too_fast,
        "busy" => words.busy,
        "desk_unavailable" => words.desk_unavailable,
        "unknown_customer" => words.unknown_customer,
        "views_unavailable" => words.views_unavailable,
        _ => return None,
    })
}

/// Which part of the page is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    #[default]
    Whole,
    /// Only what changes.
    Fragment,
}

/// The query of a customer's page.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    part: Part,
    #[serde(default)]
    amount: String,
}

pub(super) async fn customer(
    State(desk): State<Arc<Desk>>,
    reader: Reader,
    Path(text): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let shown = async {
        let target = read_target(&text)?.to_string();
        shape::customer(&desk, &target).await?.ok_or_else(unknown_customer)
    };
    let amount = meant(&wanted.amount);
    match (shown.await, wanted.part) {
        (Ok(customer), Part::Fragment) => reader.part(customer::fragment(&desk, &reader, &customer, amount)),
        (Ok(customer), Part::Whole) => {
            let body = customer::whole(&desk, &reader, &customer, amount);
            reader.answer(document(&reader, reader.words.your_deposits, &body))
        }
        (Err(problem), _) => refused(&desk, &reader, &text, &problem),
    }
}

/// The first page: what it would buy, and where to.
fn start(desk: &Desk, reader: &Reader, wanted: &quote::Wanted, typed: &Typed<'_>) -> Markup {
    let words = reader.words;
    let body = html! {
        h1 { (words.title) }
        (told_of(desk, words))
        (quote::section(desk, reader, wanted))
        (address_form(desk, reader, wanted, typed))
    };
    document(reader, words.title, &body)
}

fn address_form(desk: &Desk, reader: &Reader, wanted: &quote::Wanted, typed: &Typed<'_>) -> Markup {
    let words = reader.words;
    let said = typed.problem.as_deref();
    html! {
        @if desk.terms.binds == Binds::Disabled {
            p .notice role="status" { (words.binds_disabled) }
            @if let Some(said) = said { p .bad role="alert" { (said) } }
        } @else {
            form .target method="post" action="/bind" data-check={ "/check?lang=" (reader.language.tag()) } {
                label for="target" { (words.target) }
                p .faint #target-hint { (words.target_hint) }
                input #target name="target" value=(typed.target) required maxlength=(target::CHARS_MAX) autocomplete="off"
                    autocapitalize="off" spellcheck="false" aria-invalid=[said.map(|_| "true")] aria-describedby="target-said target-hint";
                p #target-said .said aria-live="polite" role=[said.map(|_| "alert")] {
                    @if let Some(said) = said { (target::said(Err(said))) }
                }
                @if let Some(amount) = wanted.deposit(desk) { input type="hidden" name="amount" value=(amount); }
                @else { input type="hidden" name="amount" value=""; }
                button disabled[log_is_dead(desk)] { (words.get_address) }
            }
        }
    }
}
