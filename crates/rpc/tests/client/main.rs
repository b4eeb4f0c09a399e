//! The client stack over real connections: what other clients get wrong, each as a test.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod fake;
mod interview;
mod workers;

use discovery::{Endpoint, Endpoints, Standing};
use fake::{Act, Fake, call, call_with, caller, eventually, repeatable};
use rpc::client::{ClientConfig, PoolConfig, Reached, RetryConfig};
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::Code;

/// With tonic's `balance_channel` 27 % of the calls fail for ever: an endpoint that refuses connections is taken for ready.
#[tokio::test]
async fn a_dead_endpoint_gets_no_calls() {
    let (one, two, dead) = (Fake::start().await, Fake::start().await, Fake::start().await);
    let address = dead.address;
    dead.stop().await;
    let client = caller(&[one.address, two.address, address], &ClientConfig::default());

    for _ in 0..200 {
        assert_eq!(call(&client).await, Code::Ok);
    }

    assert_eq!(one.calls() + two.calls(), 200);
}

/// tower's `PeakEwma` sends 58 % of all calls to it: nothing answers as fast as who fails.
#[tokio::test]
async fn an_endpoint_that_fails_fast_draws_no_calls() {
    let (one, two, failing) = (Fake::start().await, Fake::start().await, Fake::start().await);
    failing.does(Act::Fail(Code::Unavailable));
    let client = caller(&[one.address, two.address, failing.address], &ClientConfig::default());
    wait_for(&client, 3).await;

    let mut failed = 0;
    for _ in 0..500 {
        failed += usize::from(call(&client).await != Code::Ok);
    }

    assert!(failed <= 6, "{failed} of 500 failed");
}

/// With tonic every call hangs, past its deadline, when there is no endpoint.
#[tokio::test]
async fn a_call_without_endpoints_fails_in_time() {
    let (feed, endpoints) = Endpoints::feed();
    feed.confirm(Vec::new());
    let pool = PoolConfig { failfast_ms: 50, ..PoolConfig::default() };
    let client = fake::following(endpoints, &ClientConfig { pool, ..ClientConfig::default() });

    assert_eq!(call(&client).await, Code::Unavailable);
    // The next one does not wait any more.
    assert_eq!(call_with(&client, &[("grpc-timeout", "1m")]).await, Code::Unavailable);
}

#[tokio::test]
async fn a_deadline_bounds_the_wait_for_an_endpoint_too() {
    let (feed, endpoints) = Endpoints::feed();
    feed.confirm(Vec::new());
    let pool = PoolConfig { failfast_ms: 60_000, ..PoolConfig::default() };
    let client = fake::following(endpoints, &ClientConfig { pool, ..ClientConfig::default() });

    assert_eq!(call_with(&client, &[("grpc-timeout", "20m")]).await, Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_call_waits_a_little_for_the_first_endpoint() {
    let (feed, endpoints) = Endpoints::feed();
    let client = fake::following(endpoints, &ClientConfig::default());
    let server = Fake::start().await;

    let (code, ()) = tokio::join!(call(&client), async { feed.confirm(vec![Endpoint::at(server.address)]) });

    assert_eq!(code, Code::Ok);
}

/// In a retry of 10 updates that changed nothing, tonic opened 30 connections.
#[tokio::test]
async fn an_endpoint_that_stays_keeps_its_connection() {
    let server = Fake::start().await;
    let (feed, endpoints) = Endpoints::feed();
    let mut listed = Endpoint::at(server.address);
    feed.confirm(vec![listed.clone()]);
    let client = fake::following(endpoints, &ClientConfig::default());
    assert_eq!(call(&client).await, Code::Ok);

    for weight in 2..12 {
        listed.weight = weight;
        listed.standing = if weight.is_multiple_of(2) { Standing::Warning } else { Standing::Up };
        feed.confirm(vec![listed.clone()]);
        assert_eq!(call(&client).await, Code::Ok);
    }

    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_removed_endpoint_finishes_what_it_has_begun() {
    let server = Fake::start().await;
    server.does(Act::Hold);
    let (feed, endpoints) = Endpoints::feed();
    feed.confirm(vec![Endpoint::at(server.address)]);
    let client = fake::following(endpoints, &ClientConfig::default());
    let mut begun = JoinSet::new();
    let held = client.clone();
    begun.spawn(async move { call(&held).await });
    eventually(|| server.calls() == 1).await;

    feed.confirm(Vec::new());
    eventually(|| !client.is_up()).await;
    server.let_go();

    assert_eq!(begun.join_next().await.unwrap().unwrap(), Code::Ok);
}

/// Libraries have one breaker for a service: a single bad endpoint of three opens it, or none does.
#[tokio::test]
async fn a_bad_endpoint_is_left_out_and_the_service_is_not() {
    let (good, bad) = (Fake::start().await, Fake::start().await);
    bad.does(Act::Fail(Code::Internal));
    let breaker = breaker::Config { consecutive_failures: 1, ..breaker::Config::default() };
    let pool = PoolConfig { breaker, ..PoolConfig::default() };
    let client = first_alone(&bad, &good, &ClientConfig { pool, ..ClientConfig::default() }).await;
    for _ in 0..200 {
        assert_eq!(call(&client).await, Code::Ok);
    }

    let view = client.view();
    let state = |address: std::net::SocketAddr| {
        let name = address.to_string();
        view.endpoints.iter().find(|endpoint| *endpoint.name == *name).unwrap().breaker.state
    };
    assert_eq!(state(bad.address), breaker::State::Open);
    assert_eq!(state(good.address), breaker::State::Closed);
    assert_eq!(view.breaker.state, breaker::State::Closed);
}

#[tokio::test]
async fn the_last_endpoint_is_never_left_out() {
    let only = Fake::start().await;
    only.does(Act::Fail(Code::Unavailable));
    // Here the breaker of the service looks on.
    let breaker = breaker::Config { metrics_only: true, ..breaker::Config::default() };
    let client = caller(&[only.address], &ClientConfig { breaker, ..ClientConfig::default() });

    for _ in 0..50 {
        assert_eq!(call(&client).await, Code::Unavailable);
    }

    assert_eq!(only.calls(), 50);
}

#[tokio::test]
async fn when_most_endpoints_fail_all_of_them_are_called() {
    let (one, two, three) = (Fake::start().await, Fake::start().await, Fake::start().await);
    for server in [&one, &two, &three] {
        server.does(Act::Fail(Code::Unavailable));
    }
    let breaker = breaker::Config { metrics_only: true, ..breaker::Config::default() };
    let client =
        caller(&[one.address, two.address, three.address], &ClientConfig { breaker, ..ClientConfig::default() });
    wait_for(&client, 3).await;

    for _ in 0..300 {
        call(&client).await;
    }

    assert_eq!(one.calls() + two.calls() + three.calls(), 300);
}

#[tokio::test]
async fn a_service_that_fails_altogether_is_left_alone_and_says_for_how_long() {
    let server = Fake::start().await;
    server.does(Act::Fail(Code::Unavailable));
    let client = caller(&[server.address], &ClientConfig::default());
    for _ in 0..5 {
        call(&client).await;
    }
    let before = server.calls();

    let refused = fake::status(&client, &[]).await;

    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("is left alone"), "{}", refused.message());
    assert_eq!(server.calls(), before);
}

/// An endpoint that hung and is well again costs no user a call to find out: linkerd, Envoy and gobreaker spend one.
#[tokio::test]
async fn an_endpoint_that_is_well_again_is_found_out_without_a_users_call() {
    let (good, ill) = (Fake::start().await, Fake::start().await);
    ill.does(Act::Fail(Code::Internal));
    let breaker = breaker::Config { consecutive_failures: 1, open_ms: 50, ramp_ms: 0, ..breaker::Config::default() };
    let pool = PoolConfig { breaker, ..PoolConfig::default() };
    let client = first_alone(&ill, &good, &ClientConfig { pool, ..ClientConfig::default() }).await;
    assert!(client.view().endpoints.iter().any(|endpoint| endpoint.breaker.state == breaker::State::Open));
    let (before, checks) = (ill.calls(), ill.checks());
    ill.does(Act::Answer);

    // Calls make the probes go out; none of them is one.
    let is_closed = async {
        while client.view().endpoints.iter().any(|endpoint| endpoint.breaker.state != breaker::State::Closed) {
            assert_eq!((call(&client).await, ill.calls()), (Code::Ok, before));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_closed).await.unwrap();

    assert!(ill.checks() >= checks + 2);
}

#[tokio::test]
async fn what_was_not_sent_goes_elsewhere_even_if_it_may_not_be_repeated() {
    let (mut one, two) = (Fake::start().await, Fake::start().await);
    let client = caller(&[one.address, two.address], &ClientConfig::default());
    wait_for(&client, 2).await;

    for round in 0..100 {
        if round == 10 {
            one.go_away();
        }
        assert_eq!(call(&client).await, Code::Ok, "round {round}");
    }
}

#[tokio::test]
async fn a_read_is_made_again_elsewhere_and_an_order_is_not() {
    let (good, bad) = (Fake::start().await, Fake::start().await);
    bad.does(Act::Fail(Code::Unavailable));
    let client = caller(&[good.address, bad.address], &repeatable(RetryConfig::default()));
    wait_for(&client, 2).await;
    for _ in 0..20 {
        assert_eq!(call(&client).await, Code::Ok);
    }

    let client = caller(&[bad.address], &ClientConfig::default());
    let before = bad.calls();
    assert_eq!(call(&client).await, Code::Unavailable);
    assert_eq!(bad.calls(), before + 1);
}

#[tokio::test]
async fn a_call_with_an_idempotency_key_may_be_made_again() {
    let server = Fake::start().await;
    server.does(Act::FailOnce(Code::Unavailable));
    let client = caller(&[server.address], &ClientConfig::default());

    assert_eq!(call_with(&client, &[("idempotency-key", "42")]).await, Code::Ok);
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn repeats_come_out_of_a_budget() {
    let server = Fake::start().await;
    server.does(Act::Fail(Code::Unavailable));
    let breaker = breaker::Config { metrics_only: true, ..breaker::Config::default() };
    let retry = RetryConfig { budget_percent: 20, budget_min_per_second: 0, pause_ms: 0, ..RetryConfig::default() };
    let client = caller(&[server.address], &ClientConfig { breaker, ..repeatable(retry) });

    for _ in 0..100 {
        call(&client).await;
    }

    let calls = server.calls();
    assert!((100..=125).contains(&calls), "{calls} attempts of 100 calls");
}

#[tokio::test]
async fn a_slow_read_is_asked_for_elsewhere_too_and_the_first_answer_counts() {
    let (quick, hung) = (Fake::start().await, Fake::start().await);
    hung.does(Act::Hold);
    let mut config = repeatable(RetryConfig::default());
    config.methods.values_mut().for_each(|method| method.hedge_after_ms = 500);
    let (feed, endpoints) = Endpoints::feed();
    feed.confirm(vec![Endpoint::at(hung.address)]);
    let client = fake::following(endpoints, &config);
    let mut asked = JoinSet::new();
    let first = client.clone();
    asked.spawn(async move { call(&first).await });
    eventually(|| hung.calls() == 1).await;

    feed.confirm(vec![Endpoint::at(hung.address), Endpoint::at(quick.address)]);

    assert_eq!(asked.join_next().await.unwrap().unwrap(), Code::Ok);
    assert_eq!((hung.calls(), quick.calls()), (1, 1));
}

/// gRPC's own outlier detection takes a deadline that nobody could have met for the endpoint's fault.
#[tokio::test]
async fn a_deadline_that_was_no_fair_chance_opens_nothing() {
    let server = Fake::start().await;
    server.does(Act::Fail(Code::DeadlineExceeded));
    let client = caller(&[server.address], &ClientConfig::default());

    for _ in 0..50 {
        call(&client).await;
    }

    let endpoint = client.view().endpoints.remove(0);
    assert_eq!((endpoint.breaker.state, endpoint.breaker.failures), (breaker::State::Closed, 0));
}

#[tokio::test]
async fn an_endpoint_that_discovery_doubts_is_used_when_there_is_nothing_better() {
    let (sure, doubted) = (Fake::start().await, Fake::start().await);
    let (feed, endpoints) = Endpoints::feed();
    let unknown = Endpoint { standing: Standing::Unknown, ..Endpoint::at(doubted.address) };
    feed.confirm(vec![Endpoint::at(sure.address), unknown.clone()]);
    let client = fake::following(endpoints, &ClientConfig::default());
    wait_for(&client, 2).await;
    for _ in 0..20 {
        call(&client).await;
    }
    assert_eq!((sure.calls(), doubted.calls()), (20, 0));

    feed.confirm(vec![unknown]);
    eventually(|| client.view().endpoints.len() == 1).await;

    assert_eq!(call(&client).await, Code::Ok);
    assert_eq!(doubted.calls(), 1);
}

#[tokio::test]
async fn a_breaker_that_is_forced_open_refuses_until_it_is_given_back() {
    let server = Fake::start().await;
    let client = caller(&[server.address], &ClientConfig::default());
    assert_eq!(call(&client).await, Code::Ok);

    assert!(client.force(None, Some(breaker::Forced::Open)));
    assert_eq!(call(&client).await, Code::Unavailable);
    assert!(client.force(None, None));

    assert_eq!(call(&client).await, Code::Ok);
    assert!(!client.force(Some("127.0.0.1:1"), None));
}

#[tokio::test]
async fn calls_beyond_the_bound_are_turned_away_at_once() {
    let server = Fake::start().await;
    server.does(Act::Hold);
    let client = caller(&[server.address], &ClientConfig { in_flight_max: 10, ..ClientConfig::default() });
    let mut held = JoinSet::new();
    for _ in 0..9 {
        let client = client.clone();
        held.spawn(async move { call(&client).await });
    }
    eventually(|| server.calls() == 9).await;

    assert_eq!(call(&client).await, Code::Unavailable);
    server.let_go();

    assert!(held.join_all().await.iter().all(|code| *code == Code::Ok));
}

/// Waits until so many endpoints are connected.
async fn wait_for(client: &rpc::Upstream, connected: usize) {
    let is_up = |endpoint: &rpc::client::EndpointView| endpoint.reached == Reached::Up;
    eventually(|| client.view().endpoints.iter().filter(|endpoint| is_up(endpoint)).count() == connected).await;
}

/// A client that has called one endpoint once before it hears of the other.
async fn first_alone(first: &Fake, other: &Fake, config: &ClientConfig) -> rpc::Upstream {
    let (feed, endpoints) = Endpoints::feed();
    feed.confirm(vec![Endpoint::at(first.address)]);
    let client = fake::following(endpoints, config);
    assert_ne!(call(&client).await, Code::Ok);
    feed.confirm(vec![Endpoint::at(first.address), Endpoint::at(other.address)]);
    wait_for(&client, 2).await;
    client
}
