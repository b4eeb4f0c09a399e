//! What becomes of the timeouts that callers ask for.

use crate::shop::{Shop, reason};
use tonic::Code;

async fn reaches_the_service(config: &str, asked: &[(&str, &str)]) -> Option<String> {
    let shop = Shop::open(config).await;
    shop.get("anna-1", asked).await.unwrap();
    let seen = shop.seen().pop().unwrap();
    seen.headers.get("grpc-timeout").map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn nonsense_never_reaches_the_service() {
    let shop = Shop::open("").await;

    for nonsense in ["5X", "", "1.5S", "-1S", "123456789S", "forever"] {
        let refused = shop.get("anna-1", &[("grpc-timeout", nonsense)]).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "TIMEOUT_INVALID"),
            "{nonsense}"
        );
    }
    let twice = shop.get("anna-1", &[("grpc-timeout", "1S"), ("grpc-timeout", "2S")]).await.unwrap_err();
    assert_eq!(twice.code(), Code::InvalidArgument);
    assert!(shop.seen().is_empty());
}

#[tokio::test]
async fn a_timeout_is_cut_to_what_is_granted() {
    let rule =
        "timeout_max_ms = 5000\n[[deadlines]]\nmethods = [\"/shop.Orders/Get\"]\ndefault_ms = 1000\nmax_ms = 2000";

    assert_eq!(reaches_the_service("", &[("grpc-timeout", "7S")]).await.as_deref(), Some("7000000u"));
    assert_eq!(reaches_the_service("", &[("grpc-timeout", "99999999H")]).await.as_deref(), Some("600000m"));
    assert_eq!(
        reaches_the_service("timeout_max_ms = 5000", &[("grpc-timeout", "7S")]).await.as_deref(),
        Some("5000000u")
    );
    assert_eq!(reaches_the_service(rule, &[("grpc-timeout", "7S")]).await.as_deref(), Some("2000000u"));
    assert_eq!(reaches_the_service(rule, &[]).await.as_deref(), Some("1000000u"));
    assert_eq!(reaches_the_service("", &[]).await, None);
}
