//! What all pages of the console have around them: the ways to the others, and how the desk is, in one line.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};
use millrace_actors::supervision::PartHealth;

use super::assets::address;
use super::outage::Outage;
use super::words::{Tone, count, counted, mark, moment};
use crate::web::extract::is_misread;
use crate::web::operator::{OperatorState, World};
use crate::web::problem::Problem;
use crate::web::session::{Operator, form_fields};

/// Where one can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Whether money moves.
    Overview,
    /// Deposits, and one of them.
    Deposits,
    /// The whole desk at a moment.
    Past,
    /// The events.
    Log,
    /// The supervision tree.
    Parts,
    /// What pages are made of.
    Projections,
    /// Who is told.
    Notifications,
    /// The books.
    Money,
    /// What is configured.
    Settings,
    /// Who did what.
    Audit,
}

impl Place {
    const ALL: [Self; 10] = [
        Self::Overview,
        Self::Deposits,
        Self::Past,
        Self::Log,
        Self::Parts,
        Self::Projections,
        Self::Notifications,
        Self::Money,
        Self::Settings,
        Self::Audit,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Deposits => "Deposits",
            Self::Past => "Time travel",
            Self::Log => "Log",
            Self::Parts => "Parts",
            Self::Projections => "Projections",
            Self::Notifications => "Notifications",
            Self::Money => "Money",
            Self::Settings => "Settings",
            Self::Audit => "Audit",
        }
    }

    /// The path of its first page.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Overview => "/console",
            Self::Deposits => "/console/deposits",
            Self::Past => "/console/past",
            Self::Log => "/console/log",
            Self::Parts => "/console/parts",
            Self::Projections => "/console/projections",
            Self::Notifications => "/console/notifications",
            Self::Money => "/console/money",
            Self::Settings => "/console/settings",
            Self::Audit => "/console/audit",
        }
    }

    /// Under which of them a path is.
    pub(super) fn of(path: &str) -> Self {
        let is_under =
            |place: &Self| path.strip_prefix(place.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Self::ALL.into_iter().rev().find(is_under).unwrap_or(Self::Overview)
    }
}

/// A page of the console.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// Which way is marked as the one taken.
    pub(super) place: Place,
    /// Its heading and the browser's title.
    pub(super) title: &'a str,
    /// What changes it, as [`super::live`] names it, with blanks between; empty for a page that shows the past.
    pub(super) follows: &'static str,
}

/// The whole page for this operator. What is in `live` is replaced by its newer self when something changed.
pub(super) fn page(desk: &Arc<OperatorState>, operator: &Operator, page: &Page<'_>, body: &Markup) -> Markup {
    let (now, parts) = (desk.now(), desk.tree.health().snapshot());
    let outage = Outage::of(desk, &parts);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(page.title))
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/console" { "Millrace" }
                    nav aria-label="Console" { (ways(page.place)) }
                    (account(operator))
                }
                p #stale role="status" hidden {}
                p #undone role="status" hidden {}
                div #live data-follows=(follows(page)) {
                    div.strip { (strip(desk, &parts, outage.as_ref(), now)) }
                    @if let Some(outage) = &outage { (outage.told(now)) }
                    main #main tabindex="-1" {
                        h1 { (page.title) }
                        (body)
                    }
                }
                (keys())
            }
        }
    }
}

/// Every page that moves shows in its strip how the parts are.
fn follows(page: &Page<'_>) -> String {
    if page.follows.is_empty() { String::new() } else { format!("{} parts", page.follows) }
}

/// A page whose content could not be had: the frame stays and says why. What fails in the desk may soon be another way, so that is
/// looked at again; what is asked for wrongly stays wrong.
pub(super) fn failed(desk: &Arc<OperatorState>, operator: &Operator, shown: &Page<'_>, problem: &Problem) -> Response {
    let may_pass = problem.status().is_server_error();
    let body = html! {
        p.sorry role="alert" { (mark(Tone::Broken, "Not shown")) ": " (sentence(problem)) }
        p {
            @if may_pass { "This page looks again by itself. " }
            a href=(shown.place.path()) { (shown.place.name()) }
        }
    };
    let follows = if may_pass { "log projections" } else { "" };
    let again = Page { place: shown.place, title: shown.title, follows };
    (problem.status(), page(desk, operator, &again, &body)).into_response()
}

/// Of an address that was typed or cut off, a parser's words say nothing to whoever typed it.
fn sentence(problem: &Problem) -> &str {
    match is_misread(problem) {
        true => "What stands after the “?” of this address is not what this page takes.",
        false => problem.message(),
    }
}

/// The page, or what stands in its place.
pub(super) fn answer(
    desk: &Arc<OperatorState>,
    operator: &Operator,
    shown: &Page<'_>,
    body: Result<Markup, Problem>,
) -> Response {
    match body {
        Ok(body) => page(desk, operator, shown, &body).into_response(),
        Err(problem) => failed(desk, operator, shown, &problem),
    }
}

/// What htmx is told: nothing inline, and what somebody opened stays open.
const HTMX: &str =
    r#"{"includeIndicatorCSS":false,"morphIgnore":["data-htmx-powered","open"],"defaultSwap":"outerMorph"}"#;

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="htmx-config" content=(HTMX);
            title { (title) " · Millrace console" }
            link rel="icon" href="data:,";
            link rel="stylesheet" href=(address("uplot.css"));
            link rel="stylesheet" href=(address("console.css"));
            script src=(address("htmx.js")) defer {}
            script src=(address("uplot.js")) defer {}
            script src=(address("console.js")) defer {}
        }
    }
}

fn ways(taken: Place) -> Markup {
    html! {
        ul {
            @for place in Place::ALL {
                li { a href=(place.path()) aria-current=[(place == taken).then_some("page")] { (place.name()) } }
            }
        }
    }
}

fn account(operator: &Operator) -> Markup {
    html! {
        form.account method="post" action="/console/logout" {
            (form_fields(operator))
            a href="/console/account" { (operator.name) }
            button.quiet { "Sign out" }
        }
    }
}

/// What the script does at which key. Without it nobody sees this.
fn keys() -> Markup {
    let key = |keys: &[&str], does: &str| {
        html! { dt { @for key in keys { kbd { (key) } " " } } dd { (does) } }
    };
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl.facts {
                (key(&["j", "k"], "The next row of a list, and the one before"))
                (key(&["Enter"], "Opens the row"))
                (key(&["]", "["], "The next page, and the one before"))
                (key(&["/"], "To the search"))
                (key(&["?"], "Shows these keys"))
                (key(&["Esc"], "Closes them"))
            }
            p { "None of them does anything while you type in a field." }
            form method="dialog" { button { "Close" } }
        }
    }
}

/// How the desk is: halted or not, which parts ail, where the log is.
fn strip(desk: &OperatorState, parts: &[PartHealth], outage: Option<&Outage>, now: DateTime<Utc>) -> Markup {
    html! {
        @if desk.world == World::Sandbox { span.badge { "Sandbox" } }
        (log(desk, outage))
        (health(parts))
        (halt(desk))
        span.as_of { "as of " (moment(now, now)) }
    }
}

/// The log's head, or what is wrong with the log.
fn log(desk: &OperatorState, outage: Option<&Outage>) -> Markup {
    let lag = desk.store.head().saturating_sub(desk.views.position());
    html! {
        a href="/console/log" {
            @match outage {
                Some(outage) => (mark(Tone::Broken, outage.what)),
                None => {
                    "Log at " span.num { (count(desk.store.head())) }
                    @if lag > 0 { ", views " (count(lag)) " behind" }
                }
            }
        }
    }
}

fn health(parts: &[PartHealth]) -> Markup {
    let ailing: Vec<_> = parts.iter().filter(|part| part.ails()).collect();
    html! {
        a href="/console/parts" {
            @match ailing.as_slice() {
                [] => (mark(Tone::Well, "All parts well")),
                [one] => {
                    (mark(Tone::of_part(one.state, false), &format!("{} ails", one.name))) ": "
                    @match one.conditions.first() {
                        Some(condition) => (condition.kind.replace('_', " ")),
                        None => (one.state.word()),
                    }
                }
                several => (mark(Tone::Ailing, &counted(several.len() as u64, "part ails", "parts ail"))),
            }
        }
    }
}

fn halt(desk: &OperatorState) -> Markup {
    let switches = desk.operations.switches();
    let switches = switches.borrow();
    html! {
        @if let Some(cause) = switches.halt() {
            a href="/console/money" { (mark(Tone::Broken, "Halted")) ": " (cause) }
        }
    }
}
