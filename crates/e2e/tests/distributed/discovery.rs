//! Processes that find each other through Consul.

use e2e::{DECIDED_WITHIN, Shop, consumer, decided, place, place_and_wait, restaurant, text};
use serde_json::Value as Json;
use servers::Consul;
use std::time::Duration;
use testkit::{Http, Member, Stack, StackOptions, command_line, eventually};

async fn platform() -> Option<Stack> {
    if !servers::are_there() || !Consul::require() {
        return None;
    }
    Some(Stack::start(&StackOptions { consul: true, ..StackOptions::default() }).await)
}

/// What the gateway thinks of a service.
async fn called(stack: &Stack, service: &str) -> Json {
    let admin = stack.admin_url(Member::Gateway);
    let said = command_line(&["endpoints", "--json", "--admin", &admin]).await;
    let services: Json = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    services.as_array().into_iter().flatten().find(|it| it["name"] == service).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_find_each_other_and_go_on_without_the_agent() {
    let Some(mut stack) = platform().await else { return };
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;
    assert_eq!(text(&place_and_wait(&stack.http(), &shop.order()).await["state"]), "APPROVED");
    let found = called(&stack, "order").await;
    assert_eq!(found["endpoints"][0]["isConnected"], true, "{found}");

    // Whoever was found stays in use while nobody can say what has changed.
    if let Some(consul) = &mut stack.consul {
        consul.kill9();
    }
    for _ in 0..5 {
        let order_id = place(&stack.http(), &shop.order()).await;
        decided(&stack.http(), &order_id).await;
    }
    eventually(DECIDED_WITHIN, async || match called(&stack, "order").await["listFault"].as_str() {
        Some("") | None => Err("the list is still taken to be fresh".to_owned()),
        Some(_) => Ok(()),
    })
    .await;

    if let Some(consul) = &mut stack.consul {
        consul.restart().await;
    }
    place_and_wait(&stack.http(), &shop.order()).await;
}

/// With Consul every process knows how to find the Order Service, and `cargo xtask cluster up` waited for it before it had started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_takes_orders_is_not_ready_without_the_order_service() {
    let Some(mut stack) = platform().await else { return };

    stack.terminate(Member::Order).await;

    let readiness = async |member| {
        Http::new(&stack.admin_url(member)).get("/readyz").try_send().await.map_or(0, |answer| answer.status.as_u16())
    };
    eventually(DECIDED_WITHIN, async || match readiness(Member::Gateway).await {
        503 => Ok(()),
        status => Err(format!("the gateway's readiness is answered with {status}")),
    })
    .await;
    assert_eq!((readiness(Member::Consumer).await, readiness(Member::Restaurant).await), (200, 200));
    // It said to be degraded whenever the restaurants were away, which are nothing to it.
    let consumer = Http::new(&stack.admin_url(Member::Consumer)).get("/readyz").send().await.expect(200);
    let checks = consumer["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap());
    assert_eq!(checks.collect::<Vec<_>>(), ["consumer", "channels"], "{consumer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_ends_is_not_found_any_more_and_is_again_when_it_is_back() {
    let Some(mut stack) = platform().await else { return };

    stack.terminate(Member::Consumer).await;
    eventually(DECIDED_WITHIN, async || match called(&stack, "consumer").await["endpoints"].as_array().map(Vec::len) {
        Some(0) => Ok(()),
        other => Err(format!("{other:?} endpoints are left")),
    })
    .await;
    assert_eq!(stack.http().get("/v1/consumers").try_send().await.unwrap().status, 503);

    stack.spawn(Member::Consumer);
    eventually(Duration::from_secs(60), async || match stack.http().get("/v1/consumers").try_send().await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(answer.text()),
        Err(complaint) => Err(complaint),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_force_a_breaker_and_give_it_back() {
    let Some(stack) = platform().await else { return };
    let admin = stack.admin_url(Member::Gateway);
    let force = async |to: &str| {
        let arguments = ["breakers", "force", to, "--service", "consumer", "--why", "a drill", "--admin", &admin];
        let done = command_line(&arguments).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout
    };

    assert!(force("open").await.contains("forced-open (operator)"));
    let refused = stack.http().get("/v1/consumers").send().await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("is left alone"), "{}", refused.text());
    assert!(stack.log(Member::Gateway).contains("a drill"));

    assert!(force("automatic").await.contains("closed (operator)"));
    assert_eq!(stack.http().get("/v1/consumers").send().await.status, 200);
}
