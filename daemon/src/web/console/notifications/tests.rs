//! How deliveries went, on the pages of a deposit and of one notification, over a real log and a real receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use http::StatusCode;
use millrace_actors::projection::StoredNotification;
use millrace_actors::subscriptions::Wanted;
use millrace_actors::subscriptions::delivery::FILE;
use millrace_actors::subscriptions::endpoint::{Endpoint, new_secret};
use millrace_model::ids::{DepositId, Position, SubscriptionId};
use millrace_model::operator::By;
use millrace_model::subscription::{Command, Dialect, Ending, Order, Ownership, Schedule, Terms};
use tokio::task::JoinSet;

use crate::web::console::visitor::Visitor;
use crate::web::operator::attempts::newest;
use crate::web::operator::tests::{Desk, received};

/// Told of every deposit that is confirmed, which each is once.
const WANTED: &str = "Deposit.Confirmed";
/// Longer than a busy machine takes for anything that is waited for here.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// Somebody who refuses what he is sent first, and takes everything after that.
async fn hesitant() -> (String, JoinSet<()>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = move || async move {
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => (StatusCode::INTERNAL_SERVER_ERROR, "<b>come later</b>"),
            _ => (StatusCode::NO_CONTENT, ""),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, Router::new().route("/hook", post(answer))).await.unwrap() });
    (url, tasks)
}

async fn webhook(desk: &Desk, url: &str) -> SubscriptionId {
    let terms = Terms {
        events: vec![WANTED.to_owned()],
        customer: None,
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: Order::Any,
        rate_per_s: None,
    };
    let endpoint = Endpoint::new(url.to_owned(), new_secret());
    let wanted = Wanted { endpoint, terms, ownership: Ownership::Vouched };
    desk.state.subscriptions.subscribe(wanted, By::Token).await.unwrap().subscription.id
}

/// The page, once it says all of this.
async fn saying(visitor: &Visitor, path: &str, said: &[&str]) -> String {
    let looking = async {
        loop {
            let page = visitor.get(path).await.shown();
            if said.iter().all(|said| page.contains(said)) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(SEEN_WITHIN, looking).await;
    match found {
        Ok(page) => page,
        Err(_) => panic!("{path} does not say {said:?}: {}", visitor.get(path).await.text),
    }
}

/// What the receivers here are told of.
async fn confirmed(desk: &Desk) -> StoredNotification {
    let told = desk.state.views.notifications_after(0, 100, &Default::default()).await.unwrap();
    told.into_iter().find(|told| told.kind.name() == WANTED).unwrap()
}

/// Sends it once more and waits until that is written: what is asked for while it is under way is one with that.
async fn again(desk: &Desk, receiver: SubscriptionId, position: Position) {
    let before = desk.state.deliveries.figures().written().1;
    desk.state.deliveries.resend(&[receiver], position).await.unwrap();
    let written = async {
        while desk.state.deliveries.figures().written().1 == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SEEN_WITHIN, written).await.expect("the attempt is written");
}

fn path(id: DepositId) -> String {
    format!("/console/deposits/{id}")
}

#[tokio::test]
async fn a_deposit_says_who_was_told_how_that_went_and_is_told_again_from_its_own_page() {
    let desk = Desk::start().await;
    let ((url, _server), visitor) = (hesitant().await, Visitor::of(&desk).await);
    let (hears, waits) = (webhook(&desk, &url).await, webhook(&desk, "http://127.0.0.1:9/waits").await);
    desk.state.subscriptions.execute(waits, Command::PauseDelivery).await.unwrap();
    let receivers = visitor.get("/console/notifications").await.shown();
    assert!(!receivers.contains("takes what it is sent"), "nobody was sent anything: {receivers}");
    saying(&visitor, "/console/notifications", &["nothing sent yet"]).await;
    let id = desk.deposit(1, Some("target"), received()).await;
    let refused = ["&lt;b&gt;come later&lt;/b&gt;", "status</span> 500", &url, "in ", "Deposit.Confirmed"];
    let page = saying(&visitor, &path(id), &refused).await;
    let owed = format!(
        "is owed to <a href=\"/console/notifications/{waits}\">http://127.0.0.1:9/waits</a>, not sent yet: it is paused."
    );
    assert!(page.contains(&owed), "{page}");
    let resend = page.split(&format!("action=\"/console/notifications/{hears}/resend/")).nth(1).unwrap();
    let notification = resend.split('"').next().unwrap().to_owned();
    let resend = format!("/console/notifications/{hears}/resend/{notification}");
    let (deposit, told) = (id.to_string(), format!("/console/notifications/told/{notification}"));
    for (form, seen_on, back) in [
        (1, deposit.as_str(), format!("{}#told", path(id))),
        (2, "notification", told.clone()),
        (3, "receiver", format!("/console/notifications/{hears}")),
    ] {
        let answer = visitor.post(form, &resend, &[("note", "asked for"), ("seen_on", seen_on)]).await;
        assert_eq!((answer.status.as_u16(), answer.to), (303, Some(back)), "{}", answer.text);
    }
    visitor.post(4, &resend, &[("note", "no"), ("seen_on", "https://elsewhere.example")]).await.refused(422, "");
    for page in [path(id), told] {
        let page = saying(&visitor, &page, &["delivered</span> 204", "status</span> 500", "is owed to"]).await;
        assert_eq!(page.matches(&format!("action=\"{resend}\"")).count(), 1, "one order a receiver: {page}");
    }
}

#[tokio::test]
async fn how_a_receiver_does_is_not_known_while_the_deliveries_do_not_answer() {
    let (desk, list) = (Desk::start().await, "/console/notifications");
    let visitor = Visitor::of(&desk).await;
    webhook(&desk, "http://127.0.0.1:9/hook").await;
    let page = saying(&visitor, list, &["nothing sent yet"]).await;
    assert!(page.contains("data-follows=\"log deliveries parts\""), "{page}");
    visitor.post(1, "/console/parts/delivery/stop_part", &[("note", "to see what is said then")]).await;
    let page = saying(&visitor, list, &["The deliveries do not answer", "not known"]).await;
    assert!(!page.contains("not delivered to"), "{page}");
}

#[tokio::test]
async fn of_many_attempts_the_newest_are_shown_and_the_rest_counted() {
    let desk = Desk::start().await;
    let ((url, _server), visitor) = (hesitant().await, Visitor::of(&desk).await);
    let hears = webhook(&desk, &url).await;
    let id = desk.deposit(1, Some("target"), received()).await;
    saying(&visitor, &path(id), &["come later"]).await;
    let told = confirmed(&desk).await;
    for _ in 2..=23 {
        again(&desk, hears, told.position).await;
    }
    let page = saying(&visitor, &path(id), &["3 older attempts at", "not shown here"]).await;
    assert_eq!(page.matches("delivered</span> 204").count(), 20, "{page}");
    let alone = visitor.get(&format!("/console/notifications/told/{}", told.id)).await.shown();
    assert!(alone.matches("delivered</span> 204").count() == 22 && alone.contains("come later"), "{alone}");
    assert!(!alone.contains("older attempt"), "{alone}");
}

/// As many as fit on a page end in the middle of the first one's attempts, or of the second one's.
#[tokio::test]
async fn a_page_of_attempts_leaves_none_of_a_notification_for_the_next_to_skip() {
    let desk = Desk::start().await;
    let ((url, _server), visitor) = (hesitant().await, Visitor::of(&desk).await);
    let hears = webhook(&desk, &url).await;
    let first = desk.deposit(1, Some("target"), received()).await;
    saying(&visitor, &path(first), &["come later"]).await;
    let first = confirmed(&desk).await.position;
    again(&desk, hears, first).await;
    again(&desk, hears, first).await;
    let second = desk.deposit(2, Some("target"), received()).await;
    saying(&visitor, &path(second), &["delivered</span> 204"]).await;
    let second = newest(&desk.state, hears, None, 1).await.unwrap().attempts[0].position;
    again(&desk, hears, second).await;
    let shown = async |before, rows_max| {
        let page = newest(&desk.state, hears, before, rows_max).await.unwrap();
        (page.attempts.iter().map(|attempt| attempt.position).collect::<Vec<_>>(), page.next)
    };
    for rows_max in [1, 2, 3, 4] {
        assert_eq!(shown(None, rows_max).await, (vec![second; 2], Some(second)), "{rows_max}");
        let (older, _) = shown(Some(second), rows_max).await;
        assert!(older.len() >= 3 && older.iter().all(|position| *position == first), "{rows_max}: {older:?}");
    }
}

#[tokio::test]
async fn what_was_tried_long_ago_is_not_said_to_be_unsent() {
    let desk = Desk::start().await;
    let ((url, _server), visitor) = (hesitant().await, Visitor::of(&desk).await);
    let (hears, fails) = (webhook(&desk, &url).await, webhook(&desk, "http://127.0.0.1:9/fails").await);
    let id = desk.deposit(1, Some("target"), received()).await;
    saying(&visitor, &path(id), &["come later", "connect</span>"]).await;
    desk.state.subscriptions.execute(fails, Command::PauseDelivery).await.unwrap();
    let position = confirmed(&desk).await.position;
    for _ in 1..=24 {
        again(&desk, hears, position).await;
    }
    desk.state.subscriptions.execute(fails, Command::MoveCursor { after: 0 }).await.unwrap();
    let owed = format!("is owed to <a href=\"/console/notifications/{fails}\">http://127.0.0.1:9/fails</a>");
    let page = saying(&visitor, &path(id), &[&owed, "older attempt"]).await;
    assert!(page.contains(&format!("{owed} once more: it is paused.")) && !page.contains("not sent yet"), "{page}");
    assert!(!page.contains("connect</span>"), "its attempt is among the older ones: {page}");
}

#[tokio::test]
async fn attempts_that_cannot_be_read_take_nothing_else_from_the_page() {
    let desk = Desk::start().await;
    let ((url, _server), visitor) = (hesitant().await, Visitor::of(&desk).await);
    let hears = webhook(&desk, &url).await;
    let id = desk.deposit(1, Some("target"), received()).await;
    saying(&visitor, &path(id), &["come later"]).await;
    let why = Command::Unsubscribe { why: Ending::Wanted };
    desk.state.subscriptions.execute(hears, why).await.unwrap();
    let page = saying(&visitor, &path(id), &["(removed)", "come later"]).await;
    assert!(!page.contains(&url) && !page.contains("/resend/"), "{page}");
    let file = desk.folder.path().join(FILE);
    std::fs::rename(&file, file.with_extension("away")).unwrap();
    std::fs::create_dir(&file).unwrap();
    let page = visitor.get(&path(id)).await.shown();
    assert!(page.contains("role=\"alert\">The attempts cannot be read at the moment"), "{page}");
    for said in ["Deposit.Confirmed", "as it is sent", "What happened, and why", "Take it away"] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[tokio::test]
async fn a_receiver_is_stopped_told_again_and_removed_for_a_reason_that_the_audit_has() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("target"), received()).await;
    let id = webhook(&desk, "http://127.0.0.1:9/hook").await;
    let (visitor, path) = (Visitor::of(&desk).await, format!("/console/notifications/{id}"));
    let page = saying(&visitor, &path, &["The log ends at position", "name=\"after\" min=\"0\""]).await;
    let field = page.split("name=\"after\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(field.contains("required") && !field.contains("value="), "nothing is presumed: {field}");
    visitor.post(1, &format!("{path}/pause"), &[]).await.refused(422, "note");
    visitor.post(2, &format!("{path}/pause"), &[("note", "it moves")]).await;
    visitor.post(3, &format!("{path}/recover"), &[("after", "1"), ("note", "it lost a day")]).await;
    visitor.post(4, &format!("{path}/remove"), &[("note", "nobody reads it")]).await;
    for said in ["it moves", "it lost a day", "nobody reads it", "pause delivery", "operator operator"] {
        saying(&visitor, "/console/audit", &[said]).await;
    }
}

#[tokio::test]
async fn an_example_is_sent_once_however_often_its_page_is_asked_for_anew() {
    let desk = Desk::start().await;
    let ((url, _server), visitor) = (hesitant().await, Visitor::of(&desk).await);
    let to = format!("/console/notifications/{}/simulate", webhook(&desk, &url).await);
    let fields = [("note", "does it hear?"), ("event_type", WANTED)];
    let page = visitor.post(1, &to, &fields).await.shown();
    assert!(page.contains("An example was sent") && page.contains("come later"), "{page}");
    visitor.post(1, &to, &fields).await.refused(409, "This form was sent already");
    let page = visitor.post(2, &to, &fields).await.shown();
    assert!(page.contains("answered 204"), "the second request that came: {page}");
}
