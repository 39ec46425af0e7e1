//! The steps of deposits that stand in different places.

use millrace_actors::projection::Milestones;
use millrace_model::ids::DepositId;

use super::super::super::words::Language;
use super::*;

fn at(second: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(1_700_000_000 + second, 0)
}

fn deposit(status: &str) -> Deposit {
    Deposit {
        id: DepositId(uuid::Uuid::from_u128(1)),
        status: status.to_owned(),
        status_text: String::new(),
        coin: "BTC",
        amount: "0.05".parse().unwrap(),
        address: "bcrt1q".to_owned(),
        txid: "ab".repeat(32),
        output_index: 0,
        confirmations: 1,
        confirmations_required: 3,
        depth: Some(1),
        method: None,
        rate: None,
        spent: None,
        bought: None,
        filled: None,
        payout_coin: "SKY",
        payout: None,
        payout_txid: None,
        refund: None,
        held: None,
        outcome: None,
        milestones: Milestones::default(),
        detected_at: at(0).unwrap(),
        updated_at: at(0).unwrap(),
    }
}

fn shown(deposit: &Deposit, method: Method) -> String {
    let sign = |state| match state {
        State::Done => '+',
        State::Now => '>',
        State::Later => '.',
        State::Stopped => '!',
    };
    steps(deposit, method).into_iter().map(|(_, state)| sign(state)).collect()
}

#[test]
fn a_deposit_is_where_its_first_step_is_that_is_not_done() {
    let mut of = deposit("pending");
    assert_eq!((shown(&of, Method::Direct), shown(&of, Method::Passthrough)), ("+>...".into(), "+>....".into()));
    of.milestones = Milestones { mined_at: at(1), received_at: at(2), decided_at: at(3), ..of.milestones };
    (of.method, of.status) = (Some("direct".into()), "wait_send".into());
    assert_eq!(shown(&of, Method::Passthrough), "+++>.", "what was decided counts, not what is configured by now");
    (of.milestones.sent_at, of.status) = (at(4), "wait_confirm".into());
    assert_eq!(shown(&of, Method::Direct), "++++>");
    (of.milestones.ended_at, of.status, of.outcome) = (at(5), "done".into(), Some("paid".into()));
    assert_eq!(shown(&of, Method::Direct), "+++++");
}

#[test]
fn what_is_stopped_says_where_and_what_ended_otherwise_says_so() {
    let mut of = deposit("held");
    of.milestones = Milestones { mined_at: at(1), received_at: at(2), stopped_at: at(3), ..of.milestones };
    of.held = Some(HoldReason::BelowMinimum);
    assert_eq!(shown(&of, Method::Direct), "++!..");
    of.held = Some(HoldReason::DepositOrphaned);
    assert_eq!(shown(&of, Method::Direct), "+!...", "it has to be confirmed anew");
    (of.status, of.held) = ("refund_due".into(), None);
    assert_eq!(shown(&of, Method::Direct), "++!");
    (of.status, of.outcome) = ("done".into(), Some("vanished".into()));
    assert_eq!(shown(&of, Method::Direct), "+++");
}

#[test]
fn what_is_filled_is_a_share_of_the_deposit() {
    let percent = |part: &str, whole: &str| percent(part.parse().unwrap(), whole.parse().unwrap());
    assert_eq!((percent("0", "0.05"), percent("0.02499999", "0.05"), percent("0.05", "0.05")), (0, 49, 100));
    assert_eq!((percent("1", "0"), percent("2", "1")), (0, 100));
}

#[test]
fn every_language_tells_every_step() {
    for language in Language::ALL {
        for step in WITH_A_PURCHASE.into_iter().chain([Step::Ended]) {
            assert!(!name(step, language.words()).is_empty());
        }
    }
}

#[test]
fn a_transaction_is_a_link_only_where_an_explorer_is_configured() {
    let txid = "ab".repeat(32);
    let plain = transaction(&txid, None).into_string();
    assert!(plain.contains(&format!(">{txid}<")) && !plain.contains("href"));
    let linked = transaction(&txid, Some(format!("https://explorer.example/tx/{txid}"))).into_string();
    assert!(
        linked.contains(&format!("href=\"https://explorer.example/tx/{txid}\""))
            && linked.contains(">abababab…ababab<")
    );
}

#[test]
fn confirmations_have_no_number_while_the_newest_block_is_not_known() {
    let words = Language::English.words();
    let mut of = deposit("pending");
    of.milestones.mined_at = at(1);
    assert!(confirmations(State::Now, &of, words).into_string().ends_with("1 of 3"));
    of.depth = None;
    assert_eq!(confirmations(State::Now, &of, words).into_string(), "");
    assert_eq!(standing(&of, words), "Waiting for confirmations");
}
