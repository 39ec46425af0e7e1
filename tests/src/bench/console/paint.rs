//! Every page of the console and of the customer's page in Chromium: how long until something is painted, with what was fetched
//! before in the cache, and how much the page weighs without.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::json;

use super::browser;
use crate::bench::Figure;
use crate::console::{console, logged_in, pages};
use crate::desk::{Desk, fresh_target};
use crate::operator::OperatorApi;
use crate::peers::browser::Measured;

/// How often each page is opened with a warm cache.
const ROUNDS: usize = 5;
const DEPOSITS: u8 = 6;
/// The overview's plots are fetched after the page.
const PLOT: &str = "[data-plot*='plot=throughput'] .u-legend";

pub(super) async fn measure() -> anyhow::Result<Vec<Figure>> {
    let page = browser()?;
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let pages = addresses(&desk).await?;
    let mut visit = logged_in(page, &desk)?;
    for (_, address) in &pages {
        visit = visit.open(address);
    }
    for (_, address) in pages.iter().cycle().take(ROUNDS * pages.len()) {
        visit = visit.open(address).measure();
    }
    for (name, address) in &pages {
        visit = visit.forget().open(address);
        if name == "overview" {
            visit = visit.wait_for_text(PLOT, "");
        }
        visit = visit.measure();
    }
    let visit = visit.run().await?;
    ensure!(visit.errors.is_empty(), "{:?}", visit.errors);
    let (warm, cold) = visit.measured.split_at(ROUNDS * pages.len());
    let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
    Ok(vec![first_paint(&names, warm)?, weight(&names, cold)?])
}

/// All pages, of a desk with a few deposits, a receiver and an address that waits.
async fn addresses(desk: &Desk) -> anyhow::Result<Vec<(String, String)>> {
    for number in 1..=DEPOSITS {
        desk.pay(&desk.bind(&fresh_target(number)).await?, "0.05").await?;
    }
    let mut ids = Vec::new();
    for number in 1..=DEPOSITS {
        let settled = desk.settled(&fresh_target(number), 1).await?;
        ids.push(settled[0]["id"].as_str().context("an id")?.to_owned());
    }
    let webhook = json!({ "url": "http://127.0.0.1:9/told", "events": [{ "name": "*" }] });
    let api = OperatorApi::of(desk)?;
    let webhook = api.post("/notifications/webhooks", &webhook).await?;
    let webhook = webhook["id"].as_str().context("an id")?;
    let told = api.get("/notifications/webhooks-events?event_type=Deposit.*").await?;
    let told = told["events"][0]["id"].as_str().context("an id")?;
    let (console, home) = (console(desk)?, desk.page());
    let own =
        pages(&ids[0], webhook, told).into_iter().map(|(name, path)| (name.to_owned(), format!("{console}{path}")));
    let customers = [
        ("customer's home", format!("{home}/")),
        ("customer", format!("{home}/customer/{}", fresh_target(1))),
        ("customer with a quote", format!("{home}/customer/{}?amount=0.05", fresh_target(2))),
    ];
    Ok(own.chain(customers.map(|(name, address)| (name.to_owned(), address))).collect())
}

fn first_paint(names: &[&str], warm: &[Measured]) -> anyhow::Result<Figure> {
    let mut of_pages: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (name, measured) in names.iter().cycle().zip(warm) {
        of_pages.entry(name).or_default().push(measured.first_paint_ms);
    }
    of_pages.values_mut().for_each(|paints| paints.sort_unstable());
    let slowest = of_pages.iter().max_by_key(|(_, paints)| paints.last());
    let (slowest, paints) = slowest.context("there are pages")?;
    let medians = of_pages.iter().map(|(name, paints)| (paints[ROUNDS / 2], *name));
    let (median, name) = medians.max().context("there are pages")?;
    Ok(Figure {
        name: "console_paint_ms",
        value: paints[ROUNDS - 1] as f64,
        unit: "ms",
        note: format!(
            "first contentful paint of {slowest}, the slowest of {ROUNDS} looks at each of {} pages, cache warm ({} to {}); the \
             slowest median is that of {name}, {median}; bar 200",
            names.len(),
            paints[0],
            paints[ROUNDS - 1],
        ),
    })
}

fn weight(names: &[&str], cold: &[Measured]) -> anyhow::Result<Figure> {
    let weights = names.iter().zip(cold).map(|(name, measured)| (measured, *name));
    let (heaviest, name) = weights.max_by_key(|(measured, _)| measured.transferred_bytes).context("there are pages")?;
    let slowest = cold.iter().map(|measured| measured.first_paint_ms).max().context("there are pages")?;
    Ok(Figure {
        name: "console_weight_kb",
        value: heaviest.transferred_bytes as f64 / 1e3,
        unit: "kB",
        note: format!(
            "{name}, the heaviest of {} pages: {} bytes as sent, script, style and headers included, cache empty; first paint \
             of the slowest so {slowest} ms; bar 300",
            names.len(),
            heaviest.transferred_bytes,
        ),
    })
}
