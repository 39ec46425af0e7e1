//! One deposit's events as a file to take away: what `millrace export --deposit` writes, for `millrace replay --file`.

use std::io::{self, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, html};
use millrace_actors::export::{ExportError, Wanted, export};
use millrace_model::ids::DepositId;
use millrace_model::redaction::Pseudonyms;
use serde::Deserialize;

use super::path;
use crate::web::console::frame::{Page, Place, failed};
use crate::web::extract::{Path, Query};
use crate::web::operator::OperatorState;
use crate::web::operator::deposits::unknown_deposit;
use crate::web::problem::Problem;
use crate::web::session::Operator;

/// It is made whole before it is sent, so that a file that came is complete. A deposit's is some ten thousand bytes.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Whether what tells of a person is replaced.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    redact: Option<bool>,
}

/// The ways to the file.
pub(super) fn offered(id: DepositId) -> Markup {
    let to = format!("{}/replay.jsonl", path(id));
    html! {
        p {
            a href=(to) download { "Download as replay file" } ", or "
            a href={ (to) "?redact=true" } download { "without what tells of a person" }
            ". " code { "millrace replay --file FILE" } " steps through it."
        }
    }
}

pub(super) async fn file(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(id): Path<DepositId>,
    asked: Result<Query<Asked>, Problem>,
) -> Response {
    let made = async { made(&desk, id, asked?.0.redact.unwrap_or(false)).await };
    match made.await {
        Ok(bytes) => {
            let name = format!("attachment; filename=\"deposit-{id}.jsonl\"");
            ([(CONTENT_TYPE, "application/jsonl".to_owned()), (CONTENT_DISPOSITION, name)], bytes).into_response()
        }
        Err(problem) => {
            failed(&desk, &operator, &Page { place: Place::Deposits, title: "Replay file", follows: "" }, &problem)
        }
    }
}

async fn made(desk: &Arc<OperatorState>, id: DepositId, redacted: bool) -> Result<Vec<u8>, Problem> {
    let made = desk.read(move |reader| {
        let pseudonyms = redacted.then(|| Pseudonyms::new(rand::random()));
        let mut file = Bounded(Vec::new());
        let program = env!("CARGO_PKG_VERSION");
        Ok(export(reader, Wanted::Deposit(id), pseudonyms.as_ref(), (program, &mut file)).map(|_| file.0))
    });
    made.await?.map_err(refused)
}

fn refused(why: ExportError) -> Problem {
    match why {
        ExportError::NoDeposit(_) => unknown_deposit(),
        ExportError::Write(_) => {
            let message = "The file would be too large for a page; `millrace export --deposit` writes it.";
            Problem::unprocessable("too_large", message)
        }
        other => {
            tracing::warn!(error = %other, "a deposit cannot be written down");
            Problem::conflict("not_exportable", format!("It cannot be written down: {other}."))
        }
    }
}

/// A file that does not grow beyond [`BYTES_MAX`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
