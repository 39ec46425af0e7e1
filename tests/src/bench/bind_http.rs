//! `bind_rate_http`: addresses given out by the real program over HTTP, empty and with 100 000 bound.

use std::path::Path;

use anyhow::ensure;

use super::Figure;
use super::customers::{ADDRESSES_EACH, Bound, bind};
use super::real::RealDesk;
use crate::sandbox::{Sandbox, Timing};

/// Binds that are measured.
const MEASURED: usize = 20_000;
/// Binds between the two measurements.
const BETWEEN: usize = 80_000;
const SETTINGS: &[(&str, &str)] = &[("MILLRACE_DESK__METHOD", "direct"), ("MILLRACE_DESK__RATE", "500")];

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(measure(&folder.path().join("data")))
}

async fn measure(data_dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let _sandbox = Sandbox::start(&data_dir.join("sandbox"), Timing::default()).await?;
    let desk = RealDesk::start(data_dir, SETTINGS).await?;
    let (mut first, mut all) = (0, std::collections::HashSet::new());
    let mut rates = Vec::new();
    for binds in [MEASURED, BETWEEN, MEASURED] {
        let Bound { addresses, rate } = bind(&desk, first, binds).await?;
        first += binds / ADDRESSES_EACH;
        all.extend(addresses);
        rates.push(rate);
    }
    let binds = 2 * MEASURED + BETWEEN;
    ensure!(all.len() == binds, "{binds} binds gave {} addresses", all.len());
    let figure = |name, value, note: &str| Figure { name, value, unit: "binds/s", note: note.to_owned() };
    Ok(vec![
        figure(
            "bind_rate_http",
            rates[0],
            "64 clients, POST /api/bind to the real program, empty desk; teller 124 to 307",
        ),
        figure("bind_rate_http_100k", rates[2], "the same with 100 000 bound; teller about 9"),
    ])
}
