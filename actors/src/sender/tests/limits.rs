//! Limits of what is paid out, counted from the log.

use chrono::TimeDelta;
use millrace_model::ids::DepositId;
use millrace_model::outflow::Limits;

use super::*;

fn hourly(coins: &str) -> Limits {
    Limits { hour: Some(coins.parse().unwrap()), ..Limits::default() }
}

async fn limited(limits: Limits) -> Rig {
    let mut rig = Rig::new().await;
    rig.limits = limits;
    for _ in 0..8 {
        rig.node.ledger().give("100", 50);
    }
    rig
}

async fn paid(rig: &Rig, ids: &[DepositId]) -> usize {
    let signed = |id: &&DepositId| rig.count(**id, "PayoutSigned") == 1;
    ids.iter().filter(signed).count()
}

#[tokio::test(start_paused = true)]
async fn payouts_side_by_side_stay_within_the_limit_together_and_the_rest_goes_when_the_hour_is_over() {
    let rig = limited(hourly("30")).await;
    let mut ids = Vec::new();
    for number in 11..=15 {
        ids.push(rig.owe(number, "10").await);
    }
    rig.send();
    let told = rig.until_alarm(PART, "limits").await;
    assert!(told.contains("at most 30.000000 SKY in an hour"), "{told}");
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(paid(&rig, &ids).await, 3);
    rig.clock.advance(TimeDelta::minutes(61));
    for id in &ids {
        rig.until_paid(*id).await;
    }
    rig.until_well(PART).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_forgets_nothing_of_what_was_paid_out() {
    let mut rig = limited(Limits { day: Some("30".parse().unwrap()), ..Limits::default() }).await;
    rig.send();
    let first = rig.owe(11, "25").await;
    rig.until_paid(first).await;
    rig.clock.advance(TimeDelta::hours(23));
    rig = rig.restart().await;
    let second = rig.owe(12, "6").await;
    rig.send();
    rig.until_alarm(PART, "limits").await;
    let third = rig.owe(13, "5").await;
    rig.until_paid(third).await;
    assert_eq!(rig.count(second, "PayoutSigned"), 0);
    rig.clock.advance(TimeDelta::hours(1));
    rig.until_paid(second).await;
}

#[tokio::test(start_paused = true)]
async fn what_one_target_got_limits_that_target_alone() {
    let rig = limited(Limits { target_day: Some("10".parse().unwrap()), ..Limits::default() }).await;
    rig.send();
    let first = rig.owe(11, "10").await;
    rig.until_paid(first).await;
    let other = rig.owe(12, "10").await;
    rig.until_paid(other).await;
    let again = rig.owe_to(11, 60, "1").await;
    let told = rig.until_alarm(PART, "limits").await;
    assert!(told.contains("to one target in a day"), "{told}");
    assert_eq!(rig.count(again, "PayoutSigned"), 0);
}
