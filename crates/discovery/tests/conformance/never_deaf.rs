//! A watch never goes deaf, never floods and never dies.

use crate::fake::{Fake, Manner};
use crate::support::{Here, add, eventually, ports, settings, unique, until, until_fault, until_fresh};
use discovery::{ConsulConfig, Endpoints};
use servers::Proxy;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn the_index_begins_anew_when_it_goes_backwards() {
    let fake = Fake::start(1_000, &[1]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;
    fake.until_asked(0, |it| it.parameter("index") == Some("1000")).await;
    let before = fake.asked().len();

    fake.say(5, &[1, 2]);

    until_fresh(&mut endpoints, &[1, 2]).await;
    let next = fake.until_asked(before, |_| true).await;
    assert_eq!(next.parameter("index"), None, "an index of 1000 would be deaf now");
    fake.until_asked(before, |it| it.parameter("index") == Some("5")).await;
    assert_eq!(endpoints.stats().index_resets, 1);
}

#[tokio::test]
async fn the_index_begins_anew_after_every_fault() {
    for manner in [Manner::ResetInMidBody, Manner::Status(500), Manner::Status(429), Manner::Status(403)] {
        let fake = Fake::start(1_000, &[1]).await;
        let mut here = Here::at(fake.url());
        let mut endpoints = here.watch("orders");
        until_fresh(&mut endpoints, &[1]).await;
        fake.until_asked(0, |it| it.parameter("index") == Some("1000")).await;
        let before = fake.asked().len();

        fake.change(|script| script.manner = manner);
        let kept = until(&mut endpoints, "there is a fault", |now| now.fault.is_some()).await;
        fake.say(1_001, &[1, 2]);

        assert_eq!(ports(&kept), [1], "{manner:?}");
        until_fresh(&mut endpoints, &[1, 2]).await;
        assert_eq!(fake.asked()[before].parameter("index"), None, "{manner:?}");
        assert_eq!(endpoints.stats().index_resets, 1, "{manner:?}");
    }
}

#[tokio::test]
async fn a_query_waits_about_55_seconds_and_never_more_than_60() {
    let fake = Fake::start(7, &[1]).await;
    let mut here = Here::with(ConsulConfig { agents: vec![fake.url()], ..ConsulConfig::default() });
    let watches: Vec<Endpoints> = (0..20).map(|_| here.watch("orders")).collect();

    eventually(async || {
        let waiting = fake.asked().iter().filter(|it| it.parameter("wait").is_some()).count();
        if waiting == watches.len() { Ok(()) } else { Err(format!("{waiting} wait")) }
    })
    .await;

    let asked = fake.asked();
    let waits: Vec<u64> =
        asked.iter().filter_map(|it| it.parameter("wait")?.strip_suffix("ms")?.parse().ok()).collect();
    assert!(waits.iter().all(|wait| (49_500..=60_000).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait != waits[0]), "without jitter all would come back together");
}

#[tokio::test]
async fn a_reset_in_mid_body_keeps_the_list_and_is_overcome() {
    let fake = Fake::start(1, &[1, 2]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1, 2]).await;

    fake.change(|script| script.manner = Manner::ResetInMidBody);
    let kept = until_fault(&mut endpoints, "failed to ask the Consul agent").await;
    fake.say(2, &[1, 2, 3]);

    assert_eq!(ports(&kept), [1, 2]);
    until_fresh(&mut endpoints, &[1, 2, 3]).await;
}

#[tokio::test]
async fn an_agent_that_is_busy_is_asked_with_growing_pauses_and_loses_no_member() {
    let fake = Fake::start(1, &[1, 2]).await;
    let config = ConsulConfig { backoff_ms_min: 100, backoff_ms_max: 10_000, ..settings(&[fake.url()]) };
    let mut here = Here::with(config);
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1, 2]).await;
    let (before, since) = (fake.asked().len(), Instant::now());

    fake.change(|script| script.manner = Manner::Status(429));
    let kept = until_fault(&mut endpoints, "answered 429").await;
    eventually(async || {
        let faults = endpoints.stats().faults;
        if faults >= 4 { Ok(()) } else { Err(format!("{faults} faults")) }
    })
    .await;

    assert_eq!(ports(&kept), [1, 2]);
    // Three pauses: at least the halves of 100, 200 and 400 ms.
    assert!(since.elapsed() >= Duration::from_millis(350), "{:?}", since.elapsed());
    assert!(fake.asked().len() - before <= 6, "{}", fake.asked().len() - before);
}

#[tokio::test]
async fn an_agent_that_hangs_is_given_up_and_the_next_one_asked() {
    let (hangs, works) = (Fake::start(1_000, &[1]).await, Fake::start(5, &[1, 2]).await);
    hangs.change(|script| script.manner = Manner::Hang);
    let config = ConsulConfig { request_timeout_ms: 200, ..settings(&[hangs.url(), works.url()]) };
    let mut here = Here::with(config);

    let mut endpoints = here.watch("orders");

    until_fresh(&mut endpoints, &[1, 2]).await;
    assert_eq!(endpoints.stats().faults, 1);
}

#[tokio::test]
async fn the_next_agent_is_asked_without_the_index_of_the_first() {
    let (first, second) = (Fake::start(1_000, &[1]).await, Fake::start(5, &[1, 2]).await);
    let mut here = Here::with(settings(&[first.url(), second.url()]));
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    drop(first);

    until_fresh(&mut endpoints, &[1, 2]).await;
    assert_eq!(second.asked()[0].parameter("index"), None);
    second.say(6, &[1, 2, 3]);
    until_fresh(&mut endpoints, &[1, 2, 3]).await;
}

#[tokio::test]
async fn a_line_that_goes_silent_is_noticed_at_the_end_of_the_wait() {
    let fake = Fake::start(1, &[1]).await;
    let proxy = Proxy::start(fake.url().strip_prefix("http://").unwrap().parse().unwrap()).await;
    let url = format!("http://{}", proxy.address());
    let mut here = Here::with(ConsulConfig { wait_ms: 500, request_timeout_ms: 500, ..settings(&[url]) });
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    proxy.black_hole();
    let kept = until_fault(&mut endpoints, "did not answer within").await;
    fake.say(2, &[1, 2]);
    proxy.heal();

    assert_eq!(ports(&kept), [1]);
    until_fresh(&mut endpoints, &[1, 2]).await;
}

#[tokio::test]
async fn an_agent_that_answers_at_once_for_ever_is_not_flooded() {
    let fake = Fake::start(1, &[1]).await;
    fake.change(|script| script.manner = Manner::Flood);
    let since = Instant::now();
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    eventually(async || {
        let asked = fake.asked().len();
        if asked >= 13 { Ok(()) } else { Err(format!("asked {asked} times")) }
    })
    .await;

    // A burst of ten, and then two in a second.
    assert!(since.elapsed() >= Duration::from_millis(900), "{:?}", since.elapsed());
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let fake = Fake::start(1, &[1]).await;
    fake.change(|script| script.manner = Manner::Endless);
    let mut here = Here::with(ConsulConfig { body_bytes_max: 64 * 1024, ..settings(&[fake.url()]) });

    let mut endpoints = here.watch("orders");

    let nothing = until_fault(&mut endpoints, "length limit exceeded").await;
    assert!(!nothing.is_known);
}

#[tokio::test]
async fn more_watches_than_connections_all_stay_fresh() {
    if !servers::Consul::require() {
        return;
    }
    // An agent of its own: it allows 200 connections from one address.
    let (consul, service) = (servers::Consul::start().await, unique("many"));
    add(&consul, &service, 1).await;
    let mut here = Here::at(consul.url());
    let mut watches: Vec<Endpoints> = (0..220).map(|_| here.watch(&service)).collect();
    for watch in &mut watches {
        until_fresh(watch, &[1]).await;
    }

    add(&consul, &service, 2).await;

    for watch in &mut watches {
        until_fresh(watch, &[1, 2]).await;
        assert_eq!(watch.stats().faults, 0);
    }
    assert!(consul.connections() <= 200, "{}", consul.connections());
}

#[tokio::test]
async fn of_several_ports_the_named_one_is_taken() {
    let fake = Fake::start(1, &[]).await;
    fake.change(|script| {
        script.body = r#"[{"Node":{"Address":"127.0.0.1"},"Service":{"ID":"o","Port":0,"Ports":
            [{"Name":"http","Port":80,"Default":true},{"Name":"grpc","Port":90}]},"Checks":[]}]"#
            .to_owned();
    });
    let mut here = Here::with(ConsulConfig { port_name: Some("grpc".to_owned()), ..settings(&[fake.url()]) });

    until_fresh(&mut here.watch("orders"), &[90]).await;
}

#[tokio::test]
async fn a_watch_ends_with_the_drain_though_its_query_waits() {
    let fake = Fake::start(1, &[1]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;
    fake.until_asked(0, |it| it.parameter("index").is_some()).await;

    here.tasks.drain(Duration::from_secs(5)).await.unwrap();

    while endpoints.changed().await.is_ok() {}
    assert_eq!(ports(&endpoints.now()), [1], "what is known stays readable");
}
