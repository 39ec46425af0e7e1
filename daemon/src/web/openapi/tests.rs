//! The tables against the sources they describe.

use std::collections::BTreeSet;

use super::*;

const PUBLIC_ROUTES: &str = include_str!("../public/mod.rs");
const OPERATOR_ROUTES: &str = include_str!("../operator/mod.rs");

/// Every `.route("path", method(…))` of a source. What catches all is no operation.
fn routed(source: &str) -> BTreeSet<(String, String)> {
    let routes = source.split(".route(\"").skip(1).map(|rest| {
        let (path, rest) = rest.split_once("\", ").unwrap();
        let (method, _) = rest.split_once('(').unwrap();
        (method.to_owned(), path.to_owned())
    });
    routes.filter(|(_, path)| !path.contains("{*")).collect()
}

fn described(operations: &[Operation]) -> BTreeSet<(String, String)> {
    operations.iter().map(|operation| (operation.method.to_owned(), operation.path.to_owned())).collect()
}

/// The fields a struct declares and tells.
fn declared(name: &str, source: &'static str) -> BTreeSet<&'static str> {
    let begin = format!("struct {name} {{");
    let (_, rest) = source.split_once(&begin).unwrap_or_else(|| panic!("there is no struct {name}"));
    let (fields, _) = rest.split_once("\n}").unwrap();
    let told = fields.split("#[serde(skip)]\n").enumerate();
    let lines = told.flat_map(|(index, piece)| piece.lines().skip(usize::from(index > 0)));
    let lines = lines.map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with("#["));
    let names = lines.filter_map(|line| line.split_once(": "));
    names.map(|(name, _)| name.rsplit(' ').next().unwrap()).collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let (pages, api): (BTreeSet<_>, _) =
        routed(PUBLIC_ROUTES).into_iter().partition(|(_, path)| !path.starts_with("/api/"));
    assert_eq!(api, described(public::OPERATIONS));
    assert!(pages.len() >= 3, "the page has routes of its own: {pages:?}");
    let (operator, sandbox) = (described(operator::OPERATIONS), described(operator::SANDBOX));
    assert!(sandbox.iter().all(|(_, path)| path.starts_with("/operator/v1/sandbox/")));
    assert_eq!(routed(OPERATOR_ROUTES), operator.union(&sandbox).cloned().collect());
}

#[test]
fn every_shape_has_the_fields_its_struct_declares() {
    for shape in public::SHAPES.iter().chain(operator::SHAPES) {
        let (name, source) = match shape.source {
            Source::Struct(name, source) => (name, source),
            Source::Body(name, source) => {
                let refuses = ["pub(super)", "pub(in crate::web)"]
                    .map(|seen_by| format!("#[serde(deny_unknown_fields)]\n{seen_by} struct {name} {{"));
                assert!(
                    refuses.iter().any(|refuses| source.contains(refuses)),
                    "{name} is read from a body in which there may be more"
                );
                (name, source)
            }
            Source::Answers => continue,
        };
        let described: BTreeSet<_> = shape.fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(described, declared(name, source), "{}", shape.name);
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_is_used() {
    for face in [Face::Public, Face::Operator, Face::SandboxOperator] {
        let document = document(face);
        let text = document.to_string();
        let mut used = BTreeSet::new();
        for rest in text.split("#/components/schemas/").skip(1) {
            let (name, _) = rest.split_once('"').unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
            used.insert(name);
        }
        let known: BTreeSet<_> =
            document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(used, known);
    }
}

#[test]
fn operations_say_what_they_need() {
    let document = document(Face::Operator);
    let hold = &document["paths"]["/operator/v1/deposits/{id}/hold"]["post"];
    assert_eq!(hold["security"], json!([{ "operator": [] }]));
    assert_eq!(hold["parameters"][0]["name"], "id");
    assert!(hold["requestBody"].is_object());
    assert!(document["paths"]["/livez"]["get"].get("security").is_none());
    assert!(!document.to_string().contains("/sandbox/"), "what only a sandbox has is in its own document");
    assert!(super::document(Face::SandboxOperator).to_string().contains("/sandbox/parts/{name}/panic"));
    let document = super::document(Face::Public);
    let older = &document["paths"]["/api/status"]["get"];
    assert!(older["responses"]["400"]["content"].get("text/plain").is_some());
    assert_eq!(older["parameters"][0]["required"], true);
    assert!(!document.to_string().contains("/operator/"), "customers are told of their own face alone");
}

/// Every `Problem` that the faces' sources make: its status and its code.
fn made() -> BTreeSet<(u16, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let folders = [root.clone(), root.join("public"), root.join("operator")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs"));
    let texts = sources.map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| made_in(text.split("#[cfg(test)]\nmod tests {").next().unwrap())).collect()
}

fn made_in(source: &str) -> Vec<(u16, String)> {
    let source = source.replace("Self::", "Problem::");
    let calls = source.split("Problem::").skip(1);
    calls
        .filter_map(|call| {
            let (name, rest) = call.split_once('(')?;
            // The code is the first text, and nothing but a status stands before it.
            let before = rest.split('"').next().filter(|before| !before.contains(')'))?;
            let status = match name {
                "bad_request" => 400,
                "not_found" => 404,
                "conflict" => 409,
                "unprocessable" => 422,
                "unavailable" => 503,
                "new" => constant(before)?,
                _ => return None,
            };
            Some((status, rest.split('"').nth(1)?.to_owned()))
        })
        .collect()
}

/// The status that a constant of `StatusCode` stands for.
fn constant(arguments: &str) -> Option<u16> {
    let (_, name) = arguments.split_once("StatusCode::")?;
    let known = [
        ("FORBIDDEN", 403),
        ("UNAUTHORIZED", 401),
        ("METHOD_NOT_ALLOWED", 405),
        ("REQUEST_TIMEOUT", 408),
        ("PAYLOAD_TOO_LARGE", 413),
        ("UNSUPPORTED_MEDIA_TYPE", 415),
        ("TOO_MANY_REQUESTS", 429),
        ("INTERNAL_SERVER_ERROR", 500),
    ];
    Some(known.iter().find(|(known, _)| name.starts_with(known)).unwrap_or_else(|| panic!("{name}")).1)
}

#[test]
fn every_refusal_that_can_be_made_is_described_and_no_other() {
    let operations = public::OPERATIONS.iter().chain(operator::OPERATIONS).chain(operator::SANDBOX);
    let groups = operations.flat_map(|operation| operation.refusals.iter().copied());
    let described: BTreeSet<_> = refusals::by_status(groups.chain([EVERY, STARTING, TOKEN]))
        .into_iter()
        .flat_map(|(status, codes)| codes.into_iter().map(move |code| (status, code.to_owned())))
        .collect();
    let mut made = made();
    // Of a method that a path does not have, a document of paths and methods says nothing.
    assert!(made.remove(&(405, "method_not_allowed".to_owned())));
    assert_eq!(described, made);
}
