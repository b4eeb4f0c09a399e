//! gRPC, as it is: for services that have HTTP rules and for those that have none.

use crate::gate::{Gate, eventually};
use crate::shop::{Shop, set};
use prost_reflect::DescriptorPool;
use prost_reflect::prost::Message;
use std::collections::BTreeSet;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Question;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse as Reply;

/// A service without any HTTP rule, with a method of each kind.
const CLERK: &str = r#"package clerk.v1;
    service Clerk {
        rpc One(Note) returns (Note);
        rpc Down(Note) returns (stream Note);
        rpc Up(stream Note) returns (Note);
        rpc Both(stream Note) returns (stream Note);
    }
    message Note { string name = 1; string by = 2; }"#;

#[derive(Clone, PartialEq, Message)]
struct Note {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    by: String,
}

/// Calls a method with notes of these names; the names and signatures of the answers.
async fn call(channel: &Channel, method: &'static str, names: &[&str]) -> Result<Vec<String>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let notes: Vec<Note> = names.iter().map(|name| Note { name: (*name).to_owned(), by: String::new() }).collect();
    let (path, codec) = (PathAndQuery::from_static(method), ProstCodec::<Note, Note>::default());
    let mut answers = client.streaming(Request::new(tokio_stream::iter(notes)), path, codec).await?.into_inner();
    let mut told = Vec::new();
    while let Some(Note { name, by }) = answers.message().await? {
        told.push(format!("{name} by {by}"));
    }
    Ok(told)
}

#[tokio::test]
async fn calls_of_all_four_kinds_pass() {
    let (gate, clerk) = (Gate::open(&["clerk"]).await, Shop::open("clerk", CLERK).await);
    let channel = gate.channel().await;
    assert_eq!(call(&channel, "/clerk.v1.Clerk/One", &["a"]).await.unwrap_err().code(), Code::Unimplemented);

    gate.list("clerk", &[clerk.address]);

    eventually(async || call(&channel, "/clerk.v1.Clerk/One", &["a"]).await.map_err(|status| status.to_string())).await;
    assert_eq!(call(&channel, "/clerk.v1.Clerk/One", &["a"]).await.unwrap(), ["a by clerk"]);
    assert_eq!(call(&channel, "/clerk.v1.Clerk/Down", &["a"]).await.unwrap(), ["a by clerk"; 3]);
    assert_eq!(call(&channel, "/clerk.v1.Clerk/Up", &["a", "b"]).await.unwrap(), ["b by clerk"]);
    assert_eq!(call(&channel, "/clerk.v1.Clerk/Both", &["a", "b"]).await.unwrap(), ["a by clerk", "b by clerk"]);
}

#[tokio::test]
async fn a_method_that_is_not_described_is_refused_without_asking_anybody() {
    let (gate, clerk) = (Gate::open(&["clerk"]).await, Shop::open("clerk", CLERK).await);
    let channel = gate.channel().await;
    gate.list("clerk", &[clerk.address]);
    eventually(async || call(&channel, "/clerk.v1.Clerk/One", &["a"]).await.map_err(|status| status.to_string())).await;
    let before = clerk.calls();

    let refused = call(&channel, "/clerk.v1.Clerk/Missing", &["a"]).await.unwrap_err();

    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unimplemented, "no method clerk.v1.Clerk/Missing is served here")
    );
    assert_eq!(clerk.calls(), before);
}

/// The answer of the gateway's own reflection.
async fn reflected(channel: &Channel, question: Question) -> Reply {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_tells_of_what_is_served_each_from_its_own_descriptors() {
    let gate = Gate::open(&["clerk", "other"]).await;
    // Another service, in a file of the same name.
    let text = CLERK.replace("package clerk.v1;", "package other.v1;").replace("Clerk", "Other");
    let [clerk, other] = [Shop::open("clerk", CLERK).await, Shop::open("other", &text).await];
    let channel = gate.channel().await;

    gate.list("clerk", &[clerk.address]);
    gate.list("other", &[other.address]);

    let services = eventually(async || {
        let Reply::ListServicesResponse(list) = reflected(&channel, Question::ListServices(String::new())).await else {
            return Err("no list".to_owned());
        };
        let names: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
        if names.len() == 5 { Ok(names) } else { Err(format!("{names:?}")) }
    });
    assert!(services.await.is_superset(&BTreeSet::from(["clerk.v1.Clerk".to_owned(), "other.v1.Other".to_owned()])));
    for (service, text) in [("clerk.v1.Clerk", CLERK), ("other.v1.Other", text.as_str())] {
        let asked = Question::FileContainingSymbol(service.to_owned());
        let Reply::FileDescriptorResponse(files) = reflected(&channel, asked).await else { panic!("no files") };
        let mut pool = DescriptorPool::new();
        let files: Vec<_> = files.file_descriptor_proto.iter().rev().collect();
        for file in files {
            pool.decode_file_descriptor_proto(file.as_slice()).unwrap();
        }
        let expected = DescriptorPool::decode(set("shop.proto", text).as_slice()).unwrap();
        let methods = |pool: &DescriptorPool| pool.get_service_by_name(service).unwrap().methods().count();
        assert_eq!(methods(&pool), methods(&expected));
    }
}
