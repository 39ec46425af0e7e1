//! What the console and the customer's page take of whoever looks at them: to be painted, to follow a busy desk, and to find
//! something among a million deposits.

mod behind;
mod known;
mod live;
mod load;
mod paint;
mod search;

use anyhow::Context;

use super::Figure;
use crate::peers::browser::Page;

/// `console_paint_ms`, `console_weight_kb`.
pub(super) fn paint() -> anyhow::Result<Vec<Figure>> {
    runtime()?.block_on(paint::measure())
}

/// `console_live_*`.
pub(super) fn live() -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    runtime()?.block_on(live::measure(&folder.path().join("data")))
}

/// `console_search_1m_ms`, `console_page_1m_ms`.
pub(super) fn search() -> anyhow::Result<Vec<Figure>> {
    let (data_dir, known) = search::prepare()?;
    runtime()?.block_on(search::measure(&data_dir, &known))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A visit to be planned; a figure needs its browser.
fn browser() -> anyhow::Result<Page> {
    Page::new().context("there is no Chromium, or not the packages of tests/peers")
}
