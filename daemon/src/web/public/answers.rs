//! The pages that links in letters lead to: to say that a subscription is wanted, or that it is over.
//!
//! Looking at a page does nothing, since programs that look for harm in letters open every link; its button does. A mail program
//! that ends a subscription by itself (RFC 8058) posts to the same address. The pages speak their reader's language; the letters
//! speak English.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::html;
use millrace_protocols::webhook::code::Purpose;
use uuid::Uuid;

use super::Desk;
use super::page::{Reader, document};
use super::registration::carry_out;
use super::words::Words;
use crate::web::extract::Path;
use crate::web::problem::Problem;

pub(super) async fn confirm_page(reader: Reader, Path(_): Path<String>) -> Response {
    let words = &reader.words.letters;
    asked(&reader, words.confirm_title, words.confirm, words.confirm_button)
}

pub(super) async fn leave_page(reader: Reader, Path(_): Path<String>) -> Response {
    let words = &reader.words.letters;
    asked(&reader, words.leave_title, words.leave, words.leave_button)
}

pub(super) async fn confirm(State(desk): State<Arc<Desk>>, reader: Reader, Path(answer): Path<String>) -> Response {
    said(&reader, carried_out(&desk, &answer, Purpose::Confirm).await, reader.words.letters.confirmed)
}

pub(super) async fn leave(State(desk): State<Arc<Desk>>, reader: Reader, Path(answer): Path<String>) -> Response {
    said(&reader, carried_out(&desk, &answer, Purpose::Leave).await, reader.words.letters.left)
}

fn asked(reader: &Reader, title: &str, sentence: &str, button: &str) -> Response {
    let body = html! {
        h1 { (title) }
        p { (sentence) }
        form method="post" { button type="submit" { (button) } }
    };
    reader.answer(document(reader, title, &body))
}

fn said(reader: &Reader, outcome: Result<(), Problem>, done: &str) -> Response {
    let words = &reader.words.letters;
    match outcome {
        Ok(()) => reader.answer(document(reader, done, &html! { h1 { (words.done) } p role="status" { (done) } })),
        Err(problem) => {
            let sentence = sentence(reader.words, problem.code());
            let body = html! { h1 { (words.not_done) } p role="alert" { (sentence) } };
            (problem.status(), reader.answer(document(reader, words.not_done, &body))).into_response()
        }
    }
}

/// What a problem's code means, to the reader. What lasts is not to be tried again.
pub(super) fn sentence(words: &'static Words, code: &str) -> &'static str {
    match code {
        "unknown_code" => words.letters.unknown_code,
        "too_many_subscriptions" => words.letters.too_many,
        "not_allowed" => words.letters.refused,
        "busy" => words.busy,
        _ => words.letters.unavailable,
    }
}

/// A subscription's id, a dot, and its code.
async fn carried_out(desk: &Desk, answer: &str, purpose: Purpose) -> Result<(), Problem> {
    let (id, code) = answer.split_once('.').unwrap_or_default();
    let id = Uuid::try_parse(id).unwrap_or_default();
    carry_out(desk, id, purpose, code.to_owned()).await
}
