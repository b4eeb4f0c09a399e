//! Who may call what, and what belongs to whom.

use crate::shop::{Order, Page, Shop, reason};
use tonic::Code;

/// SHA-256 of each name; the key of a caller is his name.
fn key(name: &str, more: &str) -> String {
    use std::fmt::Write;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let mut digits = String::new();
    for byte in hash.as_ref() {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!("[[api_keys]]\nname = {name:?}\nsha256 = {digits:?}\n{more}\n")
}

const ANNA: &[(&str, &str)] = &[("x-api-key", "anna")];
const BEN: &[(&str, &str)] = &[("x-api-key", "ben")];
const CHEF: &[(&str, &str)] = &[("x-api-key", "chef")];

/// Anna and Ben see what is theirs, the chef sees everything, and nobody else sees anything.
async fn shop() -> Shop {
    let keys = [key("anna", "claims = { owner = \"anna\" }"), key("ben", "claims = { owner = \"ben\" }")].concat();
    let keys = keys + &key("chef", "roles = [\"chef\"]");
    let rules = r#"
        [[rules]]
        methods = ["*"]
        who = { roles = ["chef"] }
        [[rules]]
        methods = ["/shop.Orders/Get", "/shop.Orders/Watch"]
        who = { claim = "owner" }
        own = [{ claim = "owner", answer = "owner.name" }]
        [[rules]]
        methods = ["/shop.Orders/List"]
        who = { claim = "owner" }
        own = [{ claim = "owner", request = "owner" }, { claim = "owner", answer = "orders.owner.name" }]
        [[rules]]
        methods = ["/shop.Orders/Cancel"]
        who = { claim = "owner" }
        own = [{ claim = "owner", call = "/shop.Orders/Get", same = ["order_id"], answer = "owner.name" }]
        [[rules]]
        methods = ["/shop.Orders/Create"]
        who = "authenticated"
    "#;
    Shop::open(&format!("{keys}{rules}")).await
}

#[tokio::test]
async fn an_answer_reaches_whoever_it_belongs_to() {
    let shop = shop().await;

    assert_eq!(shop.get("anna-1", ANNA).await.unwrap().into_inner().order_id, "anna-1");
    assert_eq!(shop.get("anna-1", CHEF).await.unwrap().into_inner().order_id, "anna-1");
}

#[tokio::test]
async fn what_belongs_to_others_looks_like_what_does_not_exist() {
    let shop = shop().await;

    let others = shop.get("ben-1", ANNA).await.unwrap_err();
    let missing = shop.get("missing", ANNA).await.unwrap_err();

    assert_eq!((others.code(), others.message()), (Code::NotFound, missing.message()));
    assert_eq!((others.details(), others.metadata().len()), (missing.details(), missing.metadata().len()));
    assert_eq!(reason(&shop.get("missing", CHEF).await.unwrap_err()), "ORDER_UNKNOWN", "whoever sees all is told more");
}

#[tokio::test]
async fn a_stream_ends_before_the_first_message_of_somebody_else() {
    let shop = shop().await;

    let (own, end) = shop.watch("anna-1", ANNA).await;
    assert_eq!((own.len(), end), (2, Code::Ok));
    assert_eq!(shop.watch("ben-1", ANNA).await, (vec![], Code::NotFound));
    let (seen, end) = shop.watch("mixed", ANNA).await;
    assert_eq!((seen.len(), end), (1, Code::NotFound));
    let (seen, end) = shop.watch("gone", ANNA).await;
    assert_eq!((seen.len(), end), (1, Code::NotFound));
    assert_eq!(shop.watch("mixed", CHEF).await.0.len(), 3);
}

#[tokio::test]
async fn a_request_must_be_about_what_is_the_callers() {
    let shop = shop().await;

    assert_eq!(shop.call::<Page>("List", "anna", ANNA).await.unwrap().into_inner().orders.len(), 2);
    shop.seen();
    for other in ["ben", "", "Anna", "anna "] {
        let refused = shop.call::<Page>("List", other, ANNA).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "NOT_OWN"), "{other:?}");
    }
    assert!(shop.seen().is_empty(), "no refused call reached the service");
    assert_eq!(shop.call::<Page>("List", "", CHEF).await.unwrap().into_inner().orders.len(), 2);
}

#[tokio::test]
async fn a_list_with_one_element_of_somebody_else_is_not_given() {
    let shop = shop().await;

    // The service ignores the filter.
    let refused = shop.call::<Page>("List", "ben", BEN).await.unwrap_err();

    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn whose_something_is_can_be_asked_first() {
    let shop = shop().await;

    shop.call::<Order>("Cancel", "anna-1", ANNA).await.unwrap();
    let paths: Vec<String> = shop.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/shop.Orders/Get", "/shop.Orders/Cancel"]);

    for others in ["ben-1", "missing"] {
        assert_eq!(shop.call::<Order>("Cancel", others, ANNA).await.unwrap_err().code(), Code::NotFound);
        let paths: Vec<String> = shop.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths, ["/shop.Orders/Get"], "{others} was not cancelled");
    }
    let away = shop.call::<Order>("Cancel", "away", ANNA).await.unwrap_err();
    assert_eq!((away.code(), away.message()), (Code::Unavailable, "the shop is closed"));
}

#[tokio::test]
async fn who_is_not_let_in_by_a_rule_stays_outside() {
    let shop = shop().await;

    let stranger = shop.get("anna-1", &[]).await.unwrap_err();
    let forbidden = shop.call::<Order>("Pay", "anna-1", ANNA).await.unwrap_err();

    assert_eq!((stranger.code(), reason(&stranger).as_str()), (Code::Unauthenticated, "CREDENTIALS_MISSING"));
    assert_eq!((forbidden.code(), reason(&forbidden).as_str()), (Code::PermissionDenied, "FORBIDDEN"));
    assert!(shop.seen().is_empty());
    let metrics = shop.metrics();
    assert!(metrics.contains(r#"guard_refusals_total{reason="FORBIDDEN",method="shop.Orders/Pay"} 1"#), "{metrics}");
}

#[tokio::test]
async fn a_key_goes_no_further_than_the_guard() {
    let shop = shop().await;

    shop.get("anna-1", CHEF).await.unwrap();
    shop.get("anna-1", &[("authorization", "ApiKey chef")]).await.unwrap();

    for seen in shop.seen() {
        assert!(!seen.headers.contains_key("x-api-key") && !seen.headers.contains_key("authorization"), "{seen:?}");
        assert_eq!(seen.headers["x-guard-subject"], "chef");
    }
}

#[tokio::test]
async fn the_first_rule_that_fits_decides() {
    let rules = r#"
        access = "rules"
        [[rules]]
        methods = ["/shop.Orders/Pay"]
        who = "nobody"
        [[rules]]
        methods = ["/shop.*"]
        who = "anyone"
    "#;
    let shop = Shop::open(rules).await;

    assert!(shop.get("anna-1", &[]).await.is_ok());
    assert_eq!(shop.call::<Order>("Pay", "anna-1", &[]).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_open_shop_asks_nobody() {
    let shop = Shop::open("").await;

    shop.get("ben-1", &[("x-api-key", "whatever"), ("x-guard-subject", "forged")]).await.unwrap();

    let seen = shop.seen().pop().unwrap();
    assert!(!seen.headers.contains_key("x-api-key") && !seen.headers.contains_key("x-guard-subject"), "{seen:?}");
}

#[tokio::test]
async fn a_rule_that_cannot_be_kept_lets_nobody_through_and_is_named() {
    let rule = |own: &str| {
        format!("{}[[rules]]\nmethods = [\"/shop.*\"]\nwho = \"authenticated\"\nown = [{own}]", key("anna", ""))
    };
    for own in [
        "{ claim = \"owner\", answer = \"nothing\" }",
        "{ claim = \"owner\", answer = \"owner\" }",
        "{ claim = \"owner\", request = \"order_id.name\" }",
        "{ claim = \"owner\", call = \"/shop.Orders/Nothing\", same = [\"order_id\"], answer = \"owner.name\" }",
        "{ claim = \"owner\", call = \"/shop.Orders/Watch\", same = [\"order_id\"], answer = \"owner.name\" }",
        "{ claim = \"owner\", call = \"/shop.Orders/Get\", same = [\"nothing\"], answer = \"owner.name\" }",
    ] {
        let config = toml::from_str(&rule(own)).unwrap();
        let guard = guard::Guard::new(config, guard::Defaults::default(), guard::Metrics::default()).await.unwrap();
        let layer = guard.layer(guard::methods_of(&crate::shop::descriptors()));

        assert!(layer.without_a_way_in().contains(&"/shop.Orders/Get"), "{own}");
    }
}
