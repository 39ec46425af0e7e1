//! The pages that links in letters lead to: to say that a subscription is wanted, or that it is over.
//!
//! Looking at a page does nothing, since programs that look for harm in letters open every link; its button does. A mail program
//! that ends a subscription by itself (RFC 8058) posts to the same address.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use millrace_protocols::webhook::code::Purpose;
use uuid::Uuid;

use super::Desk;
use super::page::{Reader, document};
use super::registration::carry_out;
use crate::web::extract::Path;
use crate::web::problem::Problem;

pub(super) async fn confirm_page(State(desk): State<Arc<Desk>>, Path(_): Path<String>) -> Markup {
    asked(
        &desk,
        "Do you want to hear of deposits?",
        "You are told whenever a deposit for the address that you, or somebody else, named moves on.",
        "Yes, tell me",
    )
}

pub(super) async fn leave_page(State(desk): State<Arc<Desk>>, Path(_): Path<String>) -> Markup {
    asked(
        &desk,
        "Do you want to hear no more?",
        "Nothing is sent to you any more. What the desk owes is paid all the same.",
        "Send nothing more",
    )
}

pub(super) async fn confirm(State(desk): State<Arc<Desk>>, Path(answer): Path<String>) -> Response {
    said(&desk, &answer, Purpose::Confirm, "You will be told from now on.").await
}

pub(super) async fn leave(State(desk): State<Arc<Desk>>, Path(answer): Path<String>) -> Response {
    said(&desk, &answer, Purpose::Leave, "You will hear no more of this.").await
}

/// These pages speak English, as the letters that lead to them.
fn reader(desk: &Desk) -> Reader {
    Reader::of_english(desk.quotes.clock.now())
}

fn asked(desk: &Desk, title: &str, sentence: &str, button: &str) -> Markup {
    let body = html! {
        h1 { (title) }
        p { (sentence) }
        form method="post" { button type="submit" { (button) } }
    };
    document(&reader(desk), title, &body)
}

async fn said(desk: &Desk, answer: &str, purpose: Purpose, done: &'static str) -> Response {
    match carried_out(desk, answer, purpose).await {
        Ok(()) => document(&reader(desk), done, &html! { h1 { "Done" } p role="status" { (done) } }).into_response(),
        Err(problem) => {
            let sentence = problem.message();
            let body = html! { h1 { "Not done" } p role="alert" { (sentence) } };
            (problem.status(), document(&reader(desk), "Not done", &body)).into_response()
        }
    }
}

/// A subscription's id, a dot, and its code.
async fn carried_out(desk: &Desk, answer: &str, purpose: Purpose) -> Result<(), Problem> {
    let (id, code) = answer.split_once('.').unwrap_or_default();
    let id = Uuid::try_parse(id).unwrap_or_default();
    carry_out(desk, id, purpose, code.to_owned()).await
}
