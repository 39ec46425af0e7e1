//! The log's pages over a real log.

use millrace_actors::event_store::{Append, Expected, Write};
use millrace_model::desk::{Setting, Switch, SwitchSet};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, StreamName};

use super::super::visitor::Visitor;
use super::super::words::count;
use crate::web::operator::tests::{Desk, received};

/// Logs have the event before in place of a cause there.
#[tokio::test]
async fn what_stands_before_an_event_of_the_desk_is_not_shown_as_its_cause() {
    let desk = Desk::start().await;
    for (version, setting) in [(0, Setting::Off), (1, Setting::On)] {
        let event = SwitchSet { switch: Switch::Sends, setting, note: "why".to_owned() };
        store(&desk, version, (version > 0).then_some(version), vec![Event::Desk(event.into())]).await;
    }
    let visitor = Visitor::of(&desk).await;
    for page in ["/console/log", "/console/log/2"] {
        let page = visitor.get(page).await.shown();
        assert!(!page.contains("<td class=\"n\"><a href=\"/console/log/1\">"), "{page}");
        assert!(!page.contains("SwitchSet of"), "{page}");
    }
}

/// Stores so many events of the desk after this version, and says which version is its newest then.
async fn switched(desk: &Desk, version: u64, times: u64) -> u64 {
    let event = |_| {
        let set = SwitchSet { switch: Switch::Sends, setting: Setting::Off, note: "why".to_owned() };
        Event::Desk(set.into())
    };
    let mut done = 0;
    while done < times {
        let some = (times - done).min(500);
        let (at, events) = (version + done, (0..some).map(event).collect());
        store(desk, at, None, events).await;
        done += some;
    }
    version + times
}

async fn store(desk: &Desk, version: u64, causation: Option<u64>, events: Vec<Event>) {
    let append = Append {
        command_id: CommandId::of_fact(&["set", &version.to_string()]),
        command: "SetSwitch",
        body: r#"{"by":"token"}"#.to_owned(),
        causation,
        correlation: None,
        writes: vec![Write::new(StreamName::Desk, Expected::Exactly(version), events)],
    };
    desk.store.append(append).await.unwrap();
}

#[tokio::test]
async fn a_streams_events_are_found_however_far_back_they_lie() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), received()).await;
    let begun = desk.store.head();
    switched(&desk, 0, 2_100).await;
    let visitor = Visitor::of(&desk).await;
    for kinds in ["", "&kind=StatusWaitDecide,Sent"] {
        let page = visitor.get(&format!("/console/log?stream=deposit/{id}{kinds}")).await.shown();
        assert!(page.contains("<summary>StatusWaitDecide</summary>"), "{kinds}: {page}");
        assert_eq!(page.contains("<summary>Detected</summary>"), kinds.is_empty(), "{page}");
        assert!(!page.contains("rel=\"next\""), "that is all of it: {page}");
    }
    let older = visitor.get(&format!("/console/log?stream=deposit/{id}&before=2")).await.shown();
    assert!(older.contains("Detected") && !older.contains("<summary>StatusWaitDecide"), "{older}");
    let none = visitor.get("/console/log?stream=deposit/00000000-0000-0000-0000-000000000009").await.shown();
    assert!(none.contains("There is no such event."), "{none}");
    let far = visitor.get("/console/log?stream=desk&kind=Halted").await.shown();
    assert!(
        far.contains(&format!("None of the {} events", count(2_000)))
            && far.contains(&format!("before={}\"", begun + 101)),
        "{far}"
    );
}

/// From page to page, by the ways that the pages themselves offer.
#[tokio::test]
async fn the_pages_of_a_stream_have_each_of_its_events_once() {
    let desk = Desk::start().await;
    let (mut wanted, mut version) = (Vec::new(), 0);
    for number in 1..=4 {
        desk.deposit(number, Some("target"), received()).await;
        let before = desk.store.head();
        version = switched(&desk, version, 30).await;
        wanted.extend(before + 1..=desk.store.head());
    }
    wanted.reverse();
    let visitor = Visitor::of(&desk).await;
    let (mut path, mut found) = ("/console/log?stream=desk".to_owned(), Vec::new());
    loop {
        let page = visitor.get(&path).await.shown();
        let rows =
            page.split("<tr id=\"event-").skip(1).map(|row| row.split('"').next().unwrap().parse::<u64>().unwrap());
        found.extend(rows);
        let Some((_, next)) = page.split_once("rel=\"next\" href=\"") else { break };
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(found, wanted);
    for (before, first) in [(wanted[40] + 1, wanted[40]), (wanted[30], wanted[31]), (wanted[29], wanted[30])] {
        let page = visitor.get(&format!("/console/log?stream=desk&before={before}")).await.shown();
        assert!(page.split("<tr id=\"event-").nth(1).unwrap().starts_with(&format!("{first}\"")), "{before}: {page}");
    }
}
