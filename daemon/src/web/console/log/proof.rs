//! The proof of the whole log, as the log's page offers and shows it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::proof::{Compared, Report};

use crate::web::console::act::{Act, Reason, Weight, done, offer};
use crate::web::console::frame::Place;
use crate::web::console::words::{Tone, count, counted, mark, moment};
use crate::web::operator::OperatorState;
use crate::web::operator::proofs::Proof;
use crate::web::session::{Nothing, Operator, Submitted};

/// So much of what is wrong is shown; `millrace verify` tells all.
const FINDINGS_SHOWN_MAX: usize = 20;

pub(super) fn panel(desk: &OperatorState, operator: &Operator, now: DateTime<Utc>) -> Markup {
    let proof = desk.proofs.newest();
    html! {
        section aria-label="Proof of the log" {
            p { (told(&proof, now)) }
            @if let Proof::Ended { outcome: Ok(report), .. } = &proof { (findings(report)) }
            @if !matches!(proof, Proof::Running { .. }) {
                (offer(operator, &Act {
                    id: "prove",
                    label: "Verify the log",
                    to: "/console/log/verify",
                    says: "Every event is read and held against its hash, its stream, the ledger, the head file and the views. It gives \
                           way to the desk's own work.",
                    weight: Weight::Light,
                    reason: Reason::NotAsked,
                    fields: html! {},
                }))
            }
        }
    }
}

fn told(proof: &Proof, now: DateTime<Utc>) -> Markup {
    match proof {
        Proof::Never => {
            html! { (mark(Tone::Quiet, "Not verified")) " since the desk was started; the auditor reads it every day." }
        }
        Proof::Running { since, position, end } => html! {
            (mark(Tone::Busy, "Verifying")) " since " (moment(*since, now)) ": event " (count(*position)) " of " (count(*end))
            progress value=(position) max=(end.max(&1)) aria-label="How much of the log is verified" {}
        },
        Proof::Ended { at, outcome: Err(why) } => {
            html! { (mark(Tone::Broken, "Not verified")) ": " (why) ", " (moment(*at, now)) }
        }
        Proof::Ended { at, outcome: Ok(report) } => {
            let wrong = report.findings.len() as u64 + report.more_findings;
            html! {
                @if report.is_well() { (mark(Tone::Well, "Everything is as it should be")) }
                @else { (mark(Tone::Broken, &counted(wrong, "thing is wrong", "things are wrong"))) }
                ": " (counted(report.events, "event", "events")) " and " (counted(report.deposits, "deposit", "deposits")) ", verified " (moment(*at, now))
                "; head file " (compared(&report.head_file)) ", views " (compared(&report.views)) "."
            }
        }
    }
}

fn compared(compared: &Compared) -> String {
    match compared {
        Compared::UpTo(position) => format!("compared up to {}", count(*position)),
        Compared::LeftOut(why) => format!("left out ({why})"),
    }
}

fn findings(report: &Report) -> Markup {
    html! {
        @if !report.findings.is_empty() {
            ul { @for finding in report.findings.iter().take(FINDINGS_SHOWN_MAX) { li { (finding) } } }
        }
    }
}

pub(in crate::web::console) async fn begin(
    State(desk): State<Arc<OperatorState>>,
    Submitted { operator, .. }: Submitted<Nothing>,
) -> Response {
    tracing::info!(operator = %operator.name, "an operator has the log verified");
    done(desk.proofs.begin().map(|()| Place::Log.path().to_owned()), Place::Log.path())
}
