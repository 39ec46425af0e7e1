//! The real browser does what tests of pages build on: opens, types, clicks, waits, reads, tells errors.

use anyhow::Result;
use millrace_tests::peers::browser::Page;

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
