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

/// The fields a struct declares.
fn declared(name: &str, source: &'static str) -> BTreeSet<&'static str> {
    let begin = format!("struct {name} {{");
    let (_, rest) = source.split_once(&begin).unwrap_or_else(|| panic!("there is no struct {name}"));
    let (fields, _) = rest.split_once("\n}").unwrap();
    let lines = fields.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with("#["));
    let names = lines.filter_map(|line| line.split_once(": "));
    names.map(|(name, _)| name.rsplit(' ').next().unwrap()).collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let (pages, api): (BTreeSet<_>, _) =
        routed(PUBLIC_ROUTES).into_iter().partition(|(_, path)| !path.starts_with("/api/"));
    assert_eq!(api, described(public::OPERATIONS));
    assert!(pages.len() >= 3, "the page has routes of its own: {pages:?}");
    assert_eq!(routed(OPERATOR_ROUTES), described(operator::OPERATIONS));
}

#[test]
fn every_shape_has_the_fields_its_struct_declares() {
    for shape in public::SHAPES.iter().chain(operator::SHAPES) {
        let Source::Struct(name, source) = shape.source else { continue };
        let described: BTreeSet<_> = shape.fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(described, declared(name, source), "{}", shape.name);
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_is_used() {
    for face in [Face::Public, Face::Operator] {
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
    let document = super::document(Face::Public);
    let older = &document["paths"]["/api/status"]["get"];
    assert!(older["responses"]["default"]["content"].get("text/plain").is_some());
    assert_eq!(older["parameters"][0]["required"], true);
    assert!(!document.to_string().contains("/operator/"), "customers are told of their own face alone");
}
