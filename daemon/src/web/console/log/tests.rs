//! The log's pages over a real log.

use millrace_actors::event_store::{Append, Expected, Write};
use millrace_model::desk::{Setting, Switch, SwitchSet};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, StreamName};

use super::super::visitor::Visitor;
use crate::web::operator::tests::Desk;

/// Logs have the event before in place of a cause there.
#[tokio::test]
async fn what_stands_before_an_event_of_the_desk_is_not_shown_as_its_cause() {
    let desk = Desk::start().await;
    for (version, setting) in [(0, Setting::Off), (1, Setting::On)] {
        let event = SwitchSet { switch: Switch::Sends, setting, note: "why".to_owned() };
        let append = Append {
            command_id: CommandId::of_fact(&["set", &version.to_string()]),
            command: "SetSwitch",
            body: r#"{"by":"token"}"#.to_owned(),
            causation: (version > 0).then_some(version),
            correlation: None,
            writes: vec![Write::new(StreamName::Desk, Expected::Exactly(version), vec![Event::Desk(event.into())])],
        };
        desk.store.append(append).await.unwrap();
    }
    let visitor = Visitor::of(&desk).await;
    for page in ["/console/log", "/console/log/2"] {
        let page = visitor.get(page).await.shown();
        assert!(!page.contains("<td class=\"n\"><a href=\"/console/log/1\">"), "{page}");
        assert!(!page.contains("SwitchSet of"), "{page}");
    }
}
