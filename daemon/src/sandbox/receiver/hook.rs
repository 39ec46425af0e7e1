//! The receiver's routes: where it is told, and where a person looks at it and steers it.
//!
//! | request | body | what happens |
//! |---|---|---|
//! | `POST /receiver/hook` | a notification | it is kept and answered |
//! | `GET /receiver/hook?crc_token=` | | ton.events' question is answered, if such a secret is known |
//! | `GET /receiver`, `GET /receiver/page` | | what came, as JSON and for the eye |
//! | `POST /receiver/secret` | `{secret}` | signatures are checked with it, too |
//! | `POST /receiver/answer` | `{with, times?}` | it answers so from now on |
//! | `DELETE /receiver` | | what came is forgotten, and 204 is answered |

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::Markup;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Coming, Order, Receiver, Shown, page};

/// The largest notification, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1_024;
/// Longer than a desk waits for an answer.
const HANG: Duration = Duration::from_secs(60);
/// How long a busy receiver wants to be left alone, in seconds.
const BUSY_S: &str = "2";

#[derive(Clone)]
struct Desk {
    receiver: Arc<Receiver>,
    /// Where the control API is.
    control: String,
}

/// Its routes, below the control API.
pub fn router(receiver: Arc<Receiver>, control: String) -> Router {
    Router::new()
        .route("/receiver", get(show).delete(clear))
        .route("/receiver/page", get(look))
        .route("/receiver/secret", post(learn))
        .route("/receiver/answer", post(order))
        .route("/receiver/hook", post(receive).get(prove))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Desk { receiver, control })
}

async fn receive(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let coming = Coming {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        te_signature: text("x-te-signature"),
        body: &body,
    };
    match desk.receiver.take_in(&coming) {
        Answer::Ok => StatusCode::NO_CONTENT.into_response(),
        Answer::Error => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Answer::Gone => StatusCode::GONE.into_response(),
        Answer::Busy => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, BUSY_S)]).into_response(),
        Answer::Hang => {
            tokio::time::sleep(HANG).await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

#[derive(Deserialize)]
struct Question {
    crc_token: String,
}

async fn prove(State(desk): State<Desk>, Query(Question { crc_token }): Query<Question>) -> Response {
    match desk.receiver.prove(&crc_token) {
        Some(answer) => answer.into_response(),
        None => (StatusCode::NOT_FOUND, "no secret of ton.events' kind is known").into_response(),
    }
}

async fn show(State(desk): State<Desk>) -> Json<Shown> {
    Json(desk.receiver.show(&desk.control))
}

async fn look(State(desk): State<Desk>) -> Markup {
    page::of(&desk.receiver.show(&desk.control))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    secret: String,
}

async fn learn(State(desk): State<Desk>, Json(Told { secret }): Json<Told>) -> (StatusCode, Json<Value>) {
    match desk.receiver.learn(&secret) {
        Ok(()) => (StatusCode::OK, Json(json!({}))),
        Err(refused) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": refused.to_string() }))),
    }
}

async fn order(State(desk): State<Desk>, Json(order): Json<Order>) -> Json<Value> {
    desk.receiver.answer(order);
    Json(json!({}))
}

async fn clear(State(desk): State<Desk>) -> Json<Value> {
    Json(json!({ "cleared": desk.receiver.clear() }))
}
