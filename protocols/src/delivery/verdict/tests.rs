//! What answers mean, case by case and for all of them.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000_000;

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after_ms: None, directive: None }
}

/// Nothing arrived meanwhile.
fn past(failures: u32) -> Past {
    Past { failures, arrived_then: 7, arrived: 7 }
}

fn judged(outcome: Outcome, failures: u32) -> Verdict {
    judge(outcome, &Schedule::TON_EVENTS, past(failures), NOW, Chance(0))
}

fn retried_after_ms(verdict: Verdict) -> Option<u64> {
    match verdict.fate {
        Fate::Retry { not_before_ms } => Some(not_before_ms - NOW),
        Fate::Delivered | Fate::Aborted | Fate::GivenUp | Fate::Disable(_) => None,
    }
}

#[test]
fn any_2xx_is_a_delivery() {
    for status in 200..300 {
        let verdict = judged(answered(status), 2);
        assert_eq!((verdict.fate, verdict.health), (Fate::Delivered, Health::Well));
    }
}

#[test]
fn a_redirect_is_a_failure_and_never_followed() {
    for status in 300..400 {
        assert_eq!(retried_after_ms(judged(answered(status), 0)), Some(30_000));
    }
}

#[test]
fn gone_disables_at_once() {
    assert_eq!(judged(answered(410), 0).fate, Fate::Disable(Reason::Gone));
}

#[test]
fn the_last_failure_of_the_schedule_disables() {
    assert_eq!(retried_after_ms(judged(answered(500), 2)), Some(120_000));
    let verdict = judged(answered(500), 3);
    assert_eq!((verdict.fate, verdict.failures), (Fate::Disable(Reason::Exhausted), 4));
}

#[test]
fn the_last_failure_of_one_settles_it_alone_where_another_arrived_since_the_first() {
    let judged = |past| judge(answered(500), &Schedule::TON_EVENTS, past, NOW, Chance(0)).fate;
    assert_eq!(judged(Past { arrived: 8, ..past(3) }), Fate::GivenUp);
    assert_eq!(judged(past(3)), Fate::Disable(Reason::Exhausted));
    let not_yet = judged(Past { arrived: 8, ..past(2) });
    assert!(matches!(not_yet, Fate::Retry { .. }));
    let only = judge(answered(500), &Schedule::Listed(vec![]), Past { arrived: 8, ..past(0) }, NOW, Chance(0));
    assert_eq!(only.fate, Fate::Disable(Reason::Exhausted), "its first failure is this one");
}

#[test]
fn a_receiver_may_ask_to_be_left_alone() {
    let asking = |directive| Outcome::Answered { status: 200, retry_after_ms: None, directive: Some(directive) };
    assert_eq!(judged(asking(Directive::Disable), 0).fate, Fate::Disable(Reason::Asked));
    assert_eq!(judged(asking(Directive::AbortMessage), 0).fate, Fate::Delivered);
    let refused = Outcome::Answered { status: 400, retry_after_ms: None, directive: Some(Directive::AbortMessage) };
    assert_eq!(judged(refused, 0).fate, Fate::Aborted);
}

#[test]
fn the_header_is_read_whatever_its_case() {
    assert_eq!(directive(" Disable "), Some(Directive::Disable));
    assert_eq!(directive("abort-message"), Some(Directive::AbortMessage));
    assert_eq!(directive("please"), None);
}

#[test]
fn retry_after_pauses_the_whole_endpoint() {
    let outcome = Outcome::Answered { status: 429, retry_after_ms: Some(NOW + 90_000), directive: None };
    let verdict = judged(outcome, 0);
    assert_eq!((verdict.pause_until_ms, retried_after_ms(verdict)), (Some(NOW + 90_000), Some(90_000)));
    assert_eq!(verdict.health, Health::Overloaded);
}

#[test]
fn retry_after_of_another_status_is_no_reason_to_wait() {
    let outcome = Outcome::Answered { status: 500, retry_after_ms: Some(NOW + 90_000), directive: None };
    assert_eq!(judged(outcome, 0).pause_until_ms, None);
}

#[test]
fn nobody_is_paused_for_more_than_a_day() {
    let outcome = Outcome::Answered { status: 503, retry_after_ms: Some(u64::MAX), directive: None };
    assert_eq!(judged(outcome, 0).pause_until_ms, Some(NOW + PAUSE_MS_MAX));
}

#[test]
fn what_says_nothing_of_the_endpoint_is_sent_again_at_once() {
    for trouble in [Trouble::Stale, Trouble::Unknown] {
        let verdict = judged(Outcome::Failed(trouble), 3);
        assert_eq!((retried_after_ms(verdict), verdict.failures, verdict.health), (Some(0), 3, Health::Silent));
    }
}

#[test]
fn what_cannot_be_read_is_read_again_and_what_is_no_more_is_settled() {
    assert_eq!(retried_after_ms(judged(Outcome::Failed(Trouble::Unread), 3)), Some(5_000));
    assert_eq!(judged(Outcome::Failed(Trouble::Missing), 3).fate, Fate::Aborted);
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    assert_eq!(retry_after_ms("7", NOW), Some(NOW + 7_000));
    assert_eq!(retry_after_ms("Tue, 14 Nov 2023 22:13:27 GMT", NOW), Some(NOW + 7_000));
    assert_eq!(retry_after_ms("99999999999999999999999", NOW), Some(u64::MAX));
    for nothing in ["", "-1", "soon", "1.5"] {
        assert_eq!(retry_after_ms(nothing, NOW), None);
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let directive = proptest::option::of(prop_oneof![Just(Directive::Disable), Just(Directive::AbortMessage)]);
    let answered = (100..600u16, proptest::option::of(NOW - 100_000..NOW + 100_000_000), directive)
        .prop_map(|(status, retry_after_ms, directive)| Outcome::Answered { status, retry_after_ms, directive });
    let troubles = [Trouble::Forbidden, Trouble::Connect, Trouble::Timeout, Trouble::Stale, Trouble::Protocol];
    prop_oneof![answered, proptest::sample::select(troubles.to_vec()).prop_map(Outcome::Failed)]
}

proptest! {
    #[test]
    fn retry_after_is_never_undercut(outcome in outcomes(), failures in 0..5u32, drawn: u32) {
        let verdict = judge(outcome, &Schedule::standard(), past(failures), NOW, Chance(drawn));
        if let Outcome::Answered { status: 429 | 503, retry_after_ms: Some(asked_ms), .. } = outcome {
            let asked_ms = asked_ms.min(NOW + PAUSE_MS_MAX);
            prop_assert!(verdict.pause_until_ms.unwrap_or(NOW) >= asked_ms);
            if let Fate::Retry { not_before_ms } = verdict.fate {
                prop_assert!(not_before_ms >= asked_ms);
            }
        }
    }

    #[test]
    fn nothing_is_sent_again_before_its_schedule(status in 300..600u16, failures in 0..9u32, drawn: u32) {
        let verdict = judge(answered(status), &Schedule::standard(), past(failures), NOW, Chance(drawn));
        if let Fate::Retry { not_before_ms } = verdict.fate {
            let least_ms = Schedule::standard().delay_ms(failures + 1, Chance(0)).expect("it is in the schedule");
            prop_assert!(not_before_ms >= NOW + least_ms);
        }
    }
}

#[test]
fn what_does_not_speak_http_is_judged_alike() {
    assert_eq!((judged(Outcome::Accepted, 2).fate, judged(Outcome::Accepted, 2).failures), (Fate::Delivered, 2));
    assert_eq!(judged(Outcome::Refused(Refusal::Receiver), 0).fate, Fate::Disable(Reason::Gone));
    assert_eq!(judged(Outcome::Refused(Refusal::Message), 0).fate, Fate::Aborted);
    let verdict = judged(Outcome::Refused(Refusal::ForNow { retry_at_ms: None }), 0);
    assert_eq!((retried_after_ms(verdict), verdict.health, verdict.failures), (Some(30_000), Health::Failing, 1));
}

#[test]
fn a_broker_that_says_until_when_pauses_its_endpoint() {
    let verdict = judged(Outcome::Refused(Refusal::ForNow { retry_at_ms: Some(NOW + 90_000) }), 0);
    assert_eq!((verdict.pause_until_ms, verdict.health), (Some(NOW + 90_000), Health::Overloaded));
    assert_eq!(retried_after_ms(verdict), Some(90_000));
    let for_ever = judged(Outcome::Refused(Refusal::ForNow { retry_at_ms: Some(u64::MAX) }), 0);
    assert_eq!(for_ever.pause_until_ms, Some(NOW + PAUSE_MS_MAX));
}
