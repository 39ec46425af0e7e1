//! How the page looks, to a real browser: light and dark, in each language, on a phone, to who does not see it; and what it weighs.
//!
//! Pictures of every page are left in `target/screenshots`, for whoever changes them to look at.

use std::fs::File;
use std::time::Duration;

use anyhow::{Result, ensure};
use millrace_tests::desk::{Desk, fresh_target, signal};
use millrace_tests::peers::browser::{ColorScheme, Measured, Page, screenshots};
use millrace_tests::process;

/// All that is fetched for one page.
const PAGE_BYTES_MAX: u64 = 300_000;
const STOOD_WITHIN: Duration = Duration::from_secs(60);
const LANGUAGES: [&str; 3] = ["en", "zh", "ru"];

/// A visit that looks at the page that is shown in every way, and takes its pictures.
fn looked_at(page: Page, name: &str) -> Result<Page> {
    let folder = screenshots()?;
    let picture = |page: Page, how: &str| page.screenshot(&folder.join(format!("{name}-{how}.png")));
    let page = page.viewport(1280, 800).color_scheme(ColorScheme::Light).axe();
    let page = picture(page, "light").color_scheme(ColorScheme::Dark).axe();
    let page = picture(page, "dark").viewport(360, 740).axe().sideways();
    Ok(picture(page, "phone").color_scheme(ColorScheme::Light).viewport(1280, 800))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_suits_everybody_in_every_language() -> Result<()> {
    if Page::new().is_none() {
        return Ok(());
    }
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (waiting, paid) = (fresh_target(51), fresh_target(52));
    desk.bind(&waiting).await?;
    let address = desk.bind(&paid).await?;
    desk.pay(&address, "0.05").await?;
    // Less than the desk deals in: held.
    desk.pay(&address, "0.00002").await?;
    desk.until(STOOD_WITHIN, "one is paid and one is held", async || {
        let customer = desk.get(&format!("/api/v1/customers/{paid}")).await?;
        let has = |status| customer["deposits"].as_array().into_iter().flatten().any(|one| one["status"] == status);
        Ok((has("done") && has("held")).then_some(()))
    })
    .await?;
    let home = desk.page();
    let pages = [
        ("home", format!("{home}/")),
        ("quote", format!("{home}/?amount=0.05")),
        ("refused", format!("{home}/?amount=0.000001")),
        ("unknown", format!("{home}/customer/{}", fresh_target(53))),
        ("waiting", format!("{home}/customer/{waiting}?amount=0.05")),
        ("deposits", format!("{home}/customer/{paid}")),
    ];
    for language in LANGUAGES {
        let mut visit = Page::new().expect("there was a browser before").locale(language);
        for (name, url) in &pages {
            visit = looked_at(visit.open(url), &format!("{name}-{language}"))?;
        }
        let visit = visit.run().await?;
        assert_eq!(visit.violations, Vec::<String>::new(), "{language}");
        assert!(visit.read.iter().all(|sideways| sideways == "0"), "a phone scrolls sideways: {:?}", visit.read);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_light() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(54);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.05").await?;
    desk.settled(&target, 1).await?;
    let (home, mine) = (format!("{}/?amount=0.05", desk.page()), format!("{}/customer/{target}", desk.page()));
    // The first start of a browser's process is not the page's.
    let visit = page.open(&home).measure().open(&home).measure().open(&mine).measure().run().await?;
    for (name, Measured { first_paint_ms, transferred_bytes }) in
        ["cold", "home", "deposits"].iter().zip(&visit.measured)
    {
        println!("{name}: first paint after {first_paint_ms} ms, {transferred_bytes} bytes");
        assert!(*transferred_bytes <= PAGE_BYTES_MAX, "{name} weighs {transferred_bytes} bytes");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_that_gives_out_nothing_and_one_without_a_core_look_the_same() -> Result<()> {
    let (Some(closed), Some(gone)) = (Page::new(), Page::new()) else { return Ok(()) };
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500"), ("MILLRACE_DESK__BIND_ENABLED", "false")]).await?;
    let visit = closed.open(desk.page()).wait_for_text(".notice", "No deposit addresses are given out at the moment.");
    let visit = looked_at(visit, "closed")?.run().await?;
    assert_eq!((visit.violations, visit.read), (vec![], vec!["0".to_owned()]));

    let lock = without_core(&desk)?;
    let visit = gone
        .locale("ru")
        .open(desk.page())
        .wait_for_text("h1", "Ядро перезапускается")
        .screenshot(&screenshots()?.join("without-core.png"));
    let visit = visit.run().await?;
    ensure!(visit.errors.iter().all(|error| error.contains("503")), "{:?}", visit.errors);
    drop(lock);
    Ok(())
}

/// Kills the core and keeps others from starting as long as the lock is held.
fn without_core(desk: &Desk) -> Result<File> {
    let (core, front) = (desk.core()?, desk.front());
    let lock = File::create(desk.data_dir().join("core.lock"))?;
    signal("STOP", front)?;
    signal("KILL", core)?;
    process::wait_for_end(core)?;
    lock.lock()?;
    signal("CONT", front)?;
    Ok(lock)
}
