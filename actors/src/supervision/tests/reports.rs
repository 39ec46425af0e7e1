//! What the registry shows.

use chrono::TimeDelta;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_running_part_reports_what_it_lives_with_until_it_is_well_again() {
    let (tree, clock) = tree();
    let probe = add(&tree, &Arc::new(World::default()), "probe", Policy::permanent());
    let report = ask(&probe, Report, SOON).await.expect("it runs");
    let since = DateTime::UNIX_EPOCH;

    report.set("node", "unreachable: connection refused");
    clock.advance(TimeDelta::seconds(9));
    report.set("node", "unreachable: timed out");
    let health = running(&tree, "probe").await;
    let condition = Condition { kind: "node", text: "unreachable: timed out".to_owned(), since };
    assert_eq!((health.is_well(), health.conditions), (false, vec![condition]));

    report.clear("node");
    assert!(running(&tree, "probe").await.is_well());
}

#[tokio::test(start_paused = true)]
async fn repeating_a_report_wakes_nobody() {
    let (tree, _world, probe) = probe(Policy::permanent(), &[]);
    let report = ask(&probe, Report, SOON).await.expect("it runs");
    report.set("node", "unreachable");
    let mut changes = tree.health().subscribe();
    changes.borrow_and_update();
    report.set("node", "unreachable");
    report.clear("another");
    report.resume();
    assert!(!changes.has_changed().expect("the registry lives"));
}

#[tokio::test(start_paused = true)]
async fn the_reports_of_an_incarnation_end_with_it() {
    let (tree, _world, probe) = probe(Policy::permanent(), &[]);
    let former = ask(&probe, Report, SOON).await.expect("it runs");
    former.set("node", "unreachable");
    assert_eq!(ask(&probe, Boom, SOON).await, Err(AskError::Unknown));
    former.set("node", "a straggler's word");
    running(&tree, "probe").await;
    former.set("node", "a straggler's word");
    former.halt("a straggler's word");
    assert!(running(&tree, "probe").await.is_well());
}

#[tokio::test(start_paused = true)]
async fn a_halted_part_is_shown_as_halted_and_goes_on_answering() {
    let (tree, clock) = tree();
    let probe = add(&tree, &Arc::new(World::default()), "probe", Policy::permanent());
    let report = ask(&probe, Report, SOON).await.expect("it runs");
    clock.advance(TimeDelta::seconds(5));
    report.halt("the ledger and the node disagree");
    let health = tree.health().part("probe").expect("it is listed");
    assert_eq!((health.state, health.since), (State::Halted, DateTime::UNIX_EPOCH + TimeDelta::seconds(5)));
    assert_eq!(health.why.as_deref(), Some("the ledger and the node disagree"));
    assert_eq!(ask(&probe, Who, SOON).await, Ok(0));
    report.resume();
    assert!(running(&tree, "probe").await.is_well());
}

#[tokio::test(start_paused = true)]
async fn health_is_told_in_one_flat_object_a_part() {
    let (tree, _world, probe) = probe(Policy::temporary(), &[]);
    assert_eq!(ask(&probe, Boom, SOON).await, Err(AskError::Unknown));
    let health = until(&tree, "probe", |part| part.state == State::Down).await;
    let expected = serde_json::json!({
        "name": "probe", "group": null, "strategy": null, "state": "down", "since": "1970-01-01T00:00:00Z", "why": "panicked: boom", "restarts": 0,
        "last_error": {"text": "panicked: boom", "at": "1970-01-01T00:00:00Z"}, "conditions": []
    });
    assert_eq!(serde_json::to_value(health).expect("it is plain data"), expected);
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_cut_between_two_characters() {
    let (tree, _world, probe) = probe(Policy::permanent(), &[]);
    let report = ask(&probe, Report, SOON).await.expect("it runs");
    report.set("node", format!("x{}", "ö".repeat(400)));
    let health = running(&tree, "probe").await;
    assert_eq!(health.conditions[0].text.len(), 499);
}
