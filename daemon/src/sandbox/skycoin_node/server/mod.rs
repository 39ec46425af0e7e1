//! The node's REST interface over HTTP: routes, CSRF tokens, and the two ways of saying that something is wrong.

mod forms;
mod queries;
mod spending;
mod v2;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use millrace_protocols::wire::skycoin::address::AddressError;
use millrace_protocols::wire::skycoin::rest::CSRF_HEADER;
use sha2::{Digest, Sha256};

use super::{Csrf, SkycoinNode};
use crate::sandbox::clock;

/// How long a token is good.
const TOKEN_LIFE_S: u64 = 30;

/// The node's routes.
pub fn router(node: Arc<SkycoinNode>) -> Router {
    let v1 = Router::new()
        .route("/version", get(queries::version))
        .route("/health", get(queries::health))
        .route("/csrf", get(queries::csrf))
        .route("/balance", get(queries::balance))
        .route("/outputs", get(queries::outputs))
        .route("/transaction", get(queries::transaction))
        .route("/rawtx", get(queries::raw_transaction))
        .route("/transactions", get(queries::transactions))
        .route("/pendingTxs", get(queries::pending))
        .route("/blockchain/metadata", get(queries::metadata))
        .route("/blockchain/progress", get(queries::progress))
        .route("/block", get(queries::block))
        .route("/wallet", get(forms::wallet))
        .route("/wallets", get(forms::wallets))
        .route("/wallet/balance", get(forms::balance))
        .route("/wallet/create", post(forms::create))
        .route("/wallet/newAddress", post(forms::new_address))
        .route("/wallet/transaction", post(spending::create))
        .route("/injectTransaction", post(spending::inject))
        .route("/resendUnconfirmedTxns", post(spending::resend));
    let v2 = Router::new()
        .route("/transaction/verify", post(v2::verify_transaction))
        .route("/address/verify", post(v2::verify_address))
        .route("/wallet/transaction/sign", post(v2::sign));
    Router::new()
        .nest("/api/v1", v1)
        .nest("/api/v2", v2)
        .layer(from_fn_with_state(Arc::clone(&node), check_token))
        .fallback(|| async { Plain::not_found("") })
        .with_state(node)
}

async fn check_token(State(node): State<Arc<SkycoinNode>>, request: Request, next: Next) -> Response {
    let needed = request.method() == Method::POST && node.csrf == Csrf::Required;
    let token = request.headers().get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    if needed && !token.is_some_and(|token| node.is_token(token)) {
        return Plain(StatusCode::FORBIDDEN, "invalid CSRF token".to_owned()).into_response();
    }
    next.run(request).await
}

impl SkycoinNode {
    pub(super) fn token(&self, expires_s: u64) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.csrf_secret);
        hasher.update(expires_s.to_le_bytes());
        format!("{expires_s:x}.{}", hex::encode(hasher.finalize()))
    }

    pub(super) fn new_token(&self) -> String {
        self.token(clock::now_s() + TOKEN_LIFE_S)
    }

    fn is_token(&self, token: &str) -> bool {
        let expires = token.split_once('.').and_then(|(expires, _)| u64::from_str_radix(expires, 16).ok());
        expires.is_some_and(|expires_s| expires_s >= clock::now_s() && self.token(expires_s) == token)
    }
}

/// Version 1's way of refusing: status, reason phrase and sentence as plain text.
#[derive(Debug)]
struct Plain(StatusCode, String);

impl Plain {
    fn bad_request(sentence: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, sentence.to_string())
    }

    fn not_found(sentence: impl ToString) -> Self {
        Self(StatusCode::NOT_FOUND, sentence.to_string())
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        let Self(status, sentence) = self;
        let separator = if sentence.is_empty() { "" } else { " - " };
        // `StatusCode` shows itself as `400 Bad Request`.
        let text = format!("{status}{separator}{sentence}\n");
        (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The real node's words for what is wrong with an address.
fn address_fault(error: AddressError) -> &'static str {
    match error {
        AddressError::Character => "Invalid base58 character",
        AddressError::Length => "Invalid address length",
        AddressError::Checksum => "Invalid checksum",
        AddressError::Version(_) => "Address version invalid",
        AddressError::Null => "Address is null",
    }
}
