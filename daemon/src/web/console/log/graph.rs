//! What led to what in a deposit's life, drawn: a lane for each stream, an event after the other, lines from cause to effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use millrace_model::ids::{DepositId, Position};

use super::stream;
use crate::web::console::frame::{Page, Place, answer};
use crate::web::console::words::{count, moment};
use crate::web::extract::Path;
use crate::web::operator::OperatorState;
use crate::web::operator::causes::{self, Causes, Node, Relation};
use crate::web::session::Operator;

/// Distances of the drawing, in its own units.
const STEP: usize = 46;
const LANE: usize = 44;
const LEFT: usize = 190;
const TOP: usize = 30;

pub(in crate::web::console) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(id): Path<DepositId>,
) -> Response {
    let page = Page { place: Place::Log, title: "What led to what", follows: "" };
    let found = causes::of_deposit(State(Arc::clone(&desk)), Path(id)).await;
    let now = desk.now();
    let shown = found.map(|found| {
        html! {
            p { a href={ "/console/deposits/" (id) } { "Deposit " (id) } }
            @if !found.complete { p role="status" { "It has more events than are drawn." } }
            (drawing(&found))
            h2 { "The same as a list" }
            div.scroll tabindex="0" { table {
                thead { tr { th.n scope="col" { "Position" } th scope="col" { "What happened" } th scope="col" { "Stream" } th scope="col" { "When" } th scope="col" { "Led to" } } }
                tbody { @for node in &found.nodes { tr {
                    th.n scope="row" { a href={ "/console/log/" (node.position) } { (count(node.position)) } }
                    td { (node.kind) }
                    td { (stream(&node.stream)) }
                    td { (moment(node.recorded_at, now)) }
                    td { @for edge in found.edges.iter().filter(|edge| edge.from == node.position && edge.relation == Relation::Caused) {
                        a href={ "/console/log/" (edge.to) } { (count(edge.to)) } " "
                    } }
                } } }
            } }
        }
    });
    answer(&desk, &operator, &page, shown)
}

/// Where each event is drawn: how far to the right, and in which lane.
struct Places<'a> {
    lanes: Vec<&'a str>,
    of: BTreeMap<Position, (usize, usize)>,
}

impl<'a> Places<'a> {
    fn of(nodes: &'a [Node]) -> Self {
        let mut lanes: Vec<&str> = Vec::new();
        let mut of = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            let lane = lanes.iter().position(|lane| *lane == node.stream).unwrap_or_else(|| {
                lanes.push(&node.stream);
                lanes.len() - 1
            });
            of.insert(node.position, (LEFT + index * STEP, TOP + lane * LANE));
        }
        Self { lanes, of }
    }
}

fn drawing(causes: &Causes) -> Markup {
    let places = Places::of(&causes.nodes);
    let (width, height) = (LEFT + causes.nodes.len() * STEP + 20, TOP + places.lanes.len() * LANE);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Drawing of what led to what" {
            svg.graph width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } aria-hidden="true" {
                @for (lane, name) in places.lanes.iter().enumerate() {
                    text.lane x="4" y=(TOP + lane * LANE + 4) { (lane_name(name)) }
                    line.lane x1=(LEFT - 20) x2=(width) y1=(TOP + lane * LANE) y2=(TOP + lane * LANE) {}
                }
                @for edge in &causes.edges {
                    @if let (Some((x1, y1)), Some((x2, y2))) = (places.of.get(&edge.from), places.of.get(&edge.to)) {
                        path.together[edge.relation == Relation::Together]
                            d={ "M" (x1) " " (y1) " Q" ((x1 + x2) / 2) " " (y1.min(y2).saturating_sub(26)) " " (x2) " " (y2) } {}
                    }
                }
                @for node in &causes.nodes {
                    @if let Some((x, y)) = places.of.get(&node.position) {
                        a href={ "/console/log/" (node.position) } tabindex="-1" {
                            circle cx=(x) cy=(y) r="7" { title { (node.kind) " at " (node.position) } }
                        }
                    }
                }
            }
        }
    }
}

/// An id is too long for a lane's name.
fn lane_name(stream: &str) -> String {
    const SHOWN_CHARS: usize = 22;
    match stream.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &stream[..end]),
        None => stream.to_owned(),
    }
}
