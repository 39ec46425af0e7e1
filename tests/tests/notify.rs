//! Notifications of the real program, as somebody receives them who checks every signature.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use http::StatusCode;
use millrace_model::subscription::customer_hash;
use millrace_protocols::webhook::te;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::http_client;
use millrace_tests::receiver::{Receiver, TOLD_WITHIN, WEBHOOKS, proved};
use serde_json::{Value, json};

const LIFE: [&str; 7] = [
    "Deposit.Pending",
    "Deposit.Wait_For_Confirmation",
    "Deposit.Confirmed",
    "Withdrawal.Added_To_Queue",
    "Withdrawal.In_Consensus",
    "Withdrawal.Submitted",
    "Withdrawal.Confirmed",
];

fn types(told: &[Value]) -> Vec<&str> {
    told.iter().map(|told| told["event_type"].as_str().unwrap_or_default()).collect()
}

async fn subscribe(api: &OperatorApi, body: Value) -> Result<(String, String)> {
    let made = api.post(WEBHOOKS, &body).await?;
    let text = |field: &str| made[field].as_str().map(str::to_owned).context("a text");
    Ok((text("id")?, text("secret")?))
}

#[tokio::test]
async fn whoever_asked_hears_of_a_deposit_step_by_step_with_signatures_that_hold() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (api, receiver, other) = (OperatorApi::of(&desk)?, Receiver::start().await?, Receiver::start().await?);
    let (_, secret) =
        subscribe(&api, json!({ "url": receiver.url(), "events": [{ "name": "*" }], "order": "per_deposit" })).await?;
    let (_, others) = subscribe(&api, json!({ "url": other.url(), "events": [{ "name": "Withdrawal.*" }] })).await?;
    let target = fresh_target(1);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;

    let arrived = receiver.told(LIFE.len()).await?;
    let told = arrived.iter().map(|arrived| proved(&secret, arrived)).collect::<Result<Vec<_>>>()?;
    assert_eq!(types(&told), LIFE);
    let sequence: Vec<_> = told.iter().map(|told| told["sequence"].as_u64()).collect();
    assert_eq!(sequence, (1..=7).map(Some).collect::<Vec<_>>());
    for arrived in other.told(4).await? {
        let told = proved(&others, &arrived)?;
        assert!(told["event_type"].as_str().is_some_and(|kind| kind.starts_with("Withdrawal.")), "{told}");
        assert!(proved(&secret, &arrived).is_err(), "each has a secret of his own");
    }
    Ok(())
}

#[tokio::test]
async fn what_came_while_a_webhook_was_disabled_or_the_desk_dead_is_told_afterwards_once() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (api, receiver) = (OperatorApi::of(&desk)?, Receiver::start().await?);
    receiver.answers(StatusCode::GONE).await;
    let wanted = json!({ "url": receiver.url(), "events": [{ "name": "Deposit.Confirmed" }] });
    let (id, secret) = subscribe(&api, wanted).await?;
    let witness = Receiver::start().await?;
    let (_, others) = subscribe(&api, json!({ "url": witness.url(), "events": [{ "name": "Desk.*" }] })).await?;
    let target = fresh_target(3);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    receiver.told(1).await?;
    let webhook = format!("{WEBHOOKS}/{id}");
    let stopped = async || Ok(api.get(&webhook).await?).map(|seen| (seen["status"] == "disabled").then_some(seen));
    let disabled = desk.until(TOLD_WITHIN, "the webhook is disabled", stopped).await?;
    assert_eq!(disabled["reason"], "it was answered that there is no such receiver any more");

    let told = proved(&others, &witness.told(1).await?[0])?;
    assert_eq!((&told["event_type"], &told["resource"]["webhook"]), (&json!("Desk.Webhook_Disabled"), &json!(id)));

    desk.pay(&address, "0.2").await?;
    desk.settled(&target, 2).await?;
    desk.kill_and_restart().await?;
    let api = OperatorApi::of(&desk)?;
    assert_eq!(api.get(&webhook).await?["status"], "disabled", "the log remembers it");
    receiver.answers(StatusCode::OK).await;
    api.post(&format!("{webhook}/resume"), &json!({})).await?;
    let arrived = receiver.told(3).await?;
    let told = arrived[1..].iter().map(|arrived| proved(&secret, arrived)).collect::<Result<Vec<_>>>()?;
    let amounts: Vec<_> = told.iter().map(|told| told["resource"]["Amount"].as_u64()).collect();
    assert!(amounts.contains(&Some(10_000_000)) && amounts.contains(&Some(20_000_000)), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_customers_receiver_hears_of_his_own_deposits_once_it_proved_that_it_holds_the_secret() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (right, wrong, late) = (Receiver::start().await?, Receiver::start().await?, Receiver::start().await?);
    let (target, others) = (fresh_target(5), fresh_target(6));
    let secret = right.subscribe(&desk, &target).await?;
    right.holds(secret.clone());
    right.stands(&desk, |webhook| webhook["status"] == "enabled").await?;

    // Whoever knows all that is public and guesses the salt is nobody.
    let guessed = || te::Secret::derive(&customer_hash(&target).0, b"a guess");
    let lates = late.subscribe(&desk, &target).await?;
    for receiver in [&wrong, &late] {
        receiver.subscribe(&desk, &target).await?;
        let begun = receiver.stands(&desk, |_| true).await?;
        receiver.holds(guessed());
        let refused = receiver.stands(&desk, |webhook| webhook["position"] != begun["position"]).await?;
        assert_eq!(refused["status"], "unproved");
    }
    late.holds(lates.clone());
    assert_eq!(late.subscribe(&desk, &target).await?, lates, "it is the same subscription");
    late.stands(&desk, |webhook| webhook["status"] == "enabled").await?;

    let (address, elsewhere) = (desk.bind(&target).await?, desk.bind(&others).await?);
    desk.pay(&elsewhere, "0.2").await?;
    desk.settled(&others, 1).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;
    for (receiver, secret) in [(&right, &secret), (&late, &lates)] {
        for (headers, body) in receiver.told(LIFE.len()).await? {
            assert_eq!(headers["x-te-signature"], secret.sign(&body));
            assert_eq!(headers["content-type"], "text/plain");
            let told: Value = serde_json::from_slice(&body)?;
            assert!(told["event_type"].as_str().is_some_and(|kind| LIFE.contains(&kind)), "{told}");
            assert_eq!(told["resource"]["To"], target, "others' are not his business");
        }
    }
    wrong.stands(&desk, |webhook| webhook["status"] == "unproved").await?;
    assert!(wrong.arrived().is_empty(), "nothing is sent to who proved nothing");

    let hash = customer_hash(&target).to_string();
    let by_guess = desk.unsubscribe(&hash, &right.address(), |text| guessed().sign(text.as_bytes())).await?;
    let signed = desk.unsubscribe(&hash, &right.address(), |text| secret.sign(text.as_bytes())).await?;
    assert_eq!((by_guess, signed), (403, 204));
    desk.pay(&address, "0.3").await?;
    late.told(2 * LIFE.len()).await?;
    assert_eq!(right.arrived().len(), LIFE.len(), "he is told no more");
    Ok(())
}

fn kind_of(body: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice::<Value>(body)?["event_type"].take())
}

#[tokio::test]
async fn whose_receiver_is_disabled_is_told_by_his_other_one_once_and_sees_it_where_he_looks() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (gone, other, target) = (Receiver::start().await?, Receiver::start().await?, fresh_target(7));
    for receiver in [&gone, &other] {
        receiver.holds(receiver.subscribe(&desk, &target).await?);
        receiver.stands(&desk, |webhook| webhook["status"] == "enabled").await?;
    }
    gone.answers(StatusCode::GONE).await;
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;
    let id = gone.stands(&desk, |webhook| webhook["status"] == "disabled").await?["id"].clone();
    let told = other.told(LIFE.len() + 1).await?;
    desk.kill_and_restart().await?;
    desk.pay(&address, "0.2").await?;
    desk.settled(&target, 2).await?;
    other.told(told.len() + LIFE.len()).await?;

    let told: Vec<_> = other.arrived().into_iter().map(|(_, body)| serde_json::from_slice::<Value>(&body)).collect();
    let told = told.into_iter().collect::<Result<Vec<_>, _>>()?;
    let disabled: Vec<_> = told.iter().filter(|told| told["event_type"] == "Subscription.Disabled").collect();
    let ids: BTreeSet<_> = disabled.iter().map(|told| told["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{told:?}");
    let about = &disabled[0]["resource"];
    assert_eq!((&about["subscription"], &about["reason"]), (&id, &json!("gone")));
    assert_eq!(about["customer"], customer_hash(&target).to_string());
    for (_, body) in gone.arrived() {
        assert!(kind_of(&body)?.as_str().is_some_and(|kind| LIFE.contains(&kind)), "it is told nothing of itself");
    }

    let seen = desk.get(&format!("/api/v1/customers/{target}")).await?;
    let states: Vec<_> = seen["subscriptions"].as_array().context("a list")?.iter().collect();
    let of = |id: &Value| states.iter().find(|one| one["subscription"] == *id).map(|one| (&one["state"], &one["why"]));
    let why = json!("it was answered that there is no such receiver any more");
    assert_eq!((of(&id), states.len()), (Some((&json!("disabled"), &why)), 2));
    let at = |path: &str| format!("{}{path}", desk.page().trim_end_matches('/'));
    let history = http_client().get(at(&format!("/api/history?user={target}"))).send().await?;
    assert_eq!(history.headers().get("x-subscriptions-disabled").context("a header")?, "1");
    let page = http_client().get(at(&format!("/customer/{target}"))).send().await?.text().await?;
    assert!(page.contains("is disabled: nothing is sent there") && page.contains("it was answered"), "{page}");
    Ok(())
}
