//! The description of the kitchen.

use crate::kit::descriptors;
use serde_json::{Value as Json, json};
use transcode::{Config, Document, Guards, Security, Transcoder};

fn openapi() -> Json {
    crate::kit::transcoder().openapi(&Document { title: "Kitchen".to_owned(), ..Document::default() })
}

/// Those of the operation itself, as `place name`.
fn parameters(operation: &Json) -> Vec<String> {
    let own = operation["parameters"].as_array().unwrap().iter();
    own.filter_map(|it| Some(format!("{} {}", it["in"].as_str()?, it["name"].as_str()?))).collect()
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
    let forms: Vec<&String> = raw["requestBody"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(forms, ["*/*", "application/octet-stream", "multipart/form-data"]);
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

/// The document of two descriptor sets, one after the other.
fn merged(first: &str, second: &str) -> Json {
    let transcoders = [first, second].map(|file| Transcoder::new(&descriptors(file), Config::default()).unwrap());
    let rules = transcoders.iter().flat_map(Transcoder::rules);
    Transcoder::of(rules, Config::default()).0.openapi(&Document::default())
}

/// Every component that the document refers to and does not have.
fn dangling(openapi: &Json, value: &Json) -> Vec<String> {
    match value {
        Json::Object(fields) => {
            let reference = fields.get("$ref").and_then(Json::as_str);
            let lost = reference.filter(|reference| openapi.pointer(&reference[1..]).is_none_or(Json::is_null));
            let below = fields.values().flat_map(|field| dangling(openapi, field));
            lost.map(str::to_owned).into_iter().chain(below).collect()
        }
        Json::Array(elements) => elements.iter().flat_map(|element| dangling(openapi, element)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_query_of_a_wide_message_that_holds_itself_is_bounded() {
    let transcoder = Transcoder::new(&descriptors("recursive.proto"), Config::default()).unwrap();

    let openapi = transcoder.openapi(&Document::default());

    let operation = &openapi["paths"]["/v1/trees"]["get"];
    let described = parameters(operation);
    assert_eq!(described.iter().filter(|name| name.starts_with("query ")).count(), 100, "{described:?}");
    assert!(operation["description"].as_str().unwrap().contains("more than the 100"), "{operation}");
    assert!(openapi.to_string().len() < 100_000, "{}", openapi.to_string().len());
}

#[test]
fn several_services_are_one_document_in_which_nothing_collides() {
    let openapi = merged("kitchen.proto", "other.proto");

    assert_eq!(dangling(&openapi, &openapi), Vec::<String>::new());
    let schemas = &openapi["components"]["schemas"];
    assert_eq!(schemas["kit.v1.Inner"]["properties"]["deep"]["$ref"], "#/components/schemas/kit.v1.Inner");
    let other = &openapi["paths"]["/v2/inner"]["get"];
    assert_eq!(other["operationId"], "other.v1.Other.Get");
    let answer = &other["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(answer, "#/components/schemas/other.v1.Holder");
    let held = &schemas["other.v1.Holder"]["properties"]["inner"]["$ref"];
    assert_eq!(held, "#/components/schemas/kit.v1.Inner-2");
    assert!(schemas["kit.v1.Inner-2"]["properties"].get("elsewhere").is_some(), "{schemas}");
    // The kitchen has this path already.
    assert_eq!(openapi["paths"]["/v1/things/{thingId}"]["get"]["operationId"], "kit.v1.Kit.GetThing");
}

#[test]
fn what_is_the_same_in_two_sets_is_described_once() {
    let openapi = merged("kitchen.proto", "kitchen.proto");

    assert_eq!(openapi, crate::kit::transcoder().openapi(&Document::default()));
}

#[test]
fn variables_of_several_segments_are_one_parameter_for_each_wildcard() {
    let openapi = openapi();

    let books = &openapi["paths"]["/v1/m/shelves/{name1}/books/{name2}"]["get"];
    assert_eq!(parameters(books)[..2], ["path name1", "path name2"]);
}

#[test]
fn a_request_may_spell_what_an_answer_spells_one_way() {
    let openapi = openapi();

    let schemas = &openapi["components"]["schemas"];
    let (asked, told) = (&schemas["kit.v1.All-Input"]["properties"], &schemas["kit.v1.All"]["properties"]);
    assert_eq!(
        (&asked["i64"]["type"], &told["i64"]["type"]),
        (&json!(["string", "integer", "null"]), &json!("string"))
    );
    let color = &schemas["kit.v1.Color-Input"]["enum"];
    assert_eq!(color, &json!(["COLOR_UNSPECIFIED", "RED", "DARK_BLUE", 0, 1, 2]));
    assert_eq!(schemas["kit.v1.Color"]["enum"], json!(["COLOR_UNSPECIFIED", "RED", "DARK_BLUE"]));
    let always: Vec<&str> =
        schemas["kit.v1.Thing"]["required"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    assert_eq!(always, ["thingId", "title", "size"]);
    let pick = &schemas["kit.v1.All-Input"]["allOf"][0]["oneOf"];
    assert_eq!((&pick[0], &pick[1]), (&json!({"required": ["oa"]}), &json!({"required": ["ob"]})));
    assert_eq!(asked["im"]["propertyNames"]["pattern"], "^-?[0-9]{1,9}$");
}

#[test]
fn a_download_can_be_had_in_parts_and_a_stream_in_three_forms() {
    let openapi = openapi();

    let download = &openapi["paths"]["/v1/up/{name}"]["post"]["responses"];
    assert!(download.get("206").is_none(), "only a GET has ranges");
    let watched = &openapi["paths"]["/v1/things/{name}:watch"]["get"]["responses"]["200"]["content"];
    let item =
        json!({"anyOf": [{"$ref": "#/components/schemas/kit.v1.Thing"}, {"$ref": "#/components/schemas/StreamError"}]});
    assert_eq!(watched["application/json"]["schema"], json!({"type": "array", "items": item}));
    assert_eq!(watched["application/x-ndjson"]["x-itemSchema"], item);
    assert_eq!(watched["text/event-stream"]["x-itemSchema"]["properties"]["event"], json!({"const": "status"}));
    let uploaded = &openapi["paths"]["/v1/collect"]["post"]["requestBody"]["content"];
    let forms: Vec<&String> = uploaded.as_object().unwrap().keys().collect();
    assert_eq!(forms, ["application/json", "application/x-ndjson"]);
}

/// The gateway had tags for a week before its document said so, since a setting that nobody set hid them.
#[test]
fn versions_are_described_where_they_can_be_named() {
    let openapi = openapi();
    let has = |operation: &Json, header: &str| {
        let reference = json!({"$ref": format!("#/components/parameters/{header}")});
        operation["parameters"].as_array().unwrap().contains(&reference)
    };

    let (version, thing) = (&openapi["paths"]["/v1/versions/{name}"], &openapi["paths"]["/v1/things/{thingId}"]);
    assert!(has(&version["get"], "If-None-Match") && !has(&version["get"], "If-Match"), "{version}");
    assert!(version["get"]["responses"]["200"]["headers"].get("ETag").is_some(), "{version}");
    assert!(version["get"]["responses"].get("304").is_some(), "{version}");
    assert!(has(&version["delete"], "If-Match") && version["delete"]["responses"].get("412").is_some(), "{version}");
    assert!(!has(&thing["patch"], "If-Match") && thing["patch"]["responses"].get("412").is_none(), "it has no version");
}

#[test]
fn who_calls_and_what_guards_do_is_described_when_it_is_so() {
    let document = Document {
        security: vec![Security::Bearer, Security::ApiKey("x-api-key".to_owned())],
        takes_anonymous: true,
        guards: Guards { keeps_answers: true, limits_rates: true },
        servers: vec!["https://api.example".to_owned()],
        ..Document::default()
    };

    let openapi = crate::kit::transcoder().openapi(&document);

    assert_eq!(openapi["security"], json!([{}, {"bearer": []}, {"apiKey": []}]));
    assert_eq!(openapi["components"]["securitySchemes"]["apiKey"]["name"], "x-api-key");
    assert_eq!(openapi["servers"], json!([{"url": "https://api.example"}]));
    let got = &openapi["paths"]["/v1/things/{thingId}"]["get"];
    assert!(got["responses"].get("401").is_some(), "{got}");
    let key = json!({"$ref": "#/components/parameters/Idempotency-Key"});
    let has_key = |operation: &Json| operation["parameters"].as_array().unwrap().contains(&key);
    assert!(has_key(&openapi["paths"]["/v1/things"]["post"]), "its answers are kept");
    let other = Document { recognise_repeats: vec!["kit.v1.Kit.Create".to_owned()], ..document };
    assert!(!has_key(&crate::kit::transcoder().openapi(&other)["paths"]["/v1/things"]["post"]), "it knows by itself");
    let limited = &openapi["components"]["responses"]["ResourceExhausted"]["headers"];
    assert!(limited.get("RateLimit").is_some(), "{limited}");
}
