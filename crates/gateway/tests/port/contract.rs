//! What holds of the whole contract.

use crate::harness::Port;
use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;
use serde_json::Value as Json;

fn files() -> FileDescriptorSet {
    FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap()
}

/// Every `operationId` of the document.
fn operations(openapi: &Json) -> Vec<String> {
    let items = openapi["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    operations.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_rpc_has_an_http_rule() {
    let openapi = Port::open().await.get("/openapi.json").await.json();
    let described = operations(&openapi);

    for file in files().file {
        // Operators and services have ports of their own.
        let is_internal = ["comanda.admin.v1", "comanda.validation.v1"].contains(&file.package());
        let is_public = file.package().starts_with("comanda.") && !is_internal;
        for service in file.service.iter().filter(|_| is_public) {
            for method in &service.method {
                let id = format!("{}.{}.{}", file.package(), service.name(), method.name());
                assert!(described.contains(&id), "{id} has no google.api.http rule");
            }
        }
    }
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let openapi = Port::open().await.get("/openapi.json").await.json();

    fn check(openapi: &Json, value: &Json) {
        match value {
            Json::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Json::as_str) {
                    let target = openapi.pointer(reference.strip_prefix('#').unwrap());
                    assert!(target.is_some_and(Json::is_object), "{reference} leads nowhere");
                }
                fields.values().for_each(|field| check(openapi, field));
            }
            Json::Array(elements) => elements.iter().for_each(|element| check(openapi, element)),
            _ => {}
        }
    }
    check(&openapi, &openapi);
}

#[test]
fn the_contract_has_no_number_that_json_cannot_hold() {
    for file in files().file.iter().filter(|file| file.package().starts_with("comanda.")) {
        for field in file.message_type.iter().flat_map(|message| &message.field) {
            assert!(!matches!(field.r#type(), Type::Double | Type::Float), "{} is inexact", field.name());
        }
    }
}

#[tokio::test]
async fn the_limits_of_fields_are_described() {
    let openapi = Port::open().await.get("/openapi.json").await.json();
    let schemas = &openapi["components"]["schemas"];

    let quantity = &schemas["comanda.order.v1.CreateOrderLine-Input"]["properties"]["quantity"];
    let address_lines = &schemas["comanda.order.v1.Address-Input"]["properties"]["lines"];
    let order_id = &openapi["paths"]["/v1/orders/{orderId}"]["get"]["parameters"][0]["schema"];

    assert_eq!((&quantity["minimum"], &quantity["maximum"]), (&1.into(), &999.into()));
    assert_eq!((&address_lines["minItems"], &address_lines["maxItems"]), (&1.into(), &5.into()));
    assert_eq!(order_id["format"], "uuid");
}
