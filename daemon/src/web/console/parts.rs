//! The parts as the tree they are: what each does, since when, how often it began anew, what ails it, and the orders it takes.

mod meaning;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::supervision::{Load, PartHealth, State as PartState, Strategy};

use super::act::{Act, Reason, Weight, done, offer};
use super::frame::{Page, Place, answer};
use super::words::{Tone, count, mark, moment};
use crate::web::extract::Path;
use crate::web::operator::act::Why;
use crate::web::operator::{OperatorState, Order, note, order};
use crate::web::problem::Problem;
use crate::web::session::{Operator, Submitted};

const PAGE: Page<'_> = Page { place: Place::Parts, title: "Parts", follows: "parts" };

pub(super) async fn show(State(desk): State<Arc<OperatorState>>, operator: Operator) -> Response {
    let parts = desk.tree.health().snapshot();
    let loads = desk.tree.loads().await;
    let is_silent = loads.is_none();
    let loads = loads.unwrap_or_default().into_iter().map(|load| (load.name.clone(), load)).collect();
    let tree = Shown { parts: &parts, loads, operator: &operator, now: desk.now() };
    let body = html! {
        p { "A part that fails begins anew by itself, after a pause that grows. What one does is shown at its name." }
        @if is_silent { p role="alert" { "The actors' thread does not answer: what waits in mailboxes is not known." } }
        div.scroll tabindex="0" { table {
            caption { "Indented are the members of a group, which depend on each other as it says" }
            thead { tr {
                th scope="col" { "Part" } th scope="col" { "State" } th scope="col" { "Since" } th.n scope="col" { "Restarts" }
                th.n scope="col" { "Waiting" } th.n scope="col" { "Handled" } th.n scope="col" { "Typical, slowest" }
                th scope="col" { "Orders" }
            } }
            tbody { (tree.below(None, 0)) }
        } }
    };
    answer(&desk, &operator, &PAGE, Ok(body))
}

struct Shown<'a> {
    parts: &'a [PartHealth],
    loads: BTreeMap<String, Load>,
    operator: &'a Operator,
    now: DateTime<Utc>,
}

impl Shown<'_> {
    /// The rows of a group's members, each followed by its own.
    fn below(&self, group: Option<&str>, depth: usize) -> Markup {
        html! {
            @for part in self.parts.iter().filter(|part| part.group.as_deref() == group) {
                (self.row(part, depth))
                @if part.strategy.is_some() { (self.below(Some(&part.name), depth + 1)) }
            }
        }
    }

    fn row(&self, part: &PartHealth, depth: usize) -> Markup {
        let load = self.loads.get(&part.name);
        html! {
            tr id={ "part-" (part.name) } {
                th scope="row" class={ "depth-" (depth.min(4)) } {
                    details {
                        summary { (part.name) @if let Some(strategy) = part.strategy { " " span.soft { (together(strategy)) } } }
                        p { (meaning::does(&part.name)) }
                        p { b { "Without it: " } (meaning::without(&part.name)) }
                    }
                }
                td.state { (mark(Tone::of_part(part.state, part.is_well()), part.state.word())) (self.troubles(part)) }
                td { (moment(part.since, self.now)) }
                td.n { (count(part.restarts)) }
                @match load.filter(|load| load.handled > 0 || load.waiting > 0) {
                    Some(load) => {
                        td.n { (count(load.waiting as u64)) " of " (count(load.waiting_max as u64)) }
                        td.n { (count(load.handled)) }
                        td.n { (time(load.typical)) ", " (time(load.slowest)) }
                    }
                    None => { td.n { "–" } td.n { "–" } td.n { "–" } }
                }
                td.acts { (self.orders(part)) }
            }
        }
    }

    /// Why it stands so, what it lives with, and its last failure.
    fn troubles(&self, part: &PartHealth) -> Markup {
        html! {
            @if let PartState::BackingOff { next_try } = part.state { div.soft { "next try " (moment(next_try, self.now)) } }
            @if let Some(failing) = part.failing {
                div.soft { "fails since " (moment(failing.since, self.now)) @if failing.times > 1 { ", " (count(failing.times)) " times" } }
            }
            @if let Some(why) = &part.why { div { (why) } }
            @for condition in &part.conditions {
                div { (mark(Tone::Ailing, condition.kind)) ": " (condition.text) " " span.soft { (moment(condition.since, self.now)) } }
            }
            @if let Some(error) = &part.last_error {
                div.soft { "last error " (moment(error.at, self.now)) ": " (error.text) }
            }
        }
    }

    /// The orders that a part in this state takes.
    fn orders(&self, part: &PartHealth) -> Markup {
        html! {
            @for offered in OFFERED.iter().filter(|offered| takes(part.state, offered.order)) {
                @let (id, to) = (format!("{}-{}", offered.word(), part.name), format!("/console/parts/{}/{}", part.name, offered.word()));
                (offer(self.operator, &Act {
                    id: &id,
                    label: offered.label,
                    to: &to,
                    says: &format!("{} {}", offered.says, meaning::without(&part.name)),
                    weight: offered.weight,
                    reason: Reason::Asked,
                    fields: html! {},
                }))
            }
        }
    }
}

/// An order that the page offers.
struct Offered {
    order: Order,
    label: &'static str,
    /// What comes of it, before what goes without the part.
    says: &'static str,
    weight: Weight,
}

impl Offered {
    /// In the address that it is sent to.
    const fn word(&self) -> &'static str {
        self.order.action().as_str()
    }
}

/// What a part can be told here.
const OFFERED: [Offered; 3] = [
    Offered {
        order: Order::Start,
        label: "Start",
        says: "It is started now, and what failed before is forgotten. Without it:",
        weight: Weight::Light,
    },
    Offered {
        order: Order::Stop,
        label: "Stop",
        says: "It ends in order and stays stopped until somebody starts it. Until then:",
        weight: Weight::Grave,
    },
    Offered {
        order: Order::Restart,
        label: "Restart",
        says: "It ends in order and begins anew at once, from what the log says. For that moment:",
        weight: Weight::Light,
    },
];

fn takes(state: PartState, order: Order) -> bool {
    match order {
        Order::Start => matches!(state, PartState::Down | PartState::Stopped | PartState::BackingOff { .. }),
        Order::Stop => state != PartState::Stopped,
        Order::Restart | Order::Break => {
            matches!(state, PartState::Running | PartState::Halted | PartState::Starting)
        }
    }
}

const fn together(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::OneForOne => "(each on its own)",
        Strategy::OneForAll => "(all or none)",
        Strategy::RestForOne => "(who comes later depends on who comes first)",
    }
}

fn time(time: std::time::Duration) -> String {
    match time.as_micros() {
        us @ 0..1_000 => format!("{us} µs"),
        us @ 1_000..1_000_000 => format!("{} ms", us / 1_000),
        us => format!("{:.1} s", us as f64 / 1e6),
    }
}

pub(super) async fn act(
    State(desk): State<Arc<OperatorState>>,
    Path((name, word)): Path<(String, String)>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async {
        let wanted = OFFERED.iter().find(|offered| offered.word() == word);
        let wanted =
            wanted.ok_or_else(|| Problem::not_found("not_found", "Parts are started, stopped and restarted."))?;
        order(&desk, operator.by(), wanted.order, &name, Some(&note(&fields.note)?)).await?;
        Ok(format!("{}#part-{name}", Place::Parts.path()))
    };
    done(outcome.await, Place::Parts.path())
}
