//! The page in a real browser, from the amount to the payout, in both modes; with a desk that dies meanwhile.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_tests::desk::{Desk, books_of, fresh_target, signal};
use millrace_tests::peers::browser::{Page, screenshots};
use serde_json::json;

/// The browser's own start included.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);
const BUTTON: &str = "form[action='/bind'] button";
const WAITING: &str = ".deposits > [role=status]";
const STATUS: &str = "article [role=status]";
/// Types a character more, empties the field before anybody looked, and counts the looks that are still to come.
const EMPTIED: &str = "
    const pending = new Set();
    const { setTimeout: later, clearTimeout: never } = globalThis;
    globalThis.setTimeout = (...asked) => { const one = later(...asked); pending.add(one); return one; };
    globalThis.clearTimeout = (one) => { pending.delete(one); never(one); };
    const { target } = document.querySelector('[data-check]').elements;
    for (const value of [`${target.value}x`, '']) {
        target.value = value;
        target.dispatchEvent(new Event('input', { bubbles: true }));
    }
    document.body.dataset.pending = pending.size;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_walks_from_an_amount_to_his_payout() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    // Blocks slow enough for a person, and the browser, to see them come.
    let slow = [("MILLRACE_SANDBOX__BITCOIN_BLOCK_MS", "1500"), ("MILLRACE_BITCOIN__CONFIRMATIONS", "3")];
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500"), slow[0], slow[1]]).await?;
    let (target, pictures) = (fresh_target(41), screenshots()?);
    let picture = desk.data_dir().join("page.png");
    let visit = page
        .open(desk.page())
        .fill("#amount", "0.05")
        .wait_for_text("[data-quote-result]", "25.000")
        .fill("#target", &target)
        .wait_for_text("#target-said", "This is a Skycoin address.")
        .screenshot(&pictures.join("quoted.png"))
        .click(BUTTON)
        .wait_for_text(WAITING, "Waiting for a deposit.")
        .text("#deposit-address")
        .count(".qr svg path")
        .attribute("#wallet", "href")
        .focus("#copy")
        .press("Enter")
        .wait_for_text("#copied", "Copied")
        .clipboard()
        .screenshot(&picture)
        .wait_for_text(STATUS, "Waiting for confirmation")
        .count("#copy:focus")
        .screenshot(&pictures.join("confirming.png"))
        .reload()
        .wait_for_text(STATUS, "Paid out")
        .text("article h3")
        .count("article")
        .count(".timeline .done")
        .count(".timeline li:not(.done)")
        .screenshot(&pictures.join("paid-direct.png"))
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
    assert_eq!(visit.read[2], format!("bitcoin:{address}?amount=0.05000000"));
    assert_eq!(visit.read[3], address, "the address was copied");
    assert_eq!(visit.read[4], "1", "what has the focus keeps it while the page changes");
    assert_eq!(visit.read[5..], ["0.05000000 BTC → 25.000000 SKY", "1", "5", "0"]);
    assert_eq!(visit.errors, Vec::<String>::new());
    let home = format!("{}/", desk.page());
    let mine = format!("{home}customer/{target}?amount=0.05000000");
    assert_eq!(visit.loaded, [home, mine.clone(), mine], "nothing was loaded again but what was asked for");
    let payments = books_of(&desk, &target).await?;
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0]["coins"], "25.000000");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_is_watched_over_the_death_of_the_core() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    desk.sandbox()?.post("/market/fills", &json!({ "percent": 40 })).await?;
    let (target, pictures) = (fresh_target(44), screenshots()?);
    let (picture, buying) = (desk.data_dir().join("page.png"), pictures.join("buying.png"));
    if buying.exists() {
        std::fs::remove_file(&buying)?;
    }
    let visit = page
        .open(desk.page())
        .fill("#payout", "10")
        .wait_for_text("[data-quote-result]", "from the exchange's order book")
        .screenshot(&pictures.join("quoted-book.png"))
        .fill("#target", &target)
        .click(BUTTON)
        .wait_for_text(WAITING, "Waiting for a deposit.")
        .screenshot(&picture)
        .wait_for_text(".timeline .now .told", " %: ")
        .screenshot(&buying)
        .wait_for_text("[data-stale]", "No connection to the desk")
        .screenshot(&pictures.join("stale.png"))
        .wait_gone("[data-stale]")
        .wait_for_text(STATUS, "Paid out")
        .reload()
        .wait_for_text(STATUS, "Paid out")
        .count(".timeline .done")
        .screenshot(&pictures.join("paid-passthrough.png"))
        .run();
    let died = async {
        let address = shown(&desk, &target, &picture).await?;
        desk.pay(&address, "0.05").await?;
        desk.until(SHOWN_WITHIN, "the purchase is seen", async || Ok(buying.exists().then_some(()))).await?;
        signal("KILL", desk.core()?)?;
        desk.until(SHOWN_WITHIN, "the core serves again", async || Ok(desk.get("/api/config").await.ok())).await?;
        desk.sandbox()?.post("/market/fills", &json!({ "percent": null })).await?;
        anyhow::Ok(())
    };
    let (visit, died) = tokio::join!(visit, died);
    died?;
    let visit = visit?;
    assert_eq!(visit.read, ["6"], "every step of a purchase is done");
    assert_eq!(books_of(&desk, &target).await?.len(), 1, "paid once");
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
        .wait_for_text(WAITING, "Waiting for a deposit.")
        .screenshot(&picture)
        .wait_for_text(STATUS, "Paid out")
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
async fn a_mistyped_address_is_answered_beside_what_was_typed_with_scripts_and_without() -> Result<()> {
    let (Some(page), Some(plain)) = (Page::new(), Page::new()) else { return Ok(()) };
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(42);
    let mistyped = format!("{}<script>", &target[..target.len() - 8]);
    let visit = page
        .open(desk.page())
        .fill("#target", &mistyped)
        .wait_for_text("#target-said", "it has a character that addresses do not have")
        .fill("#target", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq")
        .wait_for_text("#target-said", "This is a Bitcoin address.")
        .count("#target[aria-invalid=true]")
        .fill("#target", &target)
        .wait_for_text("#target-said", "This is a Skycoin address.")
        .count("#target[aria-invalid]")
        .script(EMPTIED)
        .attribute("body", "data-pending")
        .text("#target-said")
        .run()
        .await?;
    assert_eq!(visit.read, ["1", "0", "0", ""], "an address that is no longer there is not looked at");
    assert_eq!(visit.errors, Vec::<String>::new());

    let visit = plain
        .without_scripts()
        .open(desk.page())
        .fill("#payout", "25")
        .press("Enter")
        .wait_for_text("[data-quote-result]", "0.05000000")
        .fill("#target", &mistyped)
        .press("Enter")
        .wait_for_text("[role=alert]", "it has a character that addresses do not have")
        .count("#target[aria-invalid=true]")
        .fill("#target", &target)
        .click(BUTTON)
        .wait_for_text("#deposit-address", "bcrt1")
        .wait_for_text("noscript a", "Look again")
        .click(".languages a[hreflang=ru]")
        .wait_for_text(WAITING, "Ожидается взнос.")
        .run()
        .await?;
    assert_eq!(visit.read, ["1"]);
    Ok(())
}

/// The customer's address, once the browser shows it: then it has taken the picture.
async fn shown(desk: &Desk, target: &str, picture: &Path) -> Result<String> {
    desk.until(SHOWN_WITHIN, "the browser shows an address", async || Ok(picture.exists().then_some(()))).await?;
    let customer = desk.get(&format!("/api/v1/customers/{target}")).await?;
    Ok(customer["addresses"][0]["address"].as_str().context("an address")?.to_owned())
}
