//! What is said of a descriptor set before anything of it is served.

use crate::kit::{descriptors, serve};
use bytes::Bytes;
use std::collections::BTreeSet;
use transcode::{Config, Transcoder};

#[test]
fn all_routes_that_conflict_are_named_at_once() {
    let error = Transcoder::new(&descriptors("conflicts.proto"), Config::default()).unwrap_err();

    assert_eq!(
        error.to_string(),
        "failed to tell routes apart: \
         GET /v1/a/{name} of conflicts.v1.Conflicts/One and GET /v1/a/{other} of conflicts.v1.Conflicts/Two; \
         GET /v1/b of conflicts.v1.Conflicts/One and GET /v1/b of conflicts.v1.Conflicts/Four"
    );
}

#[tokio::test]
async fn a_lenient_service_ignores_what_it_does_not_know() {
    let config = Config { lenient_services: BTreeSet::from(["kit.v1.Kit".to_owned()]), ..Config::default() };
    let transcoder = Transcoder::new(&descriptors("kitchen.proto"), config).unwrap();
    let request = http::Request::post("/v1/field/p?zzz=1&i32=3");
    let body = Bytes::from(r#"{"zzz":1,"id":"x"}"#);

    let answer = serve(&transcoder, request.body(http_body_util::Full::new(body)).unwrap()).await;

    assert_eq!((answer.status, &answer.json()["inner"]["id"], &answer.json()["i32"]), (200, &"x".into(), &3.into()));
}
