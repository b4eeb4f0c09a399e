//! What enum values are called where the names of their enums are left out.

use crate::kit::{Answer, descriptors, serve};
use http::Request;
use http_body_util::Full;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use transcode::{Config, Document, Transcoder};

fn transcoder(short_enum_services: &[&str]) -> Transcoder {
    let short_enum_services = short_enum_services.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    Transcoder::new(&descriptors("colors.proto"), Config { short_enum_services, ..Config::default() }).unwrap()
}

fn short() -> Transcoder {
    transcoder(&["colors.v1.Colors"])
}

async fn get(transcoder: &Transcoder, path: &str) -> Answer {
    serve(transcoder, Request::get(path).body(Full::default()).unwrap()).await
}

async fn post(transcoder: &Transcoder, body: &Json) -> Answer {
    serve(transcoder, Request::post("/v1/paints").body(Full::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn the_name_of_an_enum_is_left_out_of_the_names_of_its_values() {
    let short = short();
    for name in ["RED", "HTTP_COLOR_RED"] {
        let path = format!("/v1/paints/{name}?others={name}&others=UNSPECIFIED");
        let expected = json!({"color": "RED", "others": ["RED", "UNSPECIFIED"], "named": {}});
        assert_eq!(get(&short, &path).await.json(), expected, "{name}");

        let body = json!({"color": name, "others": [name, "UNSPECIFIED"], "named": {"a": name}});
        let expected = json!({"color": "RED", "others": ["RED", "UNSPECIFIED"], "named": {"a": "RED"}});
        assert_eq!(post(&short, &body).await.json(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_value_keeps_its_name_where_the_short_one_would_mean_something_else() {
    let short = short();
    let names = json!(["BLUE", "HTTP_COLOR_BLUE", "HTTP_COLOR_404"]);

    let answer = post(&short, &json!({"others": [2, 3, 4]})).await;

    assert_eq!(answer.json()["others"], names);
    assert_eq!(post(&short, &json!({"others": names})).await.json()["others"], names);
    assert_eq!(get(&short, "/v1/paints/404").await.json()["color"], 404);
}

#[tokio::test]
async fn a_complaint_lists_the_names_that_a_client_is_to_use() {
    let complaint = "must be one of UNSPECIFIED, RED, BLUE, HTTP_COLOR_BLUE, HTTP_COLOR_404";
    let short = short();

    assert_eq!(get(&short, "/v1/paints/GREEN").await.violations(), [format!("color: {complaint}")]);
    let refused = post(&short, &json!({"color": "RED", "others": ["RED", "green"]})).await;
    assert_eq!(refused.violations(), [format!("others[1]: {complaint}")]);
}

#[tokio::test]
async fn names_are_whole_unless_it_is_said() {
    let whole = transcoder(&[]);

    assert_eq!(get(&whole, "/v1/paints/1").await.json()["color"], "HTTP_COLOR_RED");
    assert_eq!(get(&whole, "/v1/paints/RED").await.status, 400);
    assert_eq!(post(&whole, &json!({"color": "RED"})).await.status, 400);
}

#[test]
fn the_document_has_the_names_that_a_client_is_to_use() {
    let document = short().openapi(&Document::default());
    let schemas = &document["components"]["schemas"];

    let names = json!(["UNSPECIFIED", "RED", "BLUE", "HTTP_COLOR_BLUE", "HTTP_COLOR_404"]);
    assert_eq!(schemas["colors.v1.HTTPColor"]["enum"], names);
    assert_eq!(schemas["colors.v1.HTTPColor-Input"]["enum"].as_array().unwrap()[..5], *names.as_array().unwrap());
    let description = schemas["colors.v1.HTTPColor"]["description"].as_str().unwrap();
    assert!(description.contains("- `RED`: Like a tomato."), "{description}");
}
