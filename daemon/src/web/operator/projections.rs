//! The projections: how far each is, and making one anew.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use millrace_actors::operations::Note;
use millrace_actors::projection::{self, Projection, ProjectionStatus, Rebuild, UnknownProjection};
use millrace_model::operator::{Action, By};

use super::OperatorState;
use crate::web::extract::Path;
use crate::web::problem::Problem;
use crate::web::shapes::{ALL_PROJECTIONS, ProjectionPage, ProjectionRow, RebuildRow};

/// Changes that come closer together are shown as one.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(in crate::web) async fn list(State(state): State<Arc<OperatorState>>) -> Reply<ProjectionPage> {
    Reply(page(&state))
}

/// The projections now, and again after every change.
pub(in crate::web) async fn live(
    State(state): State<Arc<OperatorState>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = futures::stream::unfold((state, None), |(state, shown)| async move {
        if shown.is_some() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let next = changed(&state, shown.as_ref()).await;
        let event = Event::default().json_data(&next).ok()?;
        Some((Ok(event), (state, Some(next))))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// What there is to show that was not shown before.
async fn changed(state: &OperatorState, shown: Option<&ProjectionPage>) -> ProjectionPage {
    loop {
        let now = page(state);
        if shown != Some(&now) {
            return now;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Who asks twice asks for the same: it is made once.
pub(in crate::web) async fn rebuild(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<ProjectionPage>, Problem> {
    make_anew(&state, By::Token, &name, None).await.map(Reply)
}

/// Has one of them or all made anew.
pub(in crate::web) async fn make_anew(
    state: &OperatorState,
    by: By,
    name: &str,
    note: Option<&Note>,
) -> Result<ProjectionPage, Problem> {
    let wanted = named(name)?;
    if state.tree.health().part(projection::PART).is_none_or(|part| part.state.is_out()) {
        let message = "Nobody keeps the desk's records at the moment; try again.";
        return Err(Problem::unavailable("views_unavailable", message));
    }
    state.acting(by, Action::RebuildProjection, Some(name), note).await;
    // Together, or the first would be begun without the others.
    for projection in state.views.rebuild_together(&wanted) {
        tracing::info!(%projection, "an operator asks for it to be made anew");
    }
    Ok(page(state))
}

/// Has one of them or all held against the log, where that is in nobody's way.
pub(in crate::web) fn verify(state: &OperatorState, name: &str) -> Result<(), Problem> {
    let wanted = named(name)?;
    if !state.store.is_ready() {
        return Err(Problem::unavailable(
            "log_unavailable",
            "The log is not open: there is nothing to hold them against.",
        ));
    }
    state.checks.begin(state.log_file.clone(), state.views.clone(), wanted)
}

fn named(name: &str) -> Result<Vec<Projection>, Problem> {
    Ok(match name {
        ALL_PROJECTIONS => Projection::ALL.to_vec(),
        one => vec![one.parse().map_err(|unknown| no_such(&unknown))?],
    })
}

fn page(state: &OperatorState) -> ProjectionPage {
    let head = state.store.head();
    ProjectionPage { head, projections: state.views.projections(head).into_iter().map(row).collect() }
}

fn row(status: ProjectionStatus) -> ProjectionRow {
    let ProjectionStatus { name, version, shown_version, generation, position, lag, rebuild, failure } = status;
    let rebuild = rebuild.map(|Rebuild { position, end, events_per_second, seconds_left }| RebuildRow {
        position,
        end,
        events_per_second,
        seconds_left,
    });
    ProjectionRow { name: name.name().to_owned(), version, shown_version, generation, position, lag, rebuild, failure }
}

fn no_such(unknown: &UnknownProjection) -> Problem {
    let names = Projection::ALL.map(Projection::name).join(", ");
    tracing::debug!(%unknown, "there is none");
    Problem::not_found(
        "unknown_projection",
        format!("There is no projection of this name; there are {names}, and all."),
    )
}
