//! The operators' console in a real browser: every page looked at, parts and projections ordered about, a finished deposit
//! travelled through, and what it says while nodes, exchange and database are dead.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_daemon::web::session::Roster;
use millrace_tests::console::{console, logged_in, pages};
use millrace_tests::desk::{Desk, fresh_target, signal};
use millrace_tests::idle_events;
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::browser::{ColorScheme, Page, Visit, screenshots};
use millrace_tests::ports::OwnPorts;
use rusqlite::Connection;
use serde_json::json;

const RATE: (&str, &str) = ("MILLRACE_DESK__RATE", "500");
/// The most that a page may weigh, with all that it needs, in bytes.
const WEIGHT_MAX: u64 = 300_000;
const PHONE: (u32, u32) = (360, 780);
const DESKTOP: (u32, u32) = (1280, 800);
/// So many take a rebuild long enough to be watched.
const IDLE_EVENTS: usize = 150_000;
/// The browser's own start included.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// Something that one opens, and that is closed in a page that was loaded again.
const OPENED: &str = "#act-restart_part-scanner";

/// A deposit that was paid out, as the API names it.
async fn finished(desk: &Desk, number: u8) -> Result<String> {
    let target = fresh_target(number);
    desk.pay(&desk.bind(&target).await?, "0.05").await?;
    let settled = desk.settled(&target, 1).await?;
    Ok(settled[0]["id"].as_str().context("an id")?.to_owned())
}

fn unharmed(visit: &Visit) {
    assert_eq!((&visit.errors, &visit.violations), (&vec![], &vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_can_be_looked_at_in_any_light_and_on_a_phone() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let api = OperatorApi::of(&desk)?;
    let webhook = json!({ "url": "http://127.0.0.1:9/told", "events": [{ "name": "*" }] });
    let webhook = api.post("/notifications/webhooks", &webhook).await?;
    let webhook = webhook["id"].as_str().context("an id")?;
    let id = finished(&desk, 61).await?;
    let told = api.get("/notifications/webhooks-events?event_type=Deposit.*").await?;
    let told = told["events"][0]["id"].as_str().context("an id")?;
    let (base, pictures) = (console(&desk)?, screenshots()?);
    let pages = pages(&id, webhook, told);
    let mut visit = logged_in(page.open(&base).axe().screenshot(&pictures.join("console-login.png")), &desk)?;
    for (name, path) in &pages {
        visit = visit.open(format!("{base}{path}")).measure().axe().screenshot(&picture(&pictures, name, "light"));
        visit = visit.color_scheme(ColorScheme::Dark).axe().screenshot(&picture(&pictures, name, "dark"));
        visit = visit.color_scheme(ColorScheme::Light).viewport(PHONE.0, PHONE.1).sideways();
        visit = visit.screenshot(&picture(&pictures, name, "phone")).viewport(DESKTOP.0, DESKTOP.1);
    }
    let visit = visit.run().await?;
    unharmed(&visit);
    assert_eq!(visit.read, vec!["0"; pages.len()], "nothing is wider than a phone");
    let slowest = visit.measured.iter().map(|measured| measured.first_paint_ms).max();
    println!("first paint of the slowest of {} pages: {slowest:?} ms", pages.len());
    for ((name, _), measured) in pages.iter().zip(&visit.measured) {
        assert!(measured.transferred_bytes <= WEIGHT_MAX, "{name}: {measured:?}");
    }
    Ok(())
}

fn picture(folder: &Path, name: &str, light: &str) -> std::path::PathBuf {
    folder.join(format!("console-{name}-{light}.png"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_restarted_from_its_page_and_the_audit_says_who_and_why() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let before = OperatorApi::of(&desk)?.part("scanner").await?;
    let visit = logged_in(page, &desk)?
        .click("nav a[href='/console/parts']")
        .click("#act-restart_part-scanner summary")
        .fill("#act-restart_part-scanner input[name=note]", "it looked tired")
        .click("#act-restart_part-scanner button")
        .wait_for_text("#part-scanner td:nth-of-type(3)", "1")
        .click("nav a[href='/console/audit']")
        .wait_for_text("tbody tr:first-child", "it looked tired")
        .text("tbody tr:first-child th")
        .run()
        .await?;
    unharmed(&visit);
    assert_eq!(visit.read, ["operator operator"]);
    assert_eq!(before["restarts"], 0);
    assert_eq!(OperatorApi::of(&desk)?.part("scanner").await?["restarts"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_deposit_is_travelled_through_by_the_keyboard() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let id = finished(&desk, 62).await?;
    let (base, at) = (console(&desk)?, format!("{}/deposits/{id}", console(&desk)?));
    let visit = logged_in(page, &desk)?
        .open(format!("{base}/log"))
        .press("?")
        .wait_for_text("dialog[open] h2", "Keys")
        .axe()
        .press("Escape")
        .wait_gone("dialog[open]")
        .press("j")
        .press("j")
        .press("k")
        .count("tbody tr:first-child a:focus")
        .press("/")
        .press("j")
        .press("?")
        .attribute("input[type=search]:focus", "name")
        .count("dialog[open]")
        .open(format!("{base}/deposits"))
        .press("j")
        .press("Enter")
        .wait_for_text("h1", &id)
        .open(format!("{at}?version=9"))
        .wait_for_text("#event", "Confirmed")
        .focus("#slider")
        .press("ArrowLeft")
        .wait_for_text("#event", "Sent")
        .press("ArrowLeft")
        .wait_for_text("#event", "PayoutSigned")
        .count("#slider:focus")
        .press("Home")
        .wait_for_text("#event", "Detected")
        .attribute("#slider", "value")
        .reload()
        .wait_for_text("#event", "Detected")
        .run()
        .await?;
    unharmed(&visit);
    assert_eq!(visit.read[..3], ["1", "kind", "0"], "keys are for rows and the search, and not while one types");
    assert_eq!(visit.read[3..], ["1", "1"], "the slider keeps the focus, and the address is the moment's");
    assert_eq!(visit.loaded.last(), Some(&format!("{at}?version=1")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_is_made_anew_under_the_eyes_of_whoever_asked_for_it() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let mut desk = Desk::start(&[RATE]).await?;
    desk.terminate().await?;
    idle_events::record(&desk.data_dir().join("log.db"), IDLE_EVENTS, SystemClock.now())?;
    desk.start_again()?;
    desk.ready().await?;
    let caught_up = async || {
        let page = OperatorApi::of(&desk)?.get("/projections").await?;
        let shown = page["projections"].as_array().cloned().unwrap_or_default();
        Ok(shown.iter().all(|one| one["lag"] == 0 && one["rebuild"].is_null()).then_some(()))
    };
    desk.until(SEEN_WITHIN, "the views have caught up", caught_up).await?;
    let (row, making) = ("#projection-ledger", "#act-rebuild-ledger");
    let visit = logged_in(page, &desk)?
        .click("nav a[href='/console/projections']")
        .click(&format!("{making} summary"))
        .fill(&format!("{making} input[name=note]"), "to watch it")
        .click(&format!("{making} button"))
        .wait_for_text(&format!("{row} td:first-of-type"), "being made anew")
        .count(&format!("{row} progress"))
        .screenshot(&screenshots()?.join("console-rebuild.png"))
        .wait_for_text(&format!("{row} td:first-of-type"), "up to date")
        .text(&format!("{row} td:nth-of-type(5)"))
        .run()
        .await?;
    unharmed(&visit);
    assert_eq!(visit.read, ["1", "2"], "a bar while it was made, and then it had been made twice");
    Ok(())
}

/// A row is changed behind the desk's back: it is found and named, and gone once the projection is made anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_tampered_with_is_found_and_mended_on_the_page_of_projections() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let id = finished(&desk, 63).await?;
    let views = Connection::open(desk.data_dir().join("views.db"))?;
    views.busy_timeout(SEEN_WITHIN)?;
    anyhow::ensure!(views.execute("UPDATE deposits SET address = 'somebody else''s'", [])? == 1);
    let (row, section) = ("#projection-deposits .checked", "#differs-deposits");
    let visit = logged_in(page, &desk)?
        .click("nav a[href='/console/projections']")
        .wait_for_text(row, "not verified")
        .click("#act-verify-deposits summary")
        .click("#act-verify-deposits button")
        .wait_for_text(row, "1 row differs")
        .text(&format!("{section} del"))
        .attribute(&format!("{section} td:last-child a"), "href")
        .axe()
        .screenshot(&screenshots()?.join("console-differs.png"))
        .click("#act-mend-deposits summary")
        .fill("#act-mend-deposits input[name=note]", "somebody wrote into it")
        .click("#act-mend-deposits button")
        .wait_for_text(row, "made anew since it was verified")
        .count(section)
        .click("#act-verify-deposits summary")
        .click("#act-verify-deposits button")
        .wait_for_text(row, "is what the log says")
        .run()
        .await?;
    unharmed(&visit);
    assert_eq!(visit.read, ["somebody else's".to_owned(), format!("/console/deposits/{id}"), "0".to_owned()]);
    let address: String = views.query_row("SELECT address FROM deposits", [], |row| row.get(0))?;
    assert_ne!(address, "somebody else's");
    Ok(())
}

/// Node and exchange are dead, and the console says so by itself; nothing has to be loaded again when they are back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_says_that_the_nodes_are_dead_and_that_they_are_back() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let ports = OwnPorts::claim()?;
    let desk = Desk::start_on(&[RATE], |data| ports.prepare(data)).await?;
    let sandbox = desk.data_dir().join("seen.png");
    let visit = logged_in(page, &desk)?
        .click("nav a[href='/console/parts']")
        .wait_for_text("#part-scanner", "running")
        .click(&format!("{OPENED} summary"))
        .screenshot(&sandbox)
        .wait_for_text("#part-scanner", "node")
        .wait_for_text(".strip", "ail")
        .screenshot(&screenshots()?.join("console-nodes-dead.png"))
        .wait_for_text("#part-sandbox td:first-of-type", "running")
        .wait_for_text("#part-sandbox td:nth-of-type(3)", "1")
        .count(&format!("{OPENED}[open]"))
        .run();
    let killed = async {
        desk.until(SEEN_WITHIN, "the browser shows the parts", async || Ok(sandbox.exists().then_some(()))).await?;
        let told = std::fs::read_to_string(desk.data_dir().join("sandbox/sandbox.json"))?;
        let pid = serde_json::from_str::<serde_json::Value>(&told)?["pid"].as_u64().context("its process")?;
        signal("KILL", u32::try_from(pid)?)
    };
    let (visit, killed) = tokio::join!(visit, killed);
    killed?;
    let visit = visit?;
    unharmed(&visit);
    assert_eq!(visit.read, ["1"], "what was opened is still open: the page was not loaded again");
    Ok(())
}

/// The log is no log any more; who has logged in before still is, and every page says what is known and what is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_dead_database_every_page_still_stands_and_says_why() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let mut desk = Desk::start(&[RATE]).await?;
    finished(&desk, 63).await?;
    desk.terminate().await?;
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        let _ = std::fs::remove_file(desk.data_dir().join(name));
    }
    std::fs::write(desk.data_dir().join("log.db"), "no database at all, and long enough to look like one".repeat(100))?;
    desk.start_again()?;
    desk.up().await?;
    let base = console(&desk)?;
    let mut visit =
        logged_in(page, &desk)?.wait_for_text(".verdict", "Money is not moving").text(".outage").text("main");
    for path in
        ["/deposits", "/past", "/log", "/parts", "/projections", "/notifications", "/money", "/settings", "/audit"]
    {
        visit = visit.open(format!("{base}{path}")).wait_for_text(".strip", "The log is not open").axe();
    }
    let visit = visit.open(&base).screenshot(&screenshots()?.join("console-database-dead.png")).run().await?;
    assert_eq!(visit.violations, Vec::<String>::new());
    let [outage, overview] = visit.read.as_slice() else { panic!("{:?}", visit.read) };
    for said in [
        "The log is not open: ",
        "file is not a database",
        "First noticed",
        "It is tried again",
        "nothing new is ordered",
    ] {
        assert!(outage.contains(said), "{said}: {outage}");
    }
    assert!(overview.contains("done paid") && overview.contains("As of position"), "what is known: {overview}");
    // What could not be shown was answered as an error, which a browser notes; the pages themselves added none.
    let others: Vec<_> = visit.errors.iter().filter(|error| !error.contains("status of 50")).collect();
    assert_eq!(others, Vec::<&String>::new());
    Ok(())
}

/// The core is killed while somebody looks: he is told that what he sees is old, and then sees what is; until his account is no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_that_loses_its_desk_says_so_and_finds_it_again_and_one_who_is_logged_out_sees_nothing() -> Result<()>
{
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let (seen, found) = (desk.data_dir().join("seen.png"), desk.data_dir().join("found.png"));
    let visit = logged_in(page, &desk)?
        .click("nav a[href='/console/parts']")
        .click(&format!("{OPENED} summary"))
        .screenshot(&seen)
        .wait_for_text("#stale", "What is shown is from")
        .wait_gone("#stale")
        .wait_for_text(".strip", "Log at")
        .count(&format!("{OPENED}[open]"))
        .screenshot(&found)
        .wait_for_text("#stale", "You are logged out")
        .count("#live:not([hidden]), #live *")
        .axe()
        .screenshot(&screenshots()?.join("console-logged-out.png"))
        .click("#stale a")
        .wait_for_text("h1", "Log in")
        .text("[role=alert]")
        .run();
    let done = async {
        pictured(&desk, &seen).await?;
        signal("KILL", desk.core()?)?;
        pictured(&desk, &found).await?;
        end_account(&desk)
    };
    let (visit, done) = tokio::join!(visit, done);
    done?;
    let visit = visit?;
    let ended = "Your session has ended, and nothing was done since. Log in again.";
    assert_eq!(visit.read, ["1", "0", ended], "what was opened was still open: the page was not loaded again");
    assert_eq!(visit.violations, Vec::<String>::new());
    Ok(())
}

/// What stands before the desk answers in its place, on pages that move and on those that do not; and a form that nothing comes of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_whose_desk_is_cut_off_says_so_and_comes_to_itself_after_a_form_in_vain() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let base = console(&desk)?;
    let proxy = "globalThis.whole = fetch;
        fetch = async () => new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'content-type': 'text/html' } });
        refresh();";
    let nothing = "document.addEventListener('submit', (event) => {
            event.preventDefault();
            document.body.dataset.sent = event.target.elements.form_id.value;
        });
        document.querySelector('.strip').insertAdjacentHTML('beforeend', '<b id=behind>of before</b>');";
    let (form, id) = ("#act-halt", "#act-halt [name=form_id]");
    let mut visit = logged_in(page, &desk)?;
    for path in ["/parts", "/log?before=3"] {
        visit = visit.open(format!("{base}{path}")).script(proxy).wait_for_text("#stale", "The desk does not answer");
        visit = visit.text("h1").script("fetch = whole;").wait_gone("#stale");
    }
    let visit = visit
        .open(format!("{base}/money"))
        .script(nothing)
        .click(&format!("{form} summary"))
        .fill(&format!("{form} input[name=note]"), "to see")
        .click(&format!("{form} button"))
        .wait_for_text(&format!("{form} button:disabled"), "Halt")
        .wait_for_text(&format!("{form} button:enabled"), "Halt")
        .wait_gone("#behind")
        .attribute("body", "data-sent")
        .attribute(id, "value")
        .run()
        .await?;
    unharmed(&visit);
    let [parts, log, sent, again] = visit.read.as_slice() else { panic!("{:?}", visit.read) };
    assert_eq!((parts.as_str(), log.as_str()), ("Parts", "Log"));
    assert_eq!(sent, again, "the desk would know the form if it were sent again");
    Ok(())
}

/// By plain HTTP from elsewhere a browser gives a page no clipboard. A plot that was left out is drawn without anything else happening.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_copied_is_selected_and_a_plot_that_was_left_out_comes_by_itself() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let id = finished(&desk, 65).await?;
    let copy = "dd button[data-copy]";
    let (plot, emptied) = (
        "[data-plot*=waits] .u-legend",
        "stream.close();
        for (const place of document.querySelectorAll('[data-plot]')) place.replaceChildren();
        plots.clear();
        drawn = performance.now();
        draw();",
    );
    let visit = logged_in(page, &desk)?
        .wait_for_text(plot, "UTC")
        .script(emptied)
        .wait_for_text(plot, "UTC")
        .open(format!("{}/deposits/{id}", console(&desk)?))
        .script("Object.defineProperty(navigator, 'clipboard', { value: undefined });")
        .click(copy)
        .wait_for_text(copy, "Selected, copy it by the keyboard")
        .script("document.body.dataset.selected = getSelection().toString();")
        .attribute("body", "data-selected")
        .attribute(copy, "data-copy")
        .wait_for_text(copy, "Copy")
        .run()
        .await?;
    unharmed(&visit);
    assert_eq!(visit.read[0], visit.read[1], "what is selected is what would be copied");
    assert_eq!(visit.read[0].len(), 64, "{:?}", visit.read);
    Ok(())
}

/// A page that nothing changes notices it, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_past_is_put_away_with_all_that_is_in_it_when_one_is_logged_out() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[RATE]).await?;
    let id = finished(&desk, 64).await?;
    let seen = desk.data_dir().join("seen.png");
    let visit = logged_in(page, &desk)?
        .open(format!("{}/deposits/{id}?version=2", console(&desk)?))
        .wait_for_text("main", &id)
        .attribute("#live", "data-follows")
        .focus("#slider")
        .press("ArrowLeft")
        .wait_for_text("#event", "Detected")
        .screenshot(&seen)
        .wait_for_text("#stale", "You are logged out")
        .count("#live:not([hidden]), #live *")
        .count("main")
        .click("#stale a")
        .wait_for_text("h1", "Log in")
        .run();
    let done = async {
        pictured(&desk, &seen).await?;
        end_account(&desk)
    };
    let (visit, done) = tokio::join!(visit, done);
    done?;
    let visit = visit?;
    assert_eq!(visit.read, ["", "0", "0"], "it follows nothing, and nothing of the desk is in it any more");
    Ok(())
}

/// Waits until the browser has taken this picture.
async fn pictured(desk: &Desk, picture: &Path) -> Result<()> {
    desk.until(SEEN_WITHIN, "the browser shows the console", async || Ok(picture.exists().then_some(()))).await
}

/// Ends the account that the browser is logged in by; another one is the last.
fn end_account(desk: &Desk) -> Result<()> {
    let roster = Roster::of(&desk.data_dir());
    roster.add("somebody", "a sentence of mine", SystemClock.now())?;
    Ok(roster.remove("operator")?)
}
