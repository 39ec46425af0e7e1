//! The real browser does what tests of pages build on: opens, types, clicks, waits, reads, measures, tells errors.

use anyhow::Result;
use millrace_tests::peers::browser::{ColorScheme, Network, Page};

const FORM: &str = "data:text/html,<title>t</title><input id=name><button id=go>Go</button><p id=out></p>\
    <script>go.onclick=()=>setTimeout(()=>{out.textContent='Hello '+document.getElementById('name').value},50)</script>";

#[tokio::test]
async fn a_form_is_filled_and_its_answer_awaited() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("page.png");
    let visit = page
        .open(FORM)
        .fill("#name", "Millrace")
        .click("#go")
        .wait_for_text("#out", "Hello Millrace")
        .text("#out")
        .count("button")
        .screenshot(&picture)
        .run()
        .await?;
    assert_eq!(visit.read, ["Hello Millrace", "1"]);
    assert_eq!(visit.errors, Vec::<String>::new());
    assert!(std::fs::read(&picture)?.starts_with(b"\x89PNG"));
    Ok(())
}

#[tokio::test]
async fn what_a_page_throws_comes_back_with_the_visit() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let visit = page.open("data:text/html,<script>throw new Error('broken')</script>").run().await?;
    assert_eq!(visit.errors.len(), 1);
    assert!(visit.errors[0].contains("broken"), "{:?}", visit.errors);
    Ok(())
}

#[tokio::test]
async fn a_visitor_chooses_copies_and_looks_again_in_the_window_and_colours_he_has() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let desk = Served::start().await?;
    let visit = page
        .locale("ru-RU")
        .viewport(360, 640)
        .color_scheme(ColorScheme::Dark)
        .open(desk.url())
        .select("#coin", "sky")
        .text("#chosen")
        .attribute("#coin", "name")
        .wait_gone("#early")
        .click("#copy")
        .clipboard()
        .focus("#coin")
        .count("#coin:focus")
        .sideways()
        .text("#scheme")
        .text("#visits")
        .reload()
        .text("#visits")
        .text("#language")
        .measure()
        .network(Network::Offline)
        .click("#ask")
        .wait_for_text("#asked", "nobody")
        .run()
        .await?;
    assert_eq!(visit.read, ["sky", "coin", "copied text", "1", "0", "dark", "visit 1", "visit 2", "ru-RU"]);
    let measured = visit.measured[0];
    assert!(measured.first_paint_ms > 0 && measured.transferred_bytes > FULL.len() as u64, "{measured:?}");
    Ok(())
}

#[tokio::test]
async fn what_keeps_people_out_is_found() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let mute = "data:text/html,<html lang=en><title>t</title><main><h1>t</h1><input id=name></main>";
    let visit = page.open(mute).axe().run().await?;
    assert_eq!(visit.violations.len(), 1, "{:?}", visit.violations);
    assert!(visit.violations[0].contains("critical: label: "), "{:?}", visit.violations);
    Ok(())
}

#[tokio::test]
async fn a_visitor_can_do_without_scripts() -> Result<()> {
    let Some(page) = Page::new() else { return Ok(()) };
    let page = page.without_scripts().open("data:text/html,<p id=out>still</p><script>out.textContent='ran'</script>");
    let visit = page.text("#out").run().await?;
    assert_eq!(visit.read, ["still"]);
    Ok(())
}

/// A page of one's own origin, since cookies and what is copied need one. Ends with its value.
struct Served {
    url: String,
    _tasks: tokio::task::JoinSet<std::io::Result<()>>,
}

impl Served {
    async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let router = axum::Router::new().route("/", axum::routing::get(async || axum::response::Html(FULL)));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, _tasks: tasks })
    }

    fn url(&self) -> &str {
        &self.url
    }
}

const FULL: &str = r#"<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>t</title>
<link rel="icon" href="data:,">
<label for="coin">Coin</label><select id="coin" name="coin"><option value="btc">b<option value="sky">s</select>
<p id="chosen"></p><p id="early">early</p><p id="scheme"></p><p id="visits"></p><p id="language"></p><p id="asked"></p>
<button id="copy">Copy</button><button id="ask">Ask</button>
<script>
const say = (id, text) => { document.getElementById(id).textContent = text; };
coin.onchange = () => { say("chosen", coin.value); setTimeout(() => early.remove(), 50); };
copy.onclick = () => navigator.clipboard.writeText("copied text");
ask.onclick = () => fetch("/").then(() => say("asked", "somebody"), () => say("asked", "nobody"));
const visits = Number(document.cookie.split("=")[1] ?? 0) + 1;
document.cookie = "visits=" + visits;
say("visits", "visit " + visits);
say("language", navigator.language);
say("scheme", matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
</script>"#;
