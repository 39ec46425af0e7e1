//! A log that has grown old, made smaller with the real program: everything in it is told, written down and proved as before.

use anyhow::{Context, Result, ensure};
use millrace_tests::command_line::said;
use millrace_tests::drawn_log::draw;

const EVENTS: u64 = 4_000;

#[tokio::test]
async fn a_log_that_was_made_smaller_tells_what_it_told_before() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data_dir, log) = (folder.path().join("data"), folder.path().join("data/log.db"));
    std::fs::create_dir(&data_dir)?;
    draw(&log, EVENTS, 11)?;
    let config = folder.path().join("desk.toml");
    std::fs::write(&config, format!("[desk]\ndata_dir = {data_dir:?}\n"))?;
    let config = config.to_str().context("a path")?;
    let file = log.to_str().context("a path")?;
    let run = async |arguments: &[&str]| -> Result<String> {
        let (code, told, error) = said(&[&["--config", config], arguments].concat()).await?;
        ensure!(code == Some(0), "{arguments:?}: {told}{error}");
        Ok(told)
    };
    let written = async |name: &str| -> Result<String> {
        let to = folder.path().join(name);
        run(&["export", "--out", to.to_str().context("a path")?]).await?;
        Ok(std::fs::read_to_string(to)?)
    };

    let (before, size) = (written("before.jsonl").await?, std::fs::metadata(&log)?.len());
    let ids: Vec<_> = before.match_indices("\"deposit/").map(|(at, _)| before[at + 9..at + 45].to_owned()).collect();
    let id = ids.first().context("a deposit")?;
    let story = run(&["why", id]).await?;
    let told = run(&["compact"]).await?;
    let sealed = told.strip_prefix("sealed up to position ").and_then(|rest| rest.split(' ').next());
    let sealed: u64 = sealed.context("how far it is sealed")?.parse()?;
    ensure!(sealed + 1_024 >= EVENTS, "{told}");
    let smaller = std::fs::metadata(&log)?.len();
    ensure!(smaller < size * 3 / 4, "{size} bytes became {smaller}");

    assert_eq!(written("after.jsonl").await?, before);
    assert_eq!(run(&["why", id]).await?, story);
    ensure!(run(&["verify", "--log", file]).await?.contains("everything is as it should be"));
    let again = run(&["compact"]).await?;
    ensure!(again.contains(&format!("{smaller} bytes before")), "{again}");
    Ok(())
}
