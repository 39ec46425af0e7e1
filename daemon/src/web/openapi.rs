//! `/openapi.json`: each face describes itself, in OpenAPI 3.1.
//!
//! The document is made of the tables in `openapi/`; tests compare them with the routers' and the shapes' own sources,
//! in both directions, so that neither can change without the other.

mod history;
mod operator;
mod public;
mod refusals;
#[cfg(test)]
mod tests;
mod words;

use axum::Router;
use axum::body::Bytes;
use axum::routing;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use refusals::{EVERY, Refusal, STARTING, TOKEN};
use words::{parameter, schema};

/// Whose document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Customers'.
    Public,
    /// Operators'.
    Operator,
    /// Operators', in the sandbox.
    SandboxOperator,
}

/// One operation of a face.
struct Operation {
    /// `get`, `post`, `patch` or `delete`.
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Parameters in the query, each a name that [`parameter`] knows or `name:type`; with `*` at the end those that must be
    /// there.
    query: &'static [&'static str],
    /// Names of headers that may be sent.
    headers: &'static [&'static str],
    /// The schema of the body.
    body: Option<&'static str>,
    answer: Answer,
    /// What can be refused, besides what any request of the face can be.
    refusals: &'static [&'static [Refusal]],
}

/// What an operation answers when all is well.
enum Answer {
    /// 200 with JSON of this schema.
    Json(&'static str),
    /// 201 with JSON of this schema.
    Made(&'static str),
    /// 202 with JSON of this schema.
    Accepted(&'static str),
    /// 204 without anything.
    Nothing,
    /// Server-sent events whose data is JSON of this schema.
    Events(&'static str),
    /// 200 with a body of this media type.
    Body(&'static str),
    /// 200 or 503, with JSON of this schema either way.
    Probe(&'static str),
}

/// A shape: its name, its fields with their types, and the source that declares it, for the tests.
///
/// A type is a word of [`schema`]: a basic one, or the name of another shape; `[x]` is a list of x, `x?` may be null or
/// absent, `=x|y` is one of these texts.
struct Shape {
    name: &'static str,
    fields: &'static [(&'static str, &'static str)],
    source: Source,
}

/// Where a shape is declared.
#[cfg_attr(not(test), expect(dead_code, reason = "only the tests compare"))]
enum Source {
    /// A struct of this name in this text.
    Struct(&'static str, &'static str),
    /// The same, read from a body in which nothing else may be.
    Body(&'static str, &'static str),
    /// Made of several; a test over the answers watches it.
    Answers,
}

const fn get(path: &'static str, summary: &'static str, answer: Answer) -> Operation {
    Operation { method: "get", path, summary, query: &[], headers: &[], body: None, answer, refusals: &[] }
}

const fn post(path: &'static str, summary: &'static str, body: Option<&'static str>, answer: Answer) -> Operation {
    Operation { method: "post", path, summary, query: &[], headers: &[], body, answer, refusals: &[] }
}

/// The route to a face's document.
pub fn routes(face: Face) -> Router {
    let document = Bytes::from(serde_json::to_vec_pretty(&document(face)).expect("a document has text keys"));
    let answer = async move || ([(CONTENT_TYPE, "application/json")], document);
    Router::new().route("/openapi.json", routing::get(answer))
}

/// A face's document.
pub(crate) fn document(face: Face) -> Value {
    let (title, operations, more, shapes) = match face {
        Face::Public => ("Millrace, for customers", public::OPERATIONS, &[][..], public::SHAPES),
        Face::Operator => ("Millrace, for operators", operator::OPERATIONS, &[][..], operator::SHAPES),
        Face::SandboxOperator => {
            ("Millrace, for operators of a sandbox", operator::OPERATIONS, operator::SANDBOX, operator::SHAPES)
        }
    };
    let mut paths = Map::new();
    for operation in operations.iter().chain(more) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.document();
    }
    let mut schemas: Map<String, Value> =
        shapes.iter().map(|shape| (shape.name.to_owned(), shape.document())).collect();
    schemas.insert("Problem".to_owned(), problem());
    let mut components = json!({ "schemas": schemas });
    if face != Face::Public {
        components["securitySchemes"] = json!({ "operator": { "type": "http", "scheme": "bearer" } });
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": components,
    })
}

/// How every refusal looks, on all but the oldest paths, which answer its sentence alone.
fn problem() -> Value {
    let fields = ["type", "title", "code", "message"].map(|name| (name.to_owned(), json!({ "type": "string" })));
    let mut properties: Map<String, Value> = fields.into_iter().collect();
    properties.insert("status".to_owned(), json!({ "type": "integer" }));
    json!({ "type": "object", "properties": properties, "required": ["status", "code", "message"] })
}

/// One of a stream's events, as OpenAPI describes them: its data is JSON in a text.
fn event(shape: &str) -> Value {
    let text = json!({ "type": "string" });
    let data = json!({ "type": "string", "contentMediaType": "application/json", "contentSchema": schema(shape) });
    json!({ "type": "object", "properties": { "id": text, "event": text, "data": data }, "required": ["data"] })
}

impl Operation {
    fn document(&self) -> Value {
        let (status, content) = match self.answer {
            Answer::Json(shape) | Answer::Probe(shape) => ("200", Some(("application/json", schema(shape)))),
            Answer::Made(shape) => ("201", Some(("application/json", schema(shape)))),
            Answer::Accepted(shape) => ("202", Some(("application/json", schema(shape)))),
            Answer::Events(shape) => ("200", Some(("text/event-stream", event(shape)))),
            Answer::Body(kind) => ("200", Some((kind, json!({ "type": "string" })))),
            Answer::Nothing => ("204", None),
        };
        let mut done = json!({ "description": "Done." });
        if let Some((kind, content)) = content {
            done["content"] = json!({ kind: { "schema": content } });
        }
        let mut responses = self.refused();
        if let Answer::Probe(_) = self.answer {
            responses.insert("503".to_owned(), done.clone());
        }
        responses.insert(status.to_owned(), done);
        let mut document = json!({
            "summary": self.summary,
            "parameters": self.parameters(),
            "responses": responses,
        });
        if let Some(body) = self.body {
            document["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema(body) } } });
        }
        if self.is_guarded() {
            document["security"] = json!([{ "operator": [] }]);
        }
        document
    }

    /// Every refusal by its status, with its codes.
    fn refused(&self) -> Map<String, Value> {
        let face = match (self.is_guarded(), self.path.starts_with("/api/")) {
            (true, _) => TOKEN,
            (false, true) => STARTING,
            (false, false) => &[],
        };
        let groups = self.refusals.iter().copied().chain([EVERY, face]);
        let one = |(status, codes): (u16, Vec<&str>)| {
            let description = format!("Refused: {}.", codes.join(", "));
            let content = if self.is_older() {
                json!({ "text/plain": { "schema": schema("string") } })
            } else {
                let code = json!({ "properties": { "code": { "enum": codes } } });
                json!({ "application/problem+json": { "schema": { "allOf": [schema("Problem"), code] } } })
            };
            (status.to_string(), json!({ "description": description, "content": content }))
        };
        refusals::by_status(groups).into_iter().map(one).collect()
    }

    fn is_guarded(&self) -> bool {
        self.path.starts_with("/operator/")
    }

    /// Whether this is one of teller's paths, whose refusals are plain text.
    fn is_older(&self) -> bool {
        self.path.starts_with("/api/") && !self.path.starts_with("/api/v1/") && self.path != "/api/history"
    }

    fn parameters(&self) -> Vec<Value> {
        let document = |place: &str, entry: &str, required: bool| {
            let (name, word) = parameter(entry);
            json!({ "in": place, "name": name, "required": required, "schema": schema(word) })
        };
        let in_path = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters: Vec<_> = in_path.map(|name| document("path", name, true)).collect();
        parameters.extend(self.query.iter().map(|entry| match entry.strip_suffix('*') {
            Some(entry) => document("query", entry, true),
            None => document("query", entry, false),
        }));
        parameters.extend(self.headers.iter().map(|entry| document("header", entry, false)));
        parameters
    }
}

impl Shape {
    fn document(&self) -> Value {
        let properties: Map<_, _> = self.fields.iter().map(|(name, word)| ((*name).to_owned(), schema(word))).collect();
        let required: Vec<_> =
            self.fields.iter().filter(|(_, word)| !word.ends_with('?')).map(|(name, _)| name).collect();
        let mut document = json!({ "type": "object", "properties": properties, "required": required });
        if let Source::Body(..) = self.source {
            document["additionalProperties"] = json!(false);
        }
        document
    }
}
