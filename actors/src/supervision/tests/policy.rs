//! Back-off and intensity, judged without any task.

use tokio::time::Instant;

use super::super::policy::{History, Verdict};
use super::*;

fn failed() -> Exit {
    Exit::Failed("refused".to_owned())
}

/// Judges `failures` exits of parts that die as soon as they are made.
fn pauses(policy: Policy, seed: u64, failures: usize) -> Vec<Verdict> {
    let mut history = History::new(policy, seed);
    let mut now = Instant::now();
    let judge = |_| {
        let verdict = history.judge(&failed(), Duration::ZERO, now);
        if let Verdict::Again(pause) = verdict {
            now += pause;
        }
        verdict
    };
    (0..failures).map(judge).collect()
}

/// O10: pauses grow, and chance spreads them.
#[test]
fn pauses_double_up_to_the_longest_and_are_shortened_by_at_most_a_half() {
    for seed in 0..50 {
        let mut whole = Duration::from_millis(200);
        for verdict in pauses(Policy::permanent(), seed, 40) {
            let Verdict::Again(pause) = verdict else { panic!("gave up") };
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
            whole = (whole * 2).min(Duration::from_secs(30));
        }
    }
}

/// O10: what is dead for long is tried for ever.
#[test]
fn the_default_never_gives_up_on_what_stays_dead() {
    for seed in 0..20 {
        assert!(!pauses(Policy::permanent(), seed, 5000).contains(&Verdict::GiveUp));
    }
}

#[test]
fn equal_seeds_give_equal_pauses_and_others_do_not() {
    assert_eq!(pauses(Policy::permanent(), 1, 20), pauses(Policy::permanent(), 1, 20));
    assert_ne!(pauses(Policy::permanent(), 1, 20), pauses(Policy::permanent(), 2, 20));
}

#[test]
fn restarts_are_counted_within_the_window_only() {
    let intensity = Intensity { restarts_max: 2, window: Duration::from_secs(60) };
    let mut history = History::new(Policy { intensity, ..Policy::permanent() }, 0);
    let begun = Instant::now();
    let mut judge = |second| history.judge(&failed(), Duration::ZERO, begun + Duration::from_secs(second));
    assert!(matches!(judge(0), Verdict::Again(_)));
    assert!(matches!(judge(30), Verdict::Again(_)));
    assert_eq!(judge(59), Verdict::GiveUp);
    assert!(matches!(judge(60), Verdict::Again(_)), "the first has left the window");
}

#[test]
fn a_part_that_lived_through_the_window_backs_off_afresh() {
    let mut history = History::new(Policy::permanent(), 0);
    let now = Instant::now();
    for _ in 0..8 {
        history.judge(&failed(), Duration::ZERO, now);
    }
    let Verdict::Again(pause) = history.judge(&failed(), Duration::from_secs(60), now) else { panic!("gave up") };
    assert!(pause <= Policy::permanent().backoff.first);
}
