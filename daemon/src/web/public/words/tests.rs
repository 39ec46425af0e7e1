//! What holds in every language.

use chrono::TimeZone;

use super::super::standing::Standing;
use super::*;
use millrace_model::deposit::HoldReason;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

#[test]
fn numbers_and_moments_are_written_as_each_language_does() {
    let moment = Utc.with_ymd_and_hms(2026, 3, 7, 4, 5, 6).unwrap();
    for (language, number, written) in [
        (Language::English, "12,345.678", "7 Mar 2026, 04:05:06 UTC"),
        (Language::Chinese, "12,345.678", "2026年3月7日 04:05:06 UTC"),
        (Language::Russian, "12\u{a0}345,678", "07.03.2026, 04:05:06 UTC"),
    ] {
        let words = language.words();
        assert_eq!((words.number)("12345.678"), number);
        assert_eq!((words.moment)(moment), written);
    }
    assert_eq!((Language::English.words().number)("500"), "500");
    assert_eq!((Language::Russian.words().number)("1000000"), "1\u{a0}000\u{a0}000");
}

#[test]
fn what_was_is_told_in_the_largest_whole_unit() {
    let words = Language::English.words();
    let day = 24 * 3600;
    for (passed, told) in [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (day - 1, "23 h ago"),
        (day, "1 day ago"),
        (3 * day, "3 days ago"),
    ] {
        assert_eq!(words.ago(at(0), at(passed)), told);
    }
    let russian = Language::Russian.words();
    for (days, told) in
        [(1, "1 день назад"), (2, "2 дня назад"), (5, "5 дней назад"), (11, "11 дней назад"), (21, "21 день назад")]
    {
        assert_eq!(russian.ago(at(0), at(days * day)), told);
    }
}

#[test]
fn confirmations_have_the_form_that_goes_with_their_number() {
    let needed = |language: Language, number| (language.words().confirmations_needed)(number);
    assert!(needed(Language::English, 1).contains("1 confirmation."));
    assert!(needed(Language::English, 2).contains("2 confirmations."));
    for (number, form) in
        [(1, "1 подтверждение."), (3, "3 подтверждения."), (6, "6 подтверждений."), (12, "12 подтверждений.")]
    {
        assert!(needed(Language::Russian, number).contains(form), "{number}");
    }
    assert!(needed(Language::Chinese, 3).contains("3 次确认"));
}

/// Everything a deposit can stand at.
fn standings() -> Vec<(&'static str, Option<HoldReason>, Option<&'static str>)> {
    let mut all = vec![("quarantined", None, None), ("refund_due", None, None)];
    all.extend(["pending", "wait_decide", "wait_buy", "wait_send", "wait_confirm"].map(|status| (status, None, None)));
    all.extend(["paid", "refunded", "vanished", "written_off", "failed"].map(|outcome| ("done", None, Some(outcome))));
    let reasons = [
        HoldReason::BelowMinimum,
        HoldReason::AboveMaximum,
        HoldReason::NothingToSend,
        HoldReason::PayoutAboveMaximum,
        HoldReason::DepositOrphaned,
        HoldReason::OrderUnaccounted,
        HoldReason::Operator { note: String::new() },
    ];
    all.extend(reasons.map(|reason| ("held", Some(reason), None)));
    all
}

#[test]
fn every_state_has_a_sentence_of_its_language() {
    for language in Language::ALL {
        for (status, held, outcome) in standings() {
            for (is_mined, depth) in [(false, None), (true, None), (true, Some(1))] {
                let standing = Standing { status, is_mined, held: held.as_ref(), outcome, depth: (depth, 3) };
                let sentence = standing.sentence(language.words());
                assert!(!sentence.is_empty() && sentence != status, "{status} in {language:?}");
                let is_foreign = !sentence.is_ascii();
                assert_eq!(is_foreign, language != Language::English, "{sentence}");
            }
        }
    }
}
