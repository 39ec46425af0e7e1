//! Whether somebody who was let in still is, for an answer that does not end by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::cookie::Kept;
use super::gate::Gate;
use super::require::Visit;
use crate::web::problem::Problem;

/// Who changes his password is nobody until his session goes on with the new one.
const LOOKED_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// The session that a request behind [`super::require`] came with.
#[derive(Clone)]
pub struct Stay {
    pub(super) gate: Arc<Gate>,
    pub(super) session: Kept,
}

impl Stay {
    /// Whether it has ended: by a log-out, by another session, by its age, or with its account. Looking at it is no sign of
    /// anybody. May be dropped at any time.
    pub async fn is_over(&self) -> bool {
        if self.gate.is_in(&self.session).await {
            return false;
        }
        tokio::time::sleep(LOOKED_AGAIN_AFTER).await;
        !self.gate.is_in(&self.session).await
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stay").finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for Stay {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let visit = parts.extensions.get::<Visit>();
        let visit = visit.ok_or_else(|| Problem::internal("a stream for operators stands outside of the gate"))?;
        Ok(Self { gate: Arc::clone(&visit.gate), session: visit.operator.session().clone() })
    }
}
