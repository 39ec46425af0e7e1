//! What an operator does by a page: a form that is opened first, asks why where the log keeps that, and is sent with the session's token.

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use millrace_actors::operations::NOTE_CHARS_MAX;

use super::bare::refusal;
use crate::web::problem::{NothingDone, Problem};
use crate::web::session::{Operator, form_fields};

/// An action that a page offers. It is offered only while the desk's rules allow it; whether they still do is decided when it is
/// sent.
#[derive(Debug)]
pub(super) struct Act<'a> {
    /// A name that no other form of the page has, of letters, digits and hyphens.
    pub(super) id: &'a str,
    /// What the button says.
    pub(super) label: &'a str,
    /// Where it is sent.
    pub(super) to: &'a str,
    /// What it will do.
    pub(super) says: &'a str,
    /// Whether it can cost something.
    pub(super) weight: Weight,
    /// Whether it is asked why.
    pub(super) reason: Reason,
    /// Other fields.
    pub(super) fields: Markup,
}

/// Whether whoever does it is asked why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// He is, and the log keeps what he says.
    Asked,
    /// What is done speaks for itself.
    NotAsked,
}

/// What can come of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It can be undone.
    Light,
    /// It cannot, or somebody waits for his money longer.
    Grave,
}

/// The action as a form that opens at a click, so that each is looked at twice.
pub(super) fn offer(operator: &Operator, act: &Act<'_>) -> Markup {
    html! {
        details.act id={ "act-" (act.id) } {
            summary { (act.label) "…" }
            form method="post" action=(act.to) {
                (form_fields(operator))
                p { (act.says) }
                (act.fields)
                @if act.reason == Reason::Asked {
                    label {
                        "Why "
                        input type="text" name="note" required maxlength=(NOTE_CHARS_MAX) autocomplete="off";
                    }
                }
                div { button.grave[act.weight == Weight::Grave] { (act.label) } }
            }
        }
    }
}

/// Where it leads when it was done, or the sentence that says why nothing was, or that nobody knows.
pub(super) fn done(outcome: Result<String, Problem>, back: &str) -> Response {
    match outcome {
        Ok(to) => Redirect::to(&to).into_response(),
        Err(problem) => {
            let title = if problem.is_undone() { "Not done" } else { "Perhaps done" };
            let mut page = refusal(problem.status(), title, problem.message(), (back, "Back, as it is now"));
            if problem.is_undone() {
                page.extensions_mut().insert(NothingDone);
            }
            page
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_says_that_nothing_was_done() {
        let told = |outcome| done(outcome, "/console").extensions().get().copied();
        assert_eq!(told(Err(Problem::conflict("not_allowed", "It is forbidden."))), Some(NothingDone));
        assert_eq!(told(Err(Problem::unavailable("outcome_unknown", "It may yet."))), None);
        assert_eq!(told(Err(Problem::internal("it broke"))), None);
        assert_eq!(told(Ok("/console/parts".to_owned())), None);
    }
}
