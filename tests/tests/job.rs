//! `millrace notify --once` with the real program, as cron starts it: beside a desk, with sinks that are down, killed, twice at
//! once, and badly configured.

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::job::{Job, SECRET};
use millrace_tests::operator::OperatorApi;
use millrace_tests::receiver::{Arrived, Receiver, WEBHOOKS, header, proved};
use serde_json::json;

/// What is told of a deposit that is paid out.
const LIFE: usize = 7;

/// A desk whose customer paid this many deposits, all of them done.
async fn desk_with(deposits: u8) -> Result<Desk> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    pay(&desk, 61, deposits).await?;
    Ok(desk)
}

async fn pay(desk: &Desk, customer: u8, deposits: u8) -> Result<()> {
    let target = fresh_target(customer);
    for _ in 0..deposits {
        let address = desk.bind(&target).await?;
        desk.pay(&address, "0.1").await?;
    }
    desk.settled(&target, usize::from(deposits)).await.map(drop)
}

fn ids(arrived: &Arrived) -> Vec<String> {
    arrived.iter().map(|(headers, _)| header(headers, "webhook-id").to_owned()).collect()
}

#[tokio::test]
async fn a_sink_that_is_down_neither_holds_back_nor_repeats_what_others_are_told() -> Result<()> {
    let desk = desk_with(2).await?;
    let (healthy, down) = (Receiver::start().await?, Receiver::start().await?);
    down.answers(StatusCode::INTERNAL_SERVER_ERROR).await;
    let mut job = Job::of(&desk)?;
    job.add("healthy", healthy.url());
    job.add("down", down.url());

    let first = job.run(&[]).await?;
    assert_eq!((first.code, first.summary["outcome"].as_str()), (Some(75), Some("partly")), "{first:?}");
    assert_eq!((first.sink("healthy")?, first.sink("down")?), (("caught_up", 2 * LIFE as u64), ("failed", 0)));
    assert_eq!(first.report("down")?["error"], "it answered 500");
    // It is left alone until its time comes; the other hears of what came since, and of nothing twice.
    pay(&desk, 62, 1).await?;
    let second = job.run(&[]).await?;
    assert_eq!((second.code, second.sink("healthy")?), (Some(75), ("caught_up", LIFE as u64)), "{second:?}");
    assert_eq!(second.sink("down")?, ("waiting", 0));
    assert_eq!(down.arrived().len(), 1);

    down.answers(StatusCode::OK).await;
    job.end_waiting()?;
    let third = job.run(&[]).await?;
    assert_eq!((third.code, third.sink("down")?), (Some(0), ("caught_up", 3 * LIFE as u64)), "{third:?}");
    assert_eq!(third.sink("healthy")?, ("caught_up", 0));
    let fourth = job.run(&[]).await?;
    assert_eq!((fourth.code, fourth.summary["delivered"].as_u64()), (Some(0), Some(0)), "{fourth:?}");

    let (one, other) = (healthy.arrived(), down.arrived());
    assert_eq!((ids(&one), one.len()), (ids(&other)[1..].to_vec(), 3 * LIFE), "the same, in the same order");
    one.iter().try_for_each(|arrived| proved(SECRET, arrived).map(drop))
}

#[tokio::test]
async fn a_receiver_is_told_the_same_by_the_job_and_by_the_desk() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (by_desk, by_job) = (Receiver::start().await?, Receiver::start().await?);
    let wanted = json!({ "url": by_desk.url(), "events": [{ "name": "*" }], "order": "per_deposit" });
    OperatorApi::of(&desk)?.post(WEBHOOKS, &wanted).await?;
    pay(&desk, 63, 1).await?;
    let mut job = Job::of(&desk)?;
    job.add("same", by_job.url());
    let ran = job.run(&[]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (desks, jobs) = (by_desk.told(LIFE).await?, by_job.arrived());
    for ((desk_headers, desk_body), (job_headers, job_body)) in desks.iter().zip(&jobs) {
        let read = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body);
        assert_eq!(read(desk_body)?, read(job_body)?);
        proved(SECRET, &(job_headers.clone(), job_body.clone()))?;
        let name = |name: &http::HeaderName| name.as_str().to_owned();
        let names = |headers: &http::HeaderMap| headers.keys().map(name).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(desk_headers), names(job_headers));
    }
    assert_eq!((desks.len(), ids(&desks)), (LIFE, ids(&jobs)));
    Ok(())
}

#[tokio::test]
async fn a_new_sink_hears_of_what_comes_from_now_on_and_of_what_it_wants() -> Result<()> {
    let desk = desk_with(1).await?;
    let receiver = Receiver::start().await?;
    let mut job = Job::of(&desk)?;
    job.add("new", receiver.url());
    job.set("JOB__SINKS__NEW__BEGIN", "now");
    job.set("JOB__SINKS__NEW__EVENTS", "Withdrawal.*");
    let ran = job.run(&[]).await?;
    assert_eq!((ran.code, ran.sink("new")?), (Some(0), ("caught_up", 0)), "{ran:?}");
    pay(&desk, 64, 1).await?;
    let ran = job.run(&[]).await?;
    assert_eq!((ran.sink("new")?, &ran.report("new")?["passed"]), (("caught_up", 4), &json!(3)));
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_killed_in_the_middle_loses_nothing_and_one_beside_it_leaves() -> Result<()> {
    let desk = desk_with(2).await?;
    let receiver = Receiver::start().await?;
    let mut job = Job::of(&desk)?;
    job.add("slow", receiver.url());
    // From the fourth on it is answered only after the run is killed.
    receiver.stands_still_after(3);
    let mut killed = job.start(&[])?;
    receiver.told(4).await?;
    let beside = job.run(&[]).await?;
    assert_eq!((beside.code, beside.sink("slow")?), (Some(0), ("busy", 0)), "{beside:?}");
    killed.kill().await?;
    receiver.goes_on();

    let busy = job.run(&[]).await?;
    assert_eq!((busy.code, busy.sink("slow")?), (Some(0), ("busy", 0)), "{busy:?}");
    job.end_leases()?;
    let after = job.run(&[]).await?;
    assert_eq!(after.code, Some(0), "{after:?}");
    let mut told = ids(&receiver.arrived());
    assert_eq!(told.len(), 2 * LIFE + 1, "one was under way");
    assert_eq!(told[3], told[4]);
    told.dedup();
    let distinct: std::collections::BTreeSet<_> = told.iter().collect();
    assert_eq!((told.len(), distinct.len()), (2 * LIFE, 2 * LIFE));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_is_gone_stops_its_sink_until_somebody_resumes_it() -> Result<()> {
    let desk = desk_with(1).await?;
    let receiver = Receiver::start().await?;
    receiver.answers(StatusCode::GONE).await;
    let mut job = Job::of(&desk)?;
    job.add("gone", receiver.url());
    for _ in 0..2 {
        let ran = job.run(&[]).await?;
        assert_eq!((ran.code, ran.sink("gone")?), (Some(75), ("stopped", 0)), "{ran:?}");
    }
    assert_eq!(receiver.arrived().len(), 1);
    receiver.answers(StatusCode::OK).await;
    let resumed = job.run(&["--resume", "gone"]).await?;
    assert_eq!((resumed.code, resumed.sink("gone")?), (Some(0), ("caught_up", LIFE as u64)), "{resumed:?}");
    let unknown = job.run(&["--resume", "nobody"]).await?;
    assert_eq!(unknown.code, Some(64), "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn what_does_not_do_is_said_with_its_code_and_changes_nothing() -> Result<()> {
    let desk = desk_with(1).await?;
    let receiver = Receiver::start().await?;
    let mut job = Job::of(&desk)?;
    job.add("ops", receiver.url());
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    std::fs::write(&token, "0".repeat(32))?;
    let token = token.to_str().context("a path")?;
    for (name, value, code, words) in [
        ("JOB__DATABASE", "mysql://host/name", 78, "job.database: is no database of the job"),
        ("JOB__SINKS__OPS__TO", "gopher://x", 78, "job.sinks.ops.to: leads nowhere"),
        ("JOB__SINKS__OPS__SECRET", "canary", 78, "job.sinks.ops.secret: is no secret"),
        ("JOB__SORCE", "x", 78, "MILLRACE_JOB__SORCE: no such setting"),
        ("JOB__TOKEN_FILE", token, 1, "the desk refuses the token"),
        ("JOB__SOURCE", "http://127.0.0.1:9", 69, "the desk cannot be read"),
        ("JOB__DATABASE", "sqlite:/nowhere/job.db", 69, "the job's database"),
    ] {
        let mut mistaken = Job::of(&desk)?;
        mistaken.add("ops", receiver.url());
        mistaken.set(name, value);
        let ran = mistaken.run(&[]).await?;
        ensure!(ran.code == Some(code) && ran.said.contains(words), "{name}={value}: {ran:?}");
        ensure!(!ran.said.contains("canary"), "{ran:?}");
        ensure!(code != 78 || !mistaken.database().exists(), "{name}: nothing was made");
    }
    assert!(receiver.arrived().is_empty());

    let database = rusqlite::Connection::open(job.database())?;
    database.execute_batch(
        "CREATE TABLE millrace_job_version (version INTEGER); INSERT INTO millrace_job_version VALUES (99)",
    )?;
    let before = std::fs::read(job.database())?;
    let newer = job.run(&[]).await?;
    ensure!(newer.code == Some(1) && newer.said.contains("newer version"), "{newer:?}");
    assert_eq!(newer.summary["outcome"], "failed");
    assert_eq!(std::fs::read(job.database())?, before, "it is left as it is");

    let mut foreign = Job::of(&desk)?;
    foreign.add("ops", receiver.url());
    foreign.set("JOB__DATABASE", &format!("sqlite:{}", desk.data_dir().join("attempts.db").display()));
    let refused = foreign.run(&[]).await?;
    ensure!(refused.code == Some(1) && refused.said.contains("another program's"), "{refused:?}");
    let (code, _, said) = millrace_tests::command_line::said(&["notify"]).await?;
    ensure!(code == Some(64) && said.contains("write --once"), "{said}");
    Ok(())
}

/// What cron leaves behind in a folder: nothing but the database.
#[tokio::test]
async fn a_job_has_no_files_of_its_own() -> Result<()> {
    let desk = desk_with(1).await?;
    let receiver = Receiver::start().await?;
    let mut job = Job::of(&desk)?;
    job.add("ops", receiver.url());
    job.run(&[]).await?;
    let left = std::fs::read_dir(job.folder())?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    assert_eq!(left, ["job.db"]);
    let told = receiver.arrived();
    told.first().context("something came")?;
    Ok(())
}

#[tokio::test]
async fn places_and_leases_hold_in_a_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("job.db");
    let location = millrace_actors::job::store::Location::Sqlite(file.clone());
    let execute = |sql: &str| -> Result<String> {
        let database = rusqlite::Connection::open(&file)?;
        let Some(column) = sql.starts_with("SELECT").then_some(0) else {
            database.execute_batch(sql)?;
            return Ok(String::new());
        };
        let value: rusqlite::types::Value = database.query_row(sql, [], |row| row.get(column))?;
        Ok(match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => anyhow::bail!("{other:?}"),
        })
    };
    millrace_tests::job_store::holds(&location, execute).await
}
