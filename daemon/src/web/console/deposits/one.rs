//! One deposit: how it stands now, what may be done to it, and all that is known of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::projection::DepositRow;
use millrace_model::ids::{DepositId, Version};
use serde::Deserialize;

use super::read::Stream;
use super::travel::Wanted;
use super::{actions, facts, money, path, replay, timeline, told, travel};
use crate::web::console::frame::{Page, Place, answer};
use crate::web::console::instant::instant;
use crate::web::console::standstill::{self, Station};
use crate::web::console::words::{Tone, mark};
use crate::web::extract::{Path, Query};
use crate::web::operator::OperatorState;
use crate::web::problem::Problem;
use crate::web::session::Operator;

/// Which moment: neither for now.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    version: Option<Version>,
    at: Option<String>,
}

impl Asked {
    fn wanted(&self) -> Result<Wanted, Problem> {
        Ok(Wanted { version: self.version, at: instant(self.at.as_deref())? })
    }
}

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(id): Path<DepositId>,
    asked: Result<Query<Asked>, Problem>,
) -> Response {
    let wanted = asked.and_then(|Query(asked)| asked.wanted());
    let is_now = matches!(wanted, Ok(Wanted { version: None, at: None }));
    let (title, follows) = match is_now {
        true => (format!("Deposit {id}"), "log deliveries"),
        false => (format!("Deposit {id}, as it was"), ""),
    };
    let body = async {
        let wanted = wanted?;
        match Stream::of(&desk, id).await {
            Ok(stream) if is_now => Ok(now(&desk, &operator, &stream).await),
            Ok(stream) => travel::body(&desk, &stream, wanted).await,
            Err(problem) if is_now && problem.status().is_server_error() => as_folded(&desk, id, problem).await,
            Err(problem) => Err(problem),
        }
    };
    let (page, body) = (Page { place: Place::Deposits, title: &title, follows }, body.await);
    answer(&desk, &operator, &page, body)
}

async fn now(desk: &OperatorState, operator: &Operator, stream: &Stream) -> Markup {
    let (now, deposit) = (desk.now(), stream.deposit());
    let told = told::told(desk, operator, stream).await;
    html! {
        @if let Some(row) = stream.row() { (facts::now(&row, now)) (waits(desk, &row, now)) }
        p { a href={ (path(stream.id)) "?version=" (stream.version()) } rel="prev" { "◀ How it came to this, event by event" } " · "
            a href={ (Place::Log.path()) "/deposit/" (stream.id) } { "What led to what" } " · "
            a href={ (Place::Log.path()) "?stream=deposit/" (stream.id) } { "Its events in the log" }
        }
        h2 #actions { "What may be done now" }
        @match &deposit {
            Some(deposit) => (actions::offered(operator, (deposit, stream.version()))),
            None => p role="alert" { "Nothing: it cannot be known where it stands." },
        }
        h2 #story { "What happened, and why" }
        (timeline::told(stream, now))
        h2 #postings { "Postings" }
        (money::postings(&stream.events))
        h2 #orders { "Orders and fills" }
        (money::purchase(&stream.events, deposit.as_ref()))
        h2 #payout { "Payout" }
        (money::payout(deposit.as_ref()))
        h2 #told { "What was told" }
        (told)
        h2 #take { "Take it away" }
        (replay::offered(stream.id))
    }
}

/// What the views say of it while its events cannot be read.
async fn as_folded(desk: &OperatorState, id: DepositId, problem: Problem) -> Result<Markup, Problem> {
    let Ok(Some(row)) = desk.views.deposit(id).await else { return Err(problem) };
    Ok(html! {
        p role="alert" { "Its events cannot be read at the moment: " (problem.message()) }
        p { "This is how it was folded last:" }
        (facts::now(&row, desk.now()))
    })
}

/// Why it does not go on, while something hinders that.
fn waits(desk: &OperatorState, row: &DepositRow, now: DateTime<Utc>) -> Markup {
    let parts = desk.tree.health().snapshot();
    let switches = desk.operations.switches();
    let station = Station::of_deposit(&row.status);
    let causes = station.map(|station| station.hindrances(&switches.borrow(), &parts)).unwrap_or_default();
    html! {
        @if !causes.is_empty() { p { (mark(Tone::Ailing, "It may have to wait")) ": " (standstill::told(&causes, now)) } }
    }
}
