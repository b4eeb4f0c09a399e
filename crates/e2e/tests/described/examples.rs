//! The examples of the description, pasted as they are.

use http::Method;
use serde_json::{Map, Value as Json};
use testkit::{Comanda, Options};

/// The path with the examples of its variables.
fn path(template: &str, operation: &Json) -> String {
    let mut path = template.to_owned();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "path" {
            let name = parameter["name"].as_str().expect("a name");
            let example =
                parameter["example"].as_str().unwrap_or_else(|| panic!("{name} of {template} has no example"));
            path = path.replace(&format!("{{{name}}}"), example);
        }
    }
    path
}

#[tokio::test]
async fn every_example_is_taken_though_its_ids_may_be_unknown() {
    let comanda = Comanda::start(Options { sample_data: true, ..Options::default() }).await;
    let openapi = comanda.http().get("/openapi.json").send().await.expect(200);
    let mut refused = Map::new();

    for (template, item) in openapi["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).expect("a method");
            let path = path(template, operation);
            let mut call = comanda.http().call(method.clone(), &path);
            if let Some(content) = operation["requestBody"]["content"].get("application/json") {
                call = call.json(&content["example"]);
            }
            let answer = call.send().await;
            if !answer.status.is_success() && answer.status != 404 {
                refused.insert(format!("{method} {path}"), answer.json());
            }
        }
    }

    assert!(refused.is_empty(), "{refused:#?}");
}
