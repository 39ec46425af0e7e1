//! The pages over a real log and real views, as somebody sees them whose browser runs no scripts.

use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use http::Response;

use super::visitor::Visitor;
use crate::web::operator::tests::{Desk, held, received};

const PAGES: [&str; 10] = [
    "/console",
    "/console/deposits",
    "/console/past",
    "/console/log",
    "/console/parts",
    "/console/projections",
    "/console/notifications",
    "/console/money",
    "/console/settings",
    "/console/audit",
];

#[tokio::test]
async fn every_page_stands_in_the_frame_with_the_way_that_was_taken() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("target"), received()).await;
    let visitor = Visitor::of(&desk).await;
    for path in PAGES {
        let page = visitor.get(path).await.shown();
        let taken = format!("<a href=\"{path}\" aria-current=\"page\">");
        assert!(page.contains(&taken) && page.matches("<h1").count() == 1, "{path}: {page}");
        assert!(page.contains("Log at") && !page.contains("role=\"alert\""), "{path}: {page}");
    }
}

#[tokio::test]
async fn nobody_sees_a_page_who_has_not_logged_in() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await.without_cookie();
    for path in PAGES {
        let answer = visitor.get(path).await;
        assert!(answer.status.is_redirection() && answer.to.unwrap().starts_with("/console/login"), "{path}");
    }
}

#[tokio::test]
async fn whatever_is_refused_to_a_browser_is_a_page_with_a_plain_sentence() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    for (path, status) in [
        ("/console/nothing-here", 404),
        ("/console/deposits/nonsense", 404),
        ("/console/deposits/", 404),
        ("/console/notifications/zzz", 404),
        ("/console/notifications/told/zzz", 404),
        ("/console/log/deposit/zzz", 404),
        ("/console/log/abc", 404),
        ("/console/log?before=zz", 400),
        ("/console/audit?before=zz", 400),
        ("/console/money/rounds?before=zz", 400),
        ("/console/past?position=zz", 400),
        ("/console/notifications?skip=zz", 400),
        ("/console/money/halt", 405),
    ] {
        let answer = visitor.get(path).await;
        for no in ["{\"", "Cannot parse", "deserialize", "looks again by itself"] {
            assert!(!answer.text.contains(no), "{path}: {no}: {}", answer.text);
        }
        assert!(
            answer.text.contains("Log at") && answer.text.contains("Not shown</span>: "),
            "{path}: {}",
            answer.text
        );
        answer.refused(status, "");
    }
    visitor.post(1, "/console/notifications/zzz/pause", &[]).await.refused(404, "Not done");
    visitor.post(2, "/console/nothing-here", &[]).await.refused(404, "Not done");
    assert_eq!(visitor.get("/console/").await.to.as_deref(), Some("/console"));
    let visitor = visitor.without_cookie();
    visitor.get("/console/assets/0/nothing.js").await.refused(404, "There is nothing at this path.");
    assert!(visitor.get("/console/nothing-here").await.to.unwrap().starts_with("/console/login"));
}

#[tokio::test]
async fn what_ails_and_what_is_held_is_said_first() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("target"), held(millrace_model::deposit::HoldReason::NothingToSend)).await;
    let page = Visitor::of(&desk).await.get("/console").await.shown();
    assert!(page.contains("Money is moving, with something to look at"), "{page}");
    assert!(page.contains("1 deposit is held for somebody to decide"), "{page}");
}

#[tokio::test]
async fn orders_for_parts_are_carried_out_once_and_in_the_operators_name() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let restarts = || desk.tree.health().part("projection").unwrap().restarts;
    let why = [("note", "it looked tired")];
    for _ in 0..2 {
        let answer = visitor.post(1, "/console/parts/projection/restart_part", &why).await;
        assert_eq!(answer.to.as_deref(), Some("/console/parts#part-projection"), "{}", answer.text);
    }
    assert_eq!(restarts(), 1, "a second click leads there as well and does nothing");
    let audit = visitor.get("/console/audit").await.shown();
    assert!(audit.contains("restart part") && audit.contains("it looked tired"), "{audit}");

    visitor.post(2, "/console/parts/projection/restart_part", &[]).await.refused(422, "note");
    visitor.post(3, "/console/parts/projection/break_part", &why).await.refused(404, "started, stopped and restarted");
    visitor.post(4, "/console/parts/nobody/restart_part", &why).await.refused(404, "no part of this name");
    assert_eq!(restarts(), 1);
}

#[tokio::test]
async fn what_was_done_while_the_log_was_stopped_is_in_the_audit() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let part = "/console/parts/event_store";
    assert!(visitor.post(1, &format!("{part}/stop_part"), &[("note", "a new disk")]).await.status.is_redirection());
    visitor.post(2, "/console/parts/projection/restart_part", &[("note", "meanwhile")]).await;
    let page = visitor.get("/console/audit").await.text;
    assert!(page.contains("1 act") && page.contains("not in the log yet") && page.contains("meanwhile"), "{page}");
    visitor.post(3, &format!("{part}/start_part"), &[("note", "it is in")]).await;
    let mut bell = desk.store.bell();
    let written = async {
        while !desk.state.operations.waiting().deeds.is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(50), bell.changed()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written).await.unwrap();
    let page = visitor.get("/console/audit").await.shown();
    for said in ["a new disk", "meanwhile (done at ", "it is in (done at ", "start part"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("not in the log yet"), "{page}");
}

#[tokio::test]
async fn brakes_are_set_with_a_reason_and_shown_with_who_set_them() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let why = [("note", "the book looks odd")];
    assert!(visitor.post(1, "/console/money/switches/purchases/off", &why).await.status.is_redirection());
    assert!(visitor.post(2, "/console/money/halt", &why).await.status.is_redirection());
    let page = visitor.get("/console/money").await.shown();
    for said in ["Purchases turned off: the book looks odd", "Halted: ", "Turn on", "Resume"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(visitor.get("/console").await.shown().contains("Money is not moving"));
    let seen = [("note", "looked at"), ("cause", "halted for something else")];
    visitor.post(3, "/console/money/resume", &seen).await.refused(409, "not halted for what you saw");
    let cause = desk.state.operations.switches().borrow().halt().unwrap().to_string();
    let seen = [("note", "looked at"), ("cause", cause.as_str())];
    assert!(visitor.post(4, "/console/money/resume", &seen).await.status.is_redirection());
    assert_eq!(visitor.post(5, "/console/money/switches/everything/off", &why).await.status, 404);
}

#[tokio::test]
async fn the_log_is_filtered_walked_and_proved() {
    let desk = Desk::start().await;
    for number in 1..=40 {
        desk.deposit(number, Some("target"), received()).await;
    }
    let visitor = Visitor::of(&desk).await;
    let newest = visitor.get("/console/log").await.shown();
    assert!(
        newest.contains("id=\"event-120\"")
            && newest.contains("id=\"event-71\"")
            && !newest.contains("id=\"event-70\"")
    );
    assert!(newest.contains("before=71"), "{newest}");
    let older = visitor.get("/console/log?before=71").await.shown();
    assert!(older.contains("id=\"event-70\"") && older.contains("To the newest"));
    let mined = visitor.get("/console/log?kind=Mined").await.shown();
    assert_eq!(mined.matches("<tr id=\"event-").count(), 40, "{mined}");
    assert!(visitor.get("/console/log?kind=Nonsense").await.shown().contains("There is no event kind"));
    let gigantic = format!("/console/log?stream={}", "x".repeat(2_000));
    assert!(visitor.get(&gigantic).await.shown().contains("longer than anything in the log"));
    let event = visitor.get("/console/log/2").await.shown();
    assert!(event.contains("Mined") && event.contains("rel=\"prev\""), "{event}");
    assert_eq!(visitor.get("/console/log/999").await.status, 404);

    assert!(visitor.post(1, "/console/log/verify", &[]).await.status.is_redirection());
    let mut page = String::new();
    for _ in 0..200 {
        page = visitor.get("/console/log").await.shown();
        if page.contains(", verified ") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // This log was written by hand, which is noticed.
    assert!(page.contains("things are wrong") && page.contains("120 events and 40 deposits"), "{page}");
}

/// The first event of a stream, with what it is known by.
async fn first(response: Response<Body>) -> String {
    let mut body = response.into_body().into_data_stream();
    String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_stream_begins_with_everything_and_goes_on_with_what_was_missed() {
    let desk = Desk::start().await;
    desk.deposit(1, None, received()).await;
    let visitor = Visitor::of(&desk).await;
    let begun = first(visitor.follow(None).await).await;
    assert!(begun.contains("data: log parts projections places deliveries"), "{begun}");
    let id = begun.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    let resumed = first(visitor.follow(Some(&id)).await).await;
    assert!(resumed.contains("data: parts projections places deliveries"), "nothing was stored meanwhile: {resumed}");
    desk.deposit(2, None, received()).await;
    assert!(first(visitor.follow(Some(&id)).await).await.contains("data: log parts"));
    assert!(first(visitor.follow(Some("another-run.4")).await).await.contains("data: log parts"));
}

/// What is stored at any moment of the stream's own looks is told; a hundred things in between are few messages.
#[tokio::test]
async fn whatever_is_stored_is_told_once_it_is_quiet() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let mut body = visitor.follow(None).await.into_body().into_data_stream();
    let _everything = body.next().await.unwrap().unwrap();
    for number in 1..=3_u32 {
        // Each at another moment between two looks of the stream; what is asserted holds at any.
        tokio::time::sleep(Duration::from_millis(u64::from(number) * 370)).await;
        desk.deposit(u128::from(number), None, received()).await;
        let head = desk.store.head();
        let told = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let text = String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
                if text.contains("data: log") || text.contains(" log") {
                    break text;
                }
            }
        });
        assert!(told.await.unwrap().contains(&format!(".{head}\n")), "event {head} is told");
    }
}

#[tokio::test]
async fn whoever_logs_out_is_told_so_by_the_stream_and_nothing_after_it() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let mut body = visitor.follow(None).await.into_body().into_data_stream();
    let _everything = body.next().await.unwrap().unwrap();
    let out = visitor.post(1, "/console/logout", &[]).await;
    assert_eq!(out.to.as_deref(), Some("/console/login"), "{}", out.text);
    desk.deposit(1, None, received()).await;
    let rest = tokio::time::timeout(Duration::from_secs(20), async {
        let mut told = Vec::new();
        while let Some(piece) = body.next().await {
            told.push(String::from_utf8(piece.unwrap().to_vec()).unwrap());
        }
        told.retain(|piece| !piece.starts_with(':'));
        told
    });
    let rest = rest.await.expect("it ends");
    let [ended] = rest.as_slice() else { panic!("{rest:?}") };
    assert!(ended.contains("event: ended\n") && ended.contains("data: You are logged out."), "{ended}");
    assert_eq!(visitor.follow(None).await.status(), 401);
}
