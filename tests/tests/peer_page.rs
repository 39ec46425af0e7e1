//! The page in a real browser, from the payout address to the payout.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_tests::desk::{Desk, books_of, fresh_target};
use millrace_tests::peers::browser::Page;

/// The browser's own start included.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);
const BUTTON: &str = "form[action='/bind'] button";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_walks_from_his_address_to_his_payout_without_reloading() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(41);
    let picture = desk.data_dir().join("page.png");
    let visit = page
        .open(desk.page())
        .fill("#amount", "0.1")
        .wait_for_text("[data-quote-result]", "50.000")
        .fill("#target", &target)
        .click(BUTTON)
        .wait_for_text("#deposits-title + p", "Waiting for a deposit.")
        .text("#deposit-address")
        .count(".qr svg path")
        .screenshot(&picture)
        .wait_for_text("article [role=status]", "Paid out")
        .text("article dd:nth-of-type(1)")
        .count("article")
        .run();
    let paid = async {
        let address = shown(&desk, &target, &picture).await?;
        desk.command(&["sandbox", "pay", &address, "0.05"]).await?;
        anyhow::Ok(address)
    };
    let (visit, paid) = tokio::join!(visit, paid);
    let (visit, address) = (visit?, paid?);

    assert_eq!(visit.read[0], address);
    assert_ne!(visit.read[1], "0", "a QR code is drawn");
    assert_eq!(visit.read[2..], ["25.000000 SKY", "1"]);
    assert_eq!(visit.errors, Vec::<String>::new());
    let home = format!("{}/", desk.page());
    assert_eq!(visit.loaded, [home.clone(), format!("{home}customer/{target}")], "each page was loaded once");
    let payments = books_of(&desk, &target).await?;
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0]["coins"], "25.000000");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_goes_on_by_itself_when_the_desk_was_killed_and_started_again() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    // An address of this test's own, so that the desk comes back where the browser looks for it.
    let listen = ("MILLRACE_PUBLIC__LISTEN", "127.0.43.1:7071");
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500"), listen]).await?;
    let target = fresh_target(43);
    let picture = desk.data_dir().join("page.png");
    let visit = page
        .open(desk.page())
        .fill("#target", &target)
        .click(BUTTON)
        .wait_for_text("#deposits-title + p", "Waiting for a deposit.")
        .screenshot(&picture)
        .wait_for_text("article [role=status]", "Paid out")
        .run();
    let restarted = async {
        let address = shown(&desk, &target, &picture).await?;
        desk.kill_and_restart().await?;
        desk.pay(&address, "0.05").await
    };
    let (visit, restarted) = tokio::join!(visit, restarted);
    restarted?;
    assert_eq!(visit?.loaded.len(), 2, "the page was not loaded again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistyped_address_is_answered_with_a_sentence_beside_what_was_typed() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(42);
    let mistyped = format!("{}<script>", &target[..target.len() - 8]);
    let visit = page
        .open(desk.page())
        .fill("#target", &mistyped)
        .press("Enter")
        .wait_for_text("[role=alert]", "Invalid skycoin address")
        .text("[role=alert]")
        .count("#target[aria-invalid=true][aria-describedby=problem]")
        .fill("#target", &target)
        .click(BUTTON)
        .wait_for_text("#deposit-address", "bcrt1")
        .run()
        .await?;
    assert!(visit.read[0].starts_with("Invalid skycoin address: ") && visit.read[0].ends_with('.'), "{:?}", visit.read);
    assert_eq!(visit.read[1], "1");
    // A browser notes every answer that is an error; the page itself adds none.
    let others: Vec<_> = visit.errors.iter().filter(|error| !error.contains("status of 400")).collect();
    assert_eq!(others, Vec::<&String>::new());
    Ok(())
}

/// The customer's address, once the browser shows it: then it has taken the picture.
async fn shown(desk: &Desk, target: &str, picture: &Path) -> Result<String> {
    desk.until(SHOWN_WITHIN, "the browser shows an address", async || Ok(picture.exists().then_some(()))).await?;
    let customer = desk.get(&format!("/api/v1/customers/{target}")).await?;
    Ok(customer["addresses"][0]["address"].as_str().context("an address")?.to_owned())
}
