//! What notifications come to: never by webhook, address or customer, of which there are many.

use std::collections::BTreeMap;

use millrace_actors::delivery::figures::{Figures, LATENCY_MS, Latencies};
use millrace_actors::subscriptions::delivery::FILE;
use millrace_protocols::delivery::scheduler::Sums;

use super::super::OperatorState;
use super::super::webhook_status::{Status, status};
use super::Page;

/// Without sums, those of the engine are left out: it does not answer.
pub(super) fn render(page: &mut Page, state: &OperatorState, sums: Option<Sums>) {
    webhooks(page, state);
    counted(page, state.deliveries.figures());
    latency(page, &state.deliveries.figures().latencies());
    if let Some(sums) = sums {
        summed(page, &sums, *state.views.newest_notification().borrow());
    }
    file(page, state);
}

fn webhooks(page: &mut Page, state: &OperatorState) {
    let list = state.subscriptions.list().unwrap_or_default();
    let mut counts: BTreeMap<_, u64> = Status::ALL.into_iter().map(|status| (status, 0)).collect();
    list.values().for_each(|known| *counts.entry(status(known, &state.subscriptions).0).or_default() += 1);
    page.head("millrace_webhooks", "Webhooks by whether they are served.");
    for (status, count) in counts {
        page.line("millrace_webhooks", &[("status", status.word())], count);
    }
}

fn counted(page: &mut Page, figures: &Figures) {
    let name = "millrace_delivery_attempts_total";
    page.header(name, "Attempts to deliver a notification, by what came of them.", "counter");
    for (outcome, count) in figures.attempts() {
        page.line(name, &[("outcome", outcome)], count);
    }
    let help = "Notifications that arrived, at each webhook that wants them.";
    page.count("millrace_delivery_delivered_total", help, figures.arrived());
    let (batches, rows) = figures.written();
    page.count("millrace_delivery_commits_total", "Commits to the file of attempts.", batches);
    page.count("millrace_delivery_rows_total", "Attempts that were written to the file of attempts.", rows);
}

fn latency(page: &mut Page, latencies: &Latencies) {
    let name = "millrace_delivery_latency_seconds";
    let help = "From an event's commit to its notification's arrival; of what was sent again on request, from that commit, too.";
    page.header(name, help, "histogram");
    let bucket = format!("{name}_bucket");
    for (limit_ms, count) in LATENCY_MS.iter().zip(latencies.within) {
        page.line(&bucket, &[("le", &seconds(*limit_ms))], count);
    }
    page.line(&bucket, &[("le", "+Inf")], latencies.count);
    page.line(&format!("{name}_sum"), &[], seconds(latencies.sum_ms));
    page.line(&format!("{name}_count"), &[], latencies.count);
}

fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn summed(page: &mut Page, sums: &Sums, newest: u64) {
    page.one("millrace_delivery_in_flight", "Attempts that are under way.", sums.in_flight);
    page.one(
        "millrace_delivery_claimed",
        "Notifications that are under way or about to be, at each webhook.",
        sums.open,
    );
    let help = "Notifications that did not arrive and wait to be sent again, at each webhook.";
    page.one("millrace_delivery_retries_waiting", help, sums.retries);
    let help = "Webhooks that are served and left alone, since they failed again and again.";
    page.one("millrace_delivery_left_alone", help, sums.left_alone);
    let name = "millrace_delivery_backlog_positions";
    page.head(
        name,
        "From the newest notification back to the oldest that somebody still has to get, in positions of the log.",
    );
    for (word, through) in [("served", sums.served_through), ("stopped", sums.stopped_through)] {
        page.line(name, &[("webhooks", word)], through.map_or(0, |through| newest.saturating_sub(through)));
    }
}

fn file(page: &mut Page, state: &OperatorState) {
    let name = "millrace_delivery_file_bytes";
    page.head(name, "Size of the file of attempts and of its write-ahead log.");
    for (word, end) in [("database", ""), ("wal", "-wal")] {
        let path = state.log_file.with_file_name(format!("{FILE}{end}"));
        page.line(name, &[("file", word)], std::fs::metadata(path).map_or(0, |found| found.len()));
    }
}
