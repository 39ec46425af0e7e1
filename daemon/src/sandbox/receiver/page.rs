//! What came, for the eye: one table, the newest first.

use maud::{DOCTYPE, Markup, html};

use super::{Received, Shown};

const STYLE: &str = "body{font:15px/1.5 system-ui;margin:2rem}table{border-collapse:collapse}\
                     th,td{padding:.25rem .75rem;text-align:left;border-bottom:1px solid #8884}";

/// The page.
pub(super) fn of(shown: &Shown) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "What the sandbox's receiver was told" }
                style { (STYLE) }
            }
            body {
                h1 { "What the sandbox's receiver was told" }
                p { "It is at " code { (shown.url) } ", checks with " (shown.secrets) " secrets and keeps " (shown.received.len()) " notifications." }
                table {
                    tr { th { "#" } th { "event" } th { "id" } th { "signature" } th { "again" } th { "answered" } }
                    @for received in shown.received.iter().rev() { (row(received)) }
                }
            }
        }
    }
}

fn row(received: &Received) -> Markup {
    let event = received.event_type.as_deref().unwrap_or("not understood");
    let simulated = received.body["simulation"].as_bool().unwrap_or(false);
    html! {
        tr {
            td { (received.number) }
            td { (event) @if simulated { " (simulated)" } }
            td { code { (received.id.as_deref().unwrap_or("none")) } }
            td { (received.signature) }
            td { @if received.repeated { "yes" } }
            td { (format!("{:?}", received.answered).to_lowercase()) }
        }
    }
}
