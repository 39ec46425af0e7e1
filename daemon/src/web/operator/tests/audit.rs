//! Who did what, and what of it is told where.

use super::*;

#[tokio::test]
async fn what_operators_did_is_listed_newest_first_and_what_the_desk_did_is_not() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), received()).await;
    desk.deposit(2, Some("target"), held(HoldReason::BelowMinimum)).await;
    for (path, body) in [
        (format!("/operator/v1/deposits/{id}/hold"), r#"{"note":"Ann rang"}"#),
        (format!("/operator/v1/deposits/{id}/release"), r#"{"note":"she was wrong"}"#),
        ("/operator/v1/switches/sends".to_owned(), r#"{"setting":"off","note":"a new wallet"}"#),
        ("/operator/v1/parts/projection/restart".to_owned(), ""),
        (
            "/operator/v1/transfers".to_owned(),
            r#"{"kind":"refill","place":"hot_wallet","coin":"SKY","amount":"25","note":"from the safe"}"#,
        ),
    ] {
        let (status, answer) = desk.post(&path, body).await;
        assert!(status.is_success(), "{path}: {answer}");
    }
    let page = desk.got("/operator/v1/audit").await;
    let acts: Vec<_> = page["acts"].as_array().unwrap().iter().collect();
    let told = |act: &Value| ["action", "subject", "note"].map(|name| act[name].as_str().unwrap_or("-").to_owned());
    let deposit = format!("deposit/{id}");
    let expected = [
        ["declare_transfer", "refill of 25.000000 SKY, the hot wallet", "from the safe"],
        ["restart_part", "projection", "-"],
        ["set_switch", "sends off", "a new wallet"],
        ["release", &deposit, "she was wrong"],
        ["hold", &deposit, "Ann rang"],
    ];
    assert_eq!(acts.iter().map(|act| told(act)).collect::<Vec<_>>(), expected, "{page}");
    assert!(acts.iter().all(|act| act["by"] == "the operator's token"), "{page}");
    assert_eq!(page["next"], Value::Null);

    let mut before = String::new();
    let mut paged = Vec::new();
    loop {
        let page = desk.got(&format!("/operator/v1/audit?limit=2{before}")).await;
        paged.extend(page["acts"].as_array().unwrap().iter().map(told));
        let Some(next) = page["next"].as_u64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(paged, expected);
}

#[tokio::test]
async fn bad_pages_are_refused() {
    let desk = Desk::start().await;
    for query in ["limit=0", "before=-1", "before=99999999999999999999", "after=1", "before=9223372036854775808"] {
        assert_eq!(desk.get(&format!("/operator/v1/audit?{query}")).await.0, 400, "{query}");
    }
    assert_eq!(desk.got("/operator/v1/audit?before=0").await["acts"], Value::Array(vec![]));
}

#[tokio::test]
async fn an_event_names_who_gave_its_command() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), received()).await;
    desk.post(&format!("/operator/v1/deposits/{id}/hold"), r#"{"note":"Ann rang"}"#).await;
    let shown = desk.got(&format!("/operator/v1/events/{}", desk.store.head())).await;
    assert_eq!((&shown["by"], &shown["asked_by"]), (&Value::from("the operator's token"), &Value::from("operator")));
    assert_eq!(shown["command"]["body"]["Hold"]["reason"]["operator"]["note"], "Ann rang", "opened as before");
    assert_eq!(shown["command"]["body"]["Hold"]["by"], "token");
}
