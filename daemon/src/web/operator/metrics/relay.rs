//! What relaying others' notifications comes to.

use millrace_actors::relay::Relay;

use super::Page;

pub(super) fn render(page: &mut Page, relay: &Relay) {
    let counted = relay.figures().counted();
    let name = "millrace_relay_records_total";
    page.header(name, "Records that were read from the queue, by what they came to.", "counter");
    for (result, count) in [
        ("accepted", counted.accepted),
        ("repeated", counted.repeated),
        ("undeliverable", counted.undeliverable),
        ("bad", counted.bad),
        ("lost", counted.lost),
    ] {
        page.line(name, &[("result", result)], count);
    }
    page.count("millrace_relay_failures_total", "How often the queue could not be read.", counted.failures);
    let name = "millrace_relay_customers";
    page.head(name, "Customers whose messages are taken.");
    page.line(name, &[], relay.figures().customers());
    let name = "millrace_relay_attempts_total";
    page.header(name, "Attempts to deliver what was read, by what came of them.", "counter");
    for (outcome, count) in relay.deliveries().attempts() {
        page.line(name, &[("outcome", outcome)], count);
    }
    let help = "What was read and arrived, at each webhook that wants it.";
    page.count("millrace_relay_delivered_total", help, relay.deliveries().arrived());
}
