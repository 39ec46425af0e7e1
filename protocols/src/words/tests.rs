//! What people read: every type of the catalogue, hostile texts, and what is no notification.

use millrace_model::notification::NotificationType;
use serde_json::{Value, json};

use super::*;

const PUBLIC: &str = "https://desk.example.org";
const LEAVE: &str = "https://desk.example.org/leave/a.b";

fn words(body: &Value) -> Words {
    Words::read(body.to_string().as_bytes(), Some(PUBLIC)).unwrap()
}

fn example(kind: NotificationType, change: impl FnOnce(&mut Value)) -> Words {
    let mut body = kind.example();
    change(&mut body["resource"]);
    words(&body)
}

#[test]
fn each_type_has_a_subject_and_a_sentence() {
    let told: Vec<_> = NotificationType::ALL
        .into_iter()
        .map(|kind| example(kind, |_| ()))
        .map(|words| (words.subject, words.sentence))
        .collect();
    let expected = [
        ("Deposit seen: 0.50000000 BTC", "Your deposit of 0.50000000 BTC was seen; it is not in a block yet."),
        (
            "Deposit waits for confirmations: 0.50000000 BTC",
            "Your deposit of 0.50000000 BTC is in block 812345 and waits for more confirmations.",
        ),
        ("Deposit received: 0.50000000 BTC", "Your deposit of 0.50000000 BTC is received."),
        (
            "Deposit failed: 0.50000000 BTC",
            "Your deposit of 0.50000000 BTC ended, since the transaction that paid in is no longer in the chain.",
        ),
        ("Payout is next: 250.000000 SKY", "Your payout of 250.000000 SKY is decided and waits for its turn."),
        ("Payout signed: 250.000000 SKY", "Your payout of 250.000000 SKY is signed and goes out next."),
        ("Payout sent: 250.000000 SKY", "Your payout of 250.000000 SKY was sent; it is not final yet."),
        (
            "Payout not made: 250.000000 SKY",
            "Your payout of 250.000000 SKY is not made; 0.50000000 BTC is to be paid back.",
        ),
        ("Payout final: 250.000000 SKY", "Your payout of 250.000000 SKY is final."),
        (
            "You are not told elsewhere any more",
            "One of the places where you are told of your deposits cannot be reached, so nothing is sent there any more until it is \
             subscribed again. You are still told here.",
        ),
        ("The desk is halted", "The desk is halted: no order and no payout goes out until an operator resumes."),
        ("The desk goes on", "The desk goes on: orders and payouts go out again."),
        ("A webhook is disabled", "A webhook is disabled: nothing is sent to it until an operator resumes it."),
        (
            "A part is down: bitcoin_node",
            "A part of the desk, or a node or exchange it depends on, is down; what needs it waits until it is up again.",
        ),
        ("A part is up again: bitcoin_node", "A part of the desk, or what it depends on, works again."),
        (
            "A balance is low: the hot wallet",
            "The desk holds less there than you want it to; refill it before payouts or purchases wait.",
        ),
        ("A balance is restored: the hot wallet", "The desk holds enough there again."),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(one, other)| (one.to_owned(), other.to_owned())).collect();
    assert_eq!(told, expected);
}

#[test]
fn what_a_type_is_told_for_twice_is_told_apart() {
    use NotificationType as Kind;
    let said = |kind, state: &str, more: &[(&str, Value)]| {
        example(kind, |resource| {
            resource["SubmitState"] = json!(state);
            more.iter().for_each(|(name, value)| resource[*name] = value.clone());
        })
        .sentence
    };
    let orphan = said(Kind::DepositPending, "orphan", &[]);
    assert_eq!(
        orphan,
        "A reorganisation took the block of your deposit of 0.50000000 BTC; it waits to be in another one."
    );
    let manual = said(Kind::DepositConfirmed, "pending_manual", &[]);
    assert!(manual.contains("a person has to look at it"), "{manual}");
    let small = said(Kind::DepositFailed, "amount_too_small", &[("IsBounced", json!(true))]);
    assert_eq!(small, "Your deposit of 0.50000000 BTC is too small to deal in; the deposit is to be paid back.");
    let paid_back = [("refund", json!("0.49990000")), ("refund_txid", json!("ab".repeat(32)))];
    let back = said(Kind::WithdrawalFailed, "bad_address", &paid_back);
    assert_eq!(
        back,
        "Your payout of 250.000000 SKY cannot be made, since its address cannot be paid; 0.49990000 BTC was paid back."
    );
    assert_eq!(said(Kind::DepositFailed, "fatal", &[]), "Your deposit of 0.50000000 BTC ended without a payout.");
}

#[test]
fn a_text_names_everything_a_person_may_look_up() {
    let text = example(NotificationType::WithdrawalSubmitted, |_| ()).with_leave(Some(LEAVE.to_owned())).text();
    let expected = format!(
        "Your payout of 250.000000 SKY was sent; it is not final yet.\n\n\
         Amount: 250.000000 SKY\n\
         Deposit address: bcrt1qexampledeposit\n\
         Paid out to: 2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv\n\
         Deposit's transaction: {}\n\
         Payout's transaction: {}\n\
         Deposit's id: 01930000-0000-7000-8000-000000000001\n\n\
         All deposits for this address: https://desk.example.org/customer/2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv\n\n\
         To hear no more of this: https://desk.example.org/leave/a.b\n",
        "a1".repeat(32),
        "05".repeat(32),
    );
    assert_eq!(text, expected);
}

#[test]
fn without_a_public_address_there_is_no_link() {
    let body = NotificationType::DepositPending.example().to_string();
    let words = Words::read(body.as_bytes(), None).unwrap();
    assert_eq!(words.link, None);
    assert!(!words.text().contains("http") && !words.html().contains("http"));
    let nobodys = example(NotificationType::DepositConfirmed, |resource| resource["To"] = json!(""));
    assert_eq!(nobodys.link, None);
    assert!(!nobodys.text().contains("Paid out to"));
}

#[test]
fn hostile_text_stays_text() {
    let hostile = "</td><script>alert(1)</script>\r\nBcc: all@example.org\r\n\r\n\"'&\u{202e}\u{200b}\0";
    let words = example(NotificationType::DepositPending, |resource| {
        for name in ["From", "To", "Tx", "payout_txid"] {
            resource[name] = json!(hostile);
        }
        resource["refund"] = json!(hostile);
        resource["IsBounced"] = json!(true);
    });
    let words = words.with_leave(Some("https://x.example/\"><b>".to_owned()));
    let html = words.html();
    assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains("Bcc: all@example.org\r"), "{html}");
    assert!(html.contains("&lt;/td&gt;&lt;script&gt;") && html.contains("&quot;&#39;&amp;"), "{html}");
    let lines = words.text();
    assert!(!lines.contains('\r') && !lines.lines().any(|line| line.starts_with("Bcc")), "{lines}");
    assert!(!lines.contains(['\u{202e}', '\u{200b}', '\0']), "{lines:?}");
    let page = words.link.unwrap().url;
    assert!(page.starts_with("https://desk.example.org/customer/%3C%2Ftd%3E") && !page.contains([' ', '<', '"', '\'']));
}

#[test]
fn a_subject_is_one_short_line_of_ascii() {
    for kind in NotificationType::ALL {
        let words = example(kind, |resource| {
            if resource.get("refund").is_some() {
                resource["Amount"] = json!(u64::MAX);
                resource["refund"] = json!("1\r\nBcc: a@example.org");
                resource["refund_txid"] = json!("x\r\nBcc: a@example.org");
            }
        });
        let plain = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        assert!(plain(&words.subject) && words.subject.len() <= 78, "{}", words.subject);
        assert!(!words.sentence.contains(['\r', '\n']), "{}", words.sentence);
    }
}

#[test]
fn which_webhook_is_disabled_and_why_is_named() {
    let facts = example(NotificationType::DeskWebhookDisabled, |_| ()).facts;
    assert_eq!(facts.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["Webhook's id", "Why"]);
    assert!(facts[0].1.parse::<Uuid>().is_ok() && !facts[1].1.is_empty());
}

#[test]
fn which_subscription_is_disabled_and_what_to_do_about_it_is_told_to_its_owner() {
    let words = example(NotificationType::SubscriptionDisabled, |_| ());
    let names: Vec<_> = words.facts.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["Subscription", "Subscribed", "Why", "To be told there again"]);
    assert_eq!((words.about.as_str(), words.topic), (words.facts[0].1.as_str(), "Subscription.Disabled"));
    assert_eq!(words.facts[2].1, "a notification did not arrive after all its attempts");
    let (text, html) = (words.text(), words.html());
    assert!(text.contains("subscribe the same address again") && text.contains(&format!("{PUBLIC}/\n")), "{text}");
    assert!(
        html.contains("subscribe the same address again") && html.contains(&format!("href=\"{PUBLIC}/\"")),
        "{html}"
    );
}

#[test]
fn which_part_is_down_and_why_and_how_much_is_where_is_named() {
    let facts = example(NotificationType::DeskPartDown, |_| ()).facts;
    let expected = [("Part", "bitcoin_node"), ("Since", "2026-01-01T00:00:00Z"), ("Why", "it does not answer")];
    assert_eq!(facts, expected.map(|(name, value)| (name, value.to_owned())));
    let facts = example(NotificationType::DeskBalanceLow, |_| ()).facts;
    let expected = [("Where", "the hot wallet"), ("Balance", "99.000000 SKY"), ("Wanted at least", "100.000000 SKY")];
    assert_eq!(facts, expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn long_texts_are_cut() {
    let words = example(NotificationType::DepositPending, |resource| resource["From"] = json!("x".repeat(100_000)));
    assert!(words.text().len() < 1_000);
    let halted = example(NotificationType::DeskHalted, |resource| resource["cause"] = json!("y".repeat(100_000)));
    assert!(halted.text().len() < 1_000);
}

#[test]
fn what_is_no_notification_is_refused() {
    let unknown = json!({ "id": Uuid::nil(), "event_type": "Deposit.Lost", "resource": {} }).to_string();
    let without = json!({ "id": Uuid::nil(), "event_type": "Deposit.Pending", "resource": {} }).to_string();
    for body in ["", "{}", "[]", "nonsense", &unknown, &without] {
        assert!(Words::read(body.as_bytes(), None).is_err(), "{body}");
    }
}
