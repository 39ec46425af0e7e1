//! What a desk leaves behind, and what its listeners answer: no secret in the one, nothing of the operator's on the public
//! one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_daemon::sandbox::ports::Ports;
use millrace_daemon::sandbox::process::{self, Running};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::http_client;
use millrace_tests::world::{payers, settings_of};
use reqwest::StatusCode;
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(60);
/// Longer than any answer takes; what streams without end is not asked for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
const EVERYTHING_LOGGED: (&str, &str) = ("MILLRACE_DESK__LOG", "trace");

/// S1: a whole life, everything logged, everybody dead at its end: none in log, database, answers, commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secrets_of_a_desk_at_work_are_nowhere_in_what_it_leaves_behind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sandbox = process::start(payers(folder.path(), Ports::ANY)).await?;
    let desk = desk_on(&sandbox, &[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    let target = fresh_target(81);
    pay(&sandbox, &desk.bind(&target).await?)?;
    desk.settled(&target, 1).await?;
    let info = sandbox.info.clone();
    sandbox.stop().await;
    until_all_are_missed(&desk).await?;

    let token = std::fs::read_to_string(desk.data_dir().join("operator.token"))?.trim().to_owned();
    let password = std::fs::read_to_string(desk.data_dir().join("operator.password"))?.trim().to_owned();
    let secrets = [info.bitcoin.password, info.c2cx.key, info.c2cx.secret, token, password];
    let known = format!("/api/v1/customers/{target}");
    nowhere(&desk, &secrets, &[&known]).await
}

/// S1: the same when every one of them is refused: nobody repeats what was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_are_refused_are_not_repeated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sandbox = process::start(payers(folder.path(), Ports::ANY)).await?;
    let secrets = ["canary-of-the-node", "canary-of-the-key", "canary-of-the-account", "canary-of-the-wallet"];
    let own = [
        ("MILLRACE_DESK__METHOD", "passthrough"),
        ("MILLRACE_BITCOIN__PASSWORD", secrets[0]),
        ("MILLRACE_C2CX__KEY", secrets[1]),
        ("MILLRACE_C2CX__SECRET", secrets[2]),
    ];
    let desk = desk_on(&sandbox, &own).await?;
    refused(&desk, "scanner", "bitcoin_node").await?;
    refused(&desk, "market", "c2cx").await?;
    nowhere(&desk, &secrets.map(str::to_owned), &[]).await?;

    let desk = desk_on(&sandbox, &[("MILLRACE_SKYCOIN__WALLET_PASSWORD", secrets[3])]).await?;
    pay(&sandbox, &desk.bind(&fresh_target(82)).await?)?;
    refused(&desk, "sender", "payout").await?;
    nowhere(&desk, &secrets.map(str::to_owned), &[]).await
}

/// Waits until a part reports what was refused.
async fn refused(desk: &Desk, part: &str, kind: &str) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    desk.until(WITHIN, "its refusal is reported", async || {
        let part = operator.part(part).await?;
        let conditions = part["conditions"].as_array().context("conditions")?;
        Ok(conditions.iter().any(|found| found["kind"] == kind).then_some(()))
    })
    .await
}

/// S4: every route of the operator, asked for on the public listener with and without the token.
#[tokio::test]
async fn the_public_listener_has_no_route_of_the_operators() -> Result<()> {
    let desk = Desk::start(&[]).await?;
    let operator = OperatorApi::of(&desk)?;
    let token = std::fs::read_to_string(desk.data_dir().join("operator.token"))?.trim().to_owned();
    let document: Value = serde_json::from_str(&operator.probe("/openapi.json").await?.1)?;
    let theirs: Value = desk.get("/openapi.json").await?;
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().context("the document has paths")? {
        if theirs["paths"].get(path).is_some() {
            continue;
        }
        let path = path.replace("{id}", "00000000-0000-0000-0000-000000000001").replace("{name}", "sender");
        for method in methods.as_object().context("a path has methods")?.keys() {
            for authorization in [String::new(), format!("Bearer {token}")] {
                let method = method.to_uppercase().parse()?;
                let request = http_client().request(method, format!("{}{path}", desk.page()));
                let answer = request.header("authorization", authorization).json(&json!({})).send().await?;
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 40, "{asked} requests were made");
    Ok(())
}

async fn desk_on(sandbox: &Running, own: &[(&'static str, &str)]) -> Result<Desk> {
    let settings = settings_of(&sandbox.info);
    let mut all: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.extend([EVERYTHING_LOGGED, ("MILLRACE_BITCOIN__CONFIRMATIONS", "1")]);
    all.extend(own);
    Desk::start(&all).await
}

/// The customer pays a twentieth of a bitcoin, and it is mined.
fn pay(sandbox: &Running, address: &str) -> Result<()> {
    sandbox.servers.bitcoin.pay(&[(address, "0.05".parse()?)])?;
    sandbox.servers.bitcoin.mine(1)?;
    Ok(())
}

/// Waits until the desk has said of every one of them that it does not answer.
async fn until_all_are_missed(desk: &Desk) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    for part in ["scanner", "market", "stock"] {
        desk.until(WITHIN, "it is missed", async || {
            let part = operator.part(part).await?;
            Ok((part["conditions"] != json!([])).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Looks for the secrets in everything the desk wrote, answers and prints.
async fn nowhere(desk: &Desk, secrets: &[String], paths: &[&str]) -> Result<()> {
    let mut left = answers(desk, paths).await?;
    left.push(("check-config".to_owned(), desk.command(&["check-config"]).await?.into_bytes()));
    left.push(("the log".to_owned(), std::fs::read(desk.log_file())?));
    files(&desk.data_dir(), &mut left)?;
    ensure!(left.iter().any(|(name, bytes)| name.ends_with("log.db") && bytes.len() > 1_000), "the database was read");
    for (name, bytes) in &left {
        for secret in secrets {
            ensure!(secret.len() >= 8, "too short to be looked for");
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            ensure!(!found, "{name} has a secret that begins with {:?}", &secret[..4]);
        }
    }
    Ok(())
}

/// What both listeners answer to every question that needs no more than asking.
async fn answers(desk: &Desk, paths: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
    let operator = OperatorApi::of(desk)?;
    let mut answers = Vec::new();
    let document = desk.get("/openapi.json").await?;
    let public = plain_paths(&document)?;
    for path in public.iter().map(String::as_str).chain(paths.iter().copied()) {
        let request = http_client().get(format!("{}{path}", desk.page())).timeout(ANSWERED_WITHIN);
        answers.push((path.to_owned(), request.send().await?.bytes().await?.to_vec()));
    }
    let document: Value = serde_json::from_str(&operator.probe("/openapi.json").await?.1)?;
    for path in plain_paths(&document)? {
        let answer = match path.strip_prefix("/operator/v1") {
            Some("/backup") => continue,
            Some(path) => operator.get(path).await?.to_string(),
            None => operator.probe(&path).await?.1,
        };
        answers.push((path, answer.into_bytes()));
    }
    ensure!(answers.len() >= 15, "{} answers", answers.len());
    Ok(answers)
}

/// The paths that can be got, end, and have nothing to fill in.
fn plain_paths(document: &Value) -> Result<Vec<String>> {
    let paths = document["paths"].as_object().context("the document has paths")?;
    let plain = paths
        .iter()
        .filter(|(path, methods)| methods.get("get").is_some() && !path.contains('{') && !path.ends_with("/live"));
    Ok(plain.map(|(path, _)| path.clone()).collect())
}

/// All files of the desk but those that are the operator's token and first password.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.file_name().is_some_and(|name| name != "operator.token" && name != "operator.password") {
            found.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(())
}
