//! `/metrics`: the desk in Prometheus' text format, version 0.0.4, rendered from what is in memory.

mod deliveries;
mod relay;

use std::fmt::{Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use millrace_actors::projection::ProjectionStatus;
use millrace_actors::supervision::{PartHealth, State as PartState};
use millrace_model::alert::Alerts;
use millrace_model::desk::{Setting, Switch};
use millrace_model::ledger::Balance;

use super::OperatorState;

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn show(State(state): State<Arc<OperatorState>>) -> impl IntoResponse {
    let sums = state.deliveries.sums().await;
    let mut page = render(&state);
    deliveries::render(&mut page, &state, sums);
    if let Some(relayed) = &state.relay {
        relay::render(&mut page, relayed);
    }
    ([(CONTENT_TYPE, KIND)], page.0)
}

fn render(state: &OperatorState) -> Page {
    let mut page = Page::default();
    let (views, head) = (state.views.position(), state.store.head());
    let totals = state.views.totals();
    page.one("millrace_log_open", "Whether the event log was opened.", u64::from(state.store.is_ready()));
    page.one("millrace_log_head_position", "Position of the newest event of the log.", head);
    page.one("millrace_views_position", "Position up to which the views show the log.", views);
    page.one("millrace_views_lag_events", "Events the views do not show yet.", head.saturating_sub(views));
    projections(&mut page, &state.views.projections(head));
    page.one("millrace_deposits_open", "Deposits that have not ended.", totals.open());
    page.one("millrace_addresses", "Deposit addresses given out.", totals.addresses());
    page.head("millrace_deposits", "Deposits by where they stand.");
    for line in totals.lines() {
        let labels = [("status", line.status.as_str()), ("outcome", line.outcome.as_deref().unwrap_or(""))];
        page.line("millrace_deposits", &labels, line.deposits);
    }
    page.head("millrace_ledger_units", "What stands on the ledger's accounts, in satoshi or droplets.");
    for Balance { account, coin, units } in state.views.ledger().balances.all() {
        page.line("millrace_ledger_units", &[("account", account.as_str()), ("coin", coin.as_str())], units);
    }
    let lost: u64 = totals.lines().iter().map(|line| line.lost().units()).sum();
    page.one("millrace_reorg_lost_satoshi", "Deposits that reorganisations took after they were paid for.", lost);
    switches(&mut page, state);
    parts(&mut page, &state.tree.health().snapshot());
    page
}

fn projections(page: &mut Page, projections: &[ProjectionStatus]) {
    let mut each = |name: &str, help: &str, value: fn(&ProjectionStatus) -> u64| {
        page.head(name, help);
        for projection in projections {
            page.line(name, &[("projection", projection.name.name())], value(projection));
        }
    };
    let position = "Position up to which a projection shows the log.";
    each("millrace_projection_position", position, |projection| projection.position);
    each("millrace_projection_lag_events", "Events a projection does not show yet.", |projection| projection.lag);
    let rebuilt = "Whether a projection is being made anew from the log.";
    each("millrace_projection_rebuilding", rebuilt, |projection| u64::from(projection.rebuild.is_some()));
}

fn switches(page: &mut Page, state: &OperatorState) {
    let desk = state.operations.switches().borrow().clone();
    page.head("millrace_switch_on", "Whether what an operator can switch is on.");
    for (name, switch) in [("binds", Switch::Binds), ("purchases", Switch::Purchases), ("sends", Switch::Sends)] {
        page.line("millrace_switch_on", &[("switch", name)], u64::from(desk.setting(switch) == Setting::On));
    }
    let name = "millrace_halted";
    page.one(
        name,
        "Whether orders and payouts are halted until an operator resumes.",
        u64::from(desk.halt().is_some()),
    );
    alerts(page, desk.alerts());
}

/// What operators were told, which is less than what the parts say of themselves.
fn alerts(page: &mut Page, alerts: &Alerts) {
    page.head("millrace_alert_part_down", "1 for a part that operators were told is down.");
    for down in alerts.parts_down() {
        page.line("millrace_alert_part_down", &[("part", &down.part), ("reason", down.reason.as_str())], 1);
    }
    page.head("millrace_alert_balance_low", "1 for a balance that operators were told is low.");
    for low in alerts.balances_low() {
        let labels = [("place", low.place.as_str()), ("coin", low.coin.as_str())];
        page.line("millrace_alert_balance_low", &labels, 1);
    }
}

fn parts(page: &mut Page, parts: &[PartHealth]) {
    page.head("millrace_part_up", "Whether a part runs.");
    for part in parts {
        page.line("millrace_part_up", &[("part", &part.name)], u64::from(part.state == PartState::Running));
    }
    page.head("millrace_part_state", "1 for what a part is doing.");
    for part in parts {
        page.line("millrace_part_state", &[("part", &part.name), ("state", part.state.word())], 1);
    }
    page.head("millrace_part_conditions", "Things that are wrong with a part.");
    for part in parts {
        page.line("millrace_part_conditions", &[("part", &part.name)], part.conditions.len() as u64);
    }
    let name = "millrace_part_restarts_total";
    page.header(name, "Incarnations of a part after its first.", "counter");
    for part in parts {
        page.line(name, &[("part", &part.name)], part.restarts);
    }
}

/// The text so far.
#[derive(Default)]
struct Page(String);

impl Page {
    fn one(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help);
        self.line(name, &[], value);
    }

    fn count(&mut self, name: &str, help: &str, value: impl Display) {
        self.header(name, help, "counter");
        self.line(name, &[], value);
    }

    fn head(&mut self, name: &str, help: &str) {
        self.header(name, help, "gauge");
    }

    fn header(&mut self, name: &str, help: &str, kind: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.write(format_args!("{name}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            self.write(format_args!("{open}{label}=\"{}\"", escaped(text)));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{close} {value}\n"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes everything");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
