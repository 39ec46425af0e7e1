//! Browsers that are gone before they are answered.

use std::future::Future;
use std::time::Duration;

use millrace_actors::operations;
use millrace_model::operator::Action;

use super::*;
use crate::web::operator::tests::{Desk as Log, acts};

/// Longer than a busy machine takes for anything that is waited for here.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// Waits until this holds, while a request is under way that does not end before.
async fn meanwhile<F: Future<Output = Answer>>(request: F, holds: impl AsyncFn() -> bool) {
    let seen = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        answer = request => panic!("answered before: {} {}", answer.status, answer.body),
        () = seen => {}
    }
}

/// Waits until this holds.
async fn until(holds: impl AsyncFn() -> bool) {
    let seen = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SEEN_WITHIN, seen).await.unwrap();
}

#[tokio::test]
async fn what_a_form_began_is_done_although_its_browser_is_gone() {
    let desk = Desk::new();
    desk.log_in().await;
    let mut fields = desk.get("/console/page").await.fields();
    fields.push(("wish", "time".to_owned()));
    let begun = async || desk.acts.waiting.load(Ordering::Relaxed) == 1;
    meanwhile(desk.post("/console/act", &fields), begun).await;
    assert_eq!(desk.acted(), 0);
    desk.acts.time.add_permits(1);
    until(async || desk.post("/console/act", &fields).await.location() == "/console/page?done=1").await;
    assert_eq!(desk.acted(), 1);
}

#[tokio::test]
async fn who_logs_out_is_out_at_once_although_the_log_hangs_and_the_log_has_it_later() {
    let log = Log::start().await;
    let desk = Desk::telling(Some(log.state.operations.clone()));
    desk.log_in().await;
    let stay = desk.stay();
    let fields = desk.get("/console/page").await.fields();
    // Nobody takes what it is asked, so it is waited for.
    log.tree.stop(operations::PART).await.unwrap();
    meanwhile(desk.post("/console/logout", &fields), async || !stay.gate.is_in(&stay.session).await).await;
    assert!(log.state.operations.waiting().deeds.is_empty(), "the log was given up on before the session ended");
    log.tree.start(operations::PART).await.unwrap();
    until(async || acts(&log, Action::LogOut) == 1).await;
}

#[tokio::test]
async fn who_ends_the_others_ends_them_at_once_although_the_log_hangs() {
    let log = Log::start().await;
    let desk = Desk::telling(Some(log.state.operations.clone()));
    desk.log_in().await;
    let other = desk.stay();
    desk.log_in().await;
    let mut fields = desk.get("/console/account").await.fields();
    fields.push(("which", "others".to_owned()));
    log.tree.stop(operations::PART).await.unwrap();
    let ending = desk.post("/console/account/sessions/end", &fields);
    meanwhile(ending, async || !other.gate.is_in(&other.session).await).await;
    assert!(log.state.operations.waiting().deeds.is_empty(), "the log was given up on before the session ended");
    log.tree.start(operations::PART).await.unwrap();
    until(async || acts(&log, Action::EndSessions) == 1).await;
}

#[tokio::test]
async fn who_logs_in_is_in_the_log_although_his_browser_is_gone() {
    let log = Log::start().await;
    let desk = Desk::telling(Some(log.state.operations.clone()));
    {
        let logging_in = desk.try_password(NAME, &desk.password);
        tokio::pin!(logging_in);
        assert!(futures::poll!(logging_in).is_pending());
    }
    until(async || acts(&log, Action::LogIn) == 1).await;
}
