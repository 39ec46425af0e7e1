//! What the console's forms carry, and how a submitted one is taken.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::forms::Fate;
use super::require::{Operator, Visit, again};
use crate::web::console::bare;
use crate::web::extract::{Form, taken};
use crate::web::problem::{NothingDone, Problem};

/// More fields than any form of the console has.
const FIELDS_MAX: usize = 64;
const TOKEN: &str = "csrf";
const ID: &str = "form_id";

/// The hidden fields that every form needs: the session's token, and a fresh id for this form.
pub fn form_fields(operator: &Operator) -> Markup {
    html! {
        input type="hidden" name=(TOKEN) value=(operator.form_token());
        input type="hidden" name=(ID) value=(fresh_id());
    }
}

/// A form that one of the desk's own pages sent, taken for the first time. `form_id` may be a command's id: whoever
/// sends the form again is answered from memory, or has the same id again.
///
/// A handler that did what was asked for answers with a redirect (303): a second click leads there as well. Where the
/// answer says that nothing was done ([`NothingDone`]: a [`Problem`] other than `outcome_unknown` and `internal`), the form
/// may be mended and sent again. With any other answer (a page of what came of it, or an outcome that nobody knows) it
/// stays taken.
///
/// Refusals, each a page with a sentence, nothing done: 403 without the session's token, 409 for a form that is taken and
/// leads nowhere (yet), 422 for fields of another shape, and those of [`Form`].
#[derive(Debug)]
pub struct Submitted<T> {
    /// Who sent it.
    pub operator: Operator,
    /// The id of the form as it was rendered.
    pub form_id: Uuid,
    /// The other fields.
    pub fields: T,
}

/// The fields of a form that asks for nothing besides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Submitted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let visit = request.extensions().get::<Visit>().cloned();
        let visit = visit.ok_or_else(|| Problem::internal("a form is taken outside of the gate").into_response())?;
        read(&visit, request).await.map_err(|refusal| refusal.page(&visit))
    }
}

/// Why a form was not taken.
enum Refusal {
    Problem(StatusCode, String),
    Again(String),
}

impl Refusal {
    fn page(self, visit: &Visit) -> Response {
        match self {
            Self::Problem(status, sentence) => refusal(status, &sentence),
            Self::Again(location) => again(visit, &location),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = match problem.status() {
            StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
            other => other,
        };
        Self::Problem(status, problem.message().to_owned())
    }
}

async fn read<T: DeserializeOwned>(visit: &Visit, request: Request) -> Result<Submitted<T>, Refusal> {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let body = taken(request).await?;
    let (own, others) = fields(&body)?;
    check_token(&visit.operator, own.token.as_deref())?;
    let form_id = own.form_id.as_deref().and_then(|id| id.parse().ok());
    let form_id = form_id.ok_or_else(|| unprocessable("The form has no id: open the page anew."))?;
    let fields = typed(kind, others).await?;
    begin(visit, form_id)?;
    Ok(Submitted { operator: visit.operator.clone(), form_id, fields })
}

#[derive(Default)]
struct Own {
    token: Option<String>,
    form_id: Option<String>,
}

/// Parts what the gate needs from what the handler asked for.
fn fields(body: &[u8]) -> Result<(Own, String), Refusal> {
    let mut own = Own::default();
    let mut others = form_urlencoded::Serializer::new(String::new());
    for (number, (name, value)) in form_urlencoded::parse(body).enumerate() {
        if number >= FIELDS_MAX {
            return Err(unprocessable("The form has more fields than any form here."));
        }
        match &*name {
            TOKEN => own.token = Some(value.into_owned()),
            ID => own.form_id = Some(value.into_owned()),
            _ => {
                others.append_pair(&name, &value);
            }
        }
    }
    Ok((own, others.finish()))
}

fn check_token(operator: &Operator, given: Option<&str>) -> Result<(), Refusal> {
    let right = operator.form_token().as_bytes();
    if given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(right))) {
        return Ok(());
    }
    let sentence = "This form is not of your session, so nothing was done: open the page anew and send it again.";
    Err(Refusal::Problem(StatusCode::FORBIDDEN, sentence.to_owned()))
}

async fn typed<T: DeserializeOwned>(kind: Option<http::HeaderValue>, fields: String) -> Result<T, Refusal> {
    let mut request = Request::post("/").body(Body::from(fields)).expect("a path and a body");
    if let Some(kind) = kind {
        request.headers_mut().insert(CONTENT_TYPE, kind);
    }
    let form: Form<T> = Form::from_request(request, &()).await?;
    Ok(form.0)
}

fn begin(visit: &Visit, form_id: Uuid) -> Result<(), Refusal> {
    match visit.begin(form_id) {
        Ok(()) => Ok(()),
        Err(Fate::Done(location)) => Err(Refusal::Again(location)),
        Err(Fate::Begun) => {
            let sentence = "This form was sent already and may have been carried out: look before you send another.";
            Err(Refusal::Problem(StatusCode::CONFLICT, sentence.to_owned()))
        }
    }
}

fn unprocessable(sentence: &str) -> Refusal {
    Refusal::Problem(StatusCode::UNPROCESSABLE_ENTITY, sentence.to_owned())
}

#[allow(clippy::disallowed_methods, reason = "an id of a form is chance alone, and no command's until it is sent")]
fn fresh_id() -> Uuid {
    uuid::Builder::from_random_bytes(super::password::random()).into_uuid()
}

/// A page that says in a sentence why nothing was done, and the way back.
pub(super) fn refusal(status: StatusCode, sentence: &str) -> Response {
    let mut page = bare::refusal(status, "Not done", sentence, ("/console", "To the console"));
    page.extensions_mut().insert(NothingDone);
    page
}
