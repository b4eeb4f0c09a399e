//! The description of the kitchen.

use serde_json::{Value as Json, json};
use transcode::Document;

fn openapi() -> Json {
    let document = Document { title: "Kitchen".to_owned(), version: "1".to_owned(), description: String::new() };
    crate::kit::transcoder().openapi(&document)
}

fn parameters(operation: &Json) -> Vec<String> {
    let name =
        |parameter: &Json| format!("{} {}", parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
    operation["parameters"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn the_same_descriptors_give_the_same_text() {
    assert_eq!(openapi().to_string(), openapi().to_string());
}

#[test]
fn a_message_that_holds_itself_is_described_once() {
    let openapi = openapi();

    let inner = &openapi["components"]["schemas"]["kit.v1.Inner"];
    assert_eq!(inner["properties"]["deep"], json!({"$ref": "#/components/schemas/kit.v1.Inner"}));
    assert_eq!(inner["description"], "Holds itself.");
    assert!(openapi.to_string().len() < 200_000, "{}", openapi.to_string().len());
}

#[test]
fn parameters_are_those_that_are_bound() {
    let openapi = openapi();

    let nested = parameters(&openapi["paths"]["/v1/n/{id}/x/{n}"]["get"]);
    assert_eq!(nested[..2], ["path id", "path n"]);
    assert!(
        nested.contains(&"query inner.twoWords".to_owned()) && !nested.contains(&"query inner.id".to_owned()),
        "{nested:?}"
    );
    assert_eq!(parameters(&openapi["paths"]["/v1/starpath/{name}"]["post"]), ["path name"]);
    let patch = &openapi["paths"]["/v1/things/{thingId}"]["patch"];
    assert_eq!(parameters(patch), ["path thingId", "query updateMask"]);
}

#[test]
fn a_body_is_described_without_what_the_path_gives() {
    let openapi = openapi();

    let body = &openapi["paths"]["/v1/starpath/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!((body["properties"].get("name"), &body["properties"]["i64"]["format"]), (None, &json!("int64")));
    let raw = &openapi["paths"]["/v1/up/{name}"]["post"];
    assert_eq!(raw["requestBody"]["content"], json!({"*/*": {}}));
    assert_eq!(raw["responses"]["200"]["content"], json!({"*/*": {}}));
}

#[test]
fn answers_have_the_status_and_the_form_that_they_have() {
    let openapi = openapi();

    let created = &openapi["paths"]["/v1/things"]["post"]["responses"]["201"];
    assert_eq!(created["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/kit.v1.Thing");
    assert!(created["headers"].get("Location").is_some());
    let watched = &openapi["paths"]["/v1/things/{name}:watch"]["get"]["responses"];
    let forms: Vec<&String> = watched["200"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(forms, ["application/json", "application/x-ndjson", "text/event-stream"]);
    assert!(watched.get("204").is_some() && watched.get("406").is_some());
}
