//! Others' libraries verify what the real program really sent, while two secrets sign, and believe nothing that was altered.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use millrace_protocols::webhook::secret::HmacSecret;
use millrace_protocols::webhook::sign::{Key, Signer};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::standard_webhooks::{Case, Library};
use millrace_tests::receiver::{Receiver, WEBHOOKS, header};
use serde_json::json;

const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
/// Longer than anybody tolerates, in seconds.
const LONG_S: u64 = 1_000;

/// A notification that a desk sent while it signed with both secrets, for the first of them; and the second.
async fn sent_while_secrets_change() -> Result<(Case, String)> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (api, receiver) = (OperatorApi::of(&desk)?, Receiver::start().await?);
    let wanted = json!({ "url": receiver.url(), "events": [{ "name": "Deposit.Confirmed" }] });
    let made = api.post(WEBHOOKS, &wanted).await?;
    let rotate = format!("{WEBHOOKS}/{}/rotate", made["id"].as_str().context("an id")?);
    let rotated = api.post(&rotate, &json!({ "keep_hours": 1 })).await?;
    let target = fresh_target(61);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    let (headers, body) = receiver.told(1).await?.remove(0);
    let secret = |answer: &serde_json::Value| answer["secret"].as_str().map(str::to_owned).context("a secret");
    let headers = HEADERS.map(|name| (name.to_owned(), header(&headers, name).to_owned()));
    let case = Case { secret: secret(&made)?, headers: headers.into(), body: String::from_utf8(body.to_vec())? };
    Ok((case, secret(&rotated)?))
}

fn with(case: &Case, name: &str, value: String) -> Case {
    let mut headers: BTreeMap<_, _> = case.headers.clone();
    headers.insert(name.to_owned(), value);
    Case { headers, ..case.clone() }
}

/// The same, rightly signed, but sent so long before or after it was.
fn sent_at(case: &Case, timestamp_s: u64) -> Result<Case> {
    let signer = Signer::new(&[Key::Symmetric(case.secret.parse::<HmacSecret>()?)], None)?;
    let signature = signer.signature(&case.headers["webhook-id"], timestamp_s, case.body.as_bytes());
    Ok(with(&with(case, "webhook-timestamp", timestamp_s.to_string()), "webhook-signature", signature))
}

#[tokio::test]
async fn other_libraries_believe_what_the_desk_signs_and_nothing_that_was_altered() -> Result<()> {
    let libraries: Vec<_> = [Library::python(), Library::javascript()].into_iter().flatten().collect();
    if libraries.is_empty() {
        return Ok(());
    }
    let (sent, newer) = sent_while_secrets_change().await?;
    let (timestamp_s, signatures) =
        (sent.headers["webhook-timestamp"].parse::<u64>()?, &sent.headers["webhook-signature"]);
    assert_eq!(signatures.split(' ').count(), 2, "both secrets sign: {signatures}");
    let stranger = HmacSecret::new(vec![7; 32])?.reveal();
    let believed = [sent.clone(), Case { secret: newer, ..sent.clone() }, sent_at(&sent, timestamp_s)?];
    let altered = [
        Case { body: format!("{} ", sent.body), ..sent.clone() },
        Case { body: sent.body.replacen("Confirmed", "confirmed", 1), ..sent.clone() },
        with(&sent, "webhook-timestamp", (timestamp_s + 1).to_string()),
        with(&sent, "webhook-id", "019ffc1e-0000-7000-8000-000000000000".to_owned()),
        with(&sent, "webhook-signature", signatures.replace("v1,", "v2,")),
        Case { secret: stranger, ..sent.clone() },
        sent_at(&sent, timestamp_s - LONG_S)?,
        sent_at(&sent, timestamp_s + LONG_S)?,
    ];
    let cases = [&believed[..], &altered[..]].concat();
    for library in libraries {
        let found = library.verify(&cases).await?;
        let (believed, altered) = found.split_at(believed.len());
        assert!(believed.iter().all(Option::is_none), "{}: {believed:?}", library.name);
        assert!(altered.iter().all(Option::is_some), "{}: {altered:?}", library.name);
        let old = altered[altered.len() - 2].as_deref().unwrap_or_default();
        assert!(old.contains("too old"), "{}: {old}", library.name);
    }
    Ok(())
}
