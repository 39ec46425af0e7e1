//! The catalogue's names, patterns, schemas and examples.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::schema::states;
use super::*;

#[test]
fn the_names_are_those_that_were_promised() {
    let names = NotificationType::ALL.map(NotificationType::name);
    let promised = [
        "Deposit.Pending",
        "Deposit.Wait_For_Confirmation",
        "Deposit.Confirmed",
        "Deposit.Failed",
        "Withdrawal.Added_To_Queue",
        "Withdrawal.In_Consensus",
        "Withdrawal.Submitted",
        "Withdrawal.Failed",
        "Withdrawal.Confirmed",
    ];
    assert_eq!(
        (&names[..9], &names[9..]),
        (
            &promised[..],
            &[
                "Subscription.Disabled",
                "Desk.Halted",
                "Desk.Resumed",
                "Desk.Webhook_Disabled",
                "Desk.Part_Down",
                "Desk.Part_Up",
                "Desk.Balance_Low",
                "Desk.Balance_Restored"
            ][..]
        )
    );
    for kind in NotificationType::ALL {
        assert_eq!(NotificationType::parse(kind.name()), Some(kind));
        assert!(kind.name().starts_with(kind.resource().prefix()) && kind.description().ends_with('.'));
        assert_eq!(kind.audience() == Audience::Operator, kind.resource() == ResourceType::Desk);
    }
    assert_eq!(NotificationType::parse("deposit.pending"), None);
}

#[test]
fn a_pattern_is_all_a_group_or_a_name() {
    for (text, count) in
        [("*", 17), ("Deposit.*", 4), ("Withdrawal.*", 5), ("Subscription.*", 1), ("Desk.*", 7), ("Deposit.Failed", 1)]
    {
        let pattern: Pattern = text.parse().unwrap();
        assert_eq!((pattern.to_string().as_str(), pattern.kinds().count()), (text, count));
        assert_eq!(serde_json::from_str::<Pattern>(&serde_json::to_string(&pattern).unwrap()).unwrap(), pattern);
    }
    for wrong in ["", "Deposit", "Deposit.", ".*", "Deposit.P*", "deposit.*", "**", "Desk.Part_Late", " *"] {
        let error = wrong.parse::<Pattern>().unwrap_err().to_string();
        let expected = "is no notification type; it is *, Deposit.*, Withdrawal.*, Subscription.*, Desk.* or one of Deposit.Pending, ";
        assert!(error.starts_with(&format!("{wrong:?} {expected}")), "{error}");
    }
    assert!("x".repeat(10_000).parse::<Pattern>().unwrap_err().to_string().len() < 500);
}

/// What of JSON Schema the catalogue uses.
fn misfit(value: &Value, schema: &Value) -> Option<String> {
    let told = |what: &str| Some(format!("{what}: {value} against {schema}"));
    for (word, wanted) in schema.as_object().unwrap() {
        let fits = match word.as_str() {
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|wanted| is_a(value, wanted)),
                wanted => is_a(value, wanted),
            },
            "minimum" => value.as_u64() >= wanted.as_u64(),
            "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(found) = value.get(name).and_then(|value| misfit(value, schema)) {
                        return Some(format!("{name}.{found}"));
                    }
                }
                true
            }
            "pattern" => value.as_str().is_none_or(|text| fits_pattern(text, wanted.as_str().unwrap())),
            "format" => match wanted.as_str().unwrap() {
                "uuid" => Uuid::try_parse(value.as_str().unwrap()).is_ok(),
                "date-time" => DateTime::parse_from_rfc3339(value.as_str().unwrap()).is_ok(),
                other => panic!("{other} is no format of ours"),
            },
            "title" | "description" | "$schema" => true,
            other => panic!("{other} is no word of ours"),
        };
        if !fits {
            return told(word);
        }
    }
    None
}

fn is_a(value: &Value, wanted: &Value) -> bool {
    match wanted.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type of ours"),
    }
}

fn fits_pattern(text: &str, pattern: &str) -> bool {
    let is_hash = || text.parse::<Hash32>().is_ok_and(|hash| hash.to_string() == text);
    match pattern {
        "^[0-9a-f]{64}$" => is_hash(),
        "^([0-9a-f]{64})?$" => text.is_empty() || is_hash(),
        r"^[0-9]+(\.[0-9]+)?$" => text.parse::<rust_decimal::Decimal>().is_ok() && !text.starts_with(['-', '+', '.']),
        other => panic!("{other} is no pattern of ours"),
    }
}

fn parsed(notification: &Notification) -> Value {
    serde_json::from_str(&notification.body()).unwrap()
}

#[test]
fn every_example_is_what_its_schema_says_and_what_no_other_does() {
    for kind in NotificationType::ALL {
        let example = kind.example();
        assert_eq!(misfit(&example, &kind.schema()), None);
        for other in NotificationType::ALL.into_iter().filter(|other| *other != kind) {
            assert!(misfit(&example, &other.schema()).is_some(), "{kind} and {other}");
        }
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let described = &kind.schema()["properties"];
        assert_eq!(fields(&example), fields(described), "{kind}");
        assert_eq!(fields(&example["resource"]), fields(&described["resource"]["properties"]), "{kind}");
    }
}

/// A program in Go reads fields whatever their case.
#[test]
fn no_two_fields_differ_by_their_case_alone() {
    for kind in NotificationType::ALL {
        let example = kind.example();
        for object in [&example, &example["resource"]] {
            let names: BTreeSet<_> = object.as_object().unwrap().keys().map(|name| name.to_lowercase()).collect();
            assert_eq!(names.len(), object.as_object().unwrap().len(), "{kind}: {object}");
        }
    }
}

#[test]
fn what_is_told_fits_the_schema_whatever_became_of_the_deposit() {
    let nobodys: Event = Detected { customer: None, ..testing::detected(1, "1") }.into();
    let gone = [orphaned(7), held(HoldReason::DepositOrphaned), released(), vanished()];
    let lives = [
        with(paid(), [PayoutReorged {}.into()]),
        with(owed(), gone),
        vec![nobodys, mined(7), matured(), Quarantined {}.into(), refund_due("1")],
        with(received(), [held(HoldReason::BelowMinimum), refund_due("1")]),
        with(owed(), [held(HoldReason::InvalidTarget), refund_due("1")]),
    ];
    let told: Vec<_> = lives.into_iter().flat_map(told).collect();
    for notification in &told {
        assert_eq!(misfit(&parsed(notification), &notification.kind.schema()), None);
    }
    let kinds = NotificationType::ALL.into_iter().filter(|kind| kind.resource().coin().is_some());
    assert!(kinds.clone().all(|kind| told.iter().any(|told| told.kind == kind)));
    for kind in kinds {
        assert!(!states(kind).is_empty() && states(kind).iter().all(|state| SubmitState::ALL.contains(state)));
    }
}

#[test]
fn a_row_has_the_names_of_the_bridge() {
    let notifications = told(paid());
    let row = serde_json::to_value(notifications[3].row().unwrap()).unwrap();
    let mut names: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
    let mut expected: Vec<_> =
        "Type Tx TxId Coin Created Amount BlockId BlockHash From To Signed IsBounced SubmitState \
        SubmitTx SubmitSigners SubmitConfirm_block SubmitDate SubmitTxHash"
            .split_whitespace()
            .collect();
    expected.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, expected);
    let back: HistoryRow = serde_json::from_value(parsed(&notifications[3])["resource"].clone()).unwrap();
    assert_eq!(Some(&back), notifications[3].row());
}

#[test]
fn a_simulation_is_an_example_that_says_so() {
    let (id, at) = (Uuid::from_u128(7), DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap());
    for kind in NotificationType::ALL {
        let body: Value = serde_json::from_str(&kind.simulation(id, at)).unwrap();
        assert_eq!(misfit(&body, &kind.schema()), None);
        assert_eq!((&body["id"], &body["simulation"]), (&serde_json::json!(id), &Value::Bool(true)));
        assert_eq!(body["create_time"], "2027-01-15T08:00:00Z");
        assert_eq!(kind.example().get("simulation"), None, "no other has it");
    }
}
