//! Both faces of the real program against their own descriptions, asked by schemathesis.

use anyhow::{Context, Result};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::peers::schemathesis::Schemathesis;

/// A desk that has something to show: a customer, an address, a deposit that was paid out.
async fn desk() -> Result<Desk> {
    let desk = Desk::start(&[]).await?;
    let target = fresh_target(51);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.5").await?;
    desk.settled(&target, 1).await?;
    Ok(desk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_get_what_the_description_says() -> Result<()> {
    let Some(schemathesis) = Schemathesis::installed() else { return Ok(()) };
    let desk = desk().await?;
    schemathesis.ask(desk.page(), "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_get_what_the_description_says() -> Result<()> {
    let Some(schemathesis) = Schemathesis::installed() else { return Ok(()) };
    let desk = desk().await?;
    let read = |name: &str| std::fs::read_to_string(desk.data_dir().join(name)).with_context(|| format!("no {name}"));
    let address = format!("http://{}", read("operator.address")?.trim());
    schemathesis.ask(&address, read("operator.token")?.trim()).await
}
