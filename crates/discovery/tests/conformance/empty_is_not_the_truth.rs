//! An empty list with 200 is not the truth: what vanishes in a way that may be Consul's error is held down for a bounded time.

use crate::fake::Fake;
use crate::support::{Here, add, ports, remove, settings, unique, until, until_fresh};
use discovery::{ConsulConfig, Snapshot, Standing};
use std::time::Duration;

fn standings(snapshot: &Snapshot) -> Vec<Standing> {
    snapshot.endpoints.iter().map(|endpoint| endpoint.standing).collect()
}

#[tokio::test]
async fn an_empty_list_demotes_and_drops_nobody_until_the_hold_down_is_over() {
    let fake = Fake::start(1, &[1, 2, 3]).await;
    let mut here = Here::with(ConsulConfig { hold_down_ms: 500, ..settings(&[fake.url()]) });
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1, 2, 3]).await;

    let emptied = tokio::time::Instant::now();
    fake.say(2, &[]);

    let held = until(&mut endpoints, "they are demoted", |now| standings(now) == [Standing::Unknown; 3]).await;
    assert!(held.fault.is_none() && held.is_known);
    until_fresh(&mut endpoints, &[]).await;
    assert!(emptied.elapsed() >= Duration::from_millis(500));
    assert_eq!(endpoints.stats().suppressed_shrinks, 1);
}

#[tokio::test]
async fn a_shrink_that_is_not_believed_is_read_again_from_the_leader() {
    let fake = Fake::start(1, &[1, 2, 3]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1, 2, 3]).await;
    let before = fake.asked().len();

    fake.say(2, &[1]);

    let again = fake.until_asked(before, |it| it.parameter("consistent").is_some()).await;
    assert_eq!(again.parameter("index"), None, "it must not wait");
    let held = until(&mut endpoints, "it shrank", |now| now.endpoints[1].standing == Standing::Unknown).await;
    assert_eq!(standings(&held), [Standing::Up, Standing::Unknown, Standing::Unknown]);
    // And then it waits again, without troubling the leader.
    fake.until_asked(before, |it| it.parameter("stale").is_some() && it.parameter("index") == Some("2")).await;
}

#[tokio::test]
async fn members_that_come_back_during_the_hold_down_were_never_gone() {
    let fake = Fake::start(1, &[1, 2]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1, 2]).await;
    fake.say(2, &[]);
    until(&mut endpoints, "they are demoted", |now| standings(now) == [Standing::Unknown; 2]).await;

    fake.say(3, &[1, 2]);

    until(&mut endpoints, "they are up", |now| standings(now) == [Standing::Up; 2]).await;
}

#[tokio::test]
async fn a_single_deregistration_counts_at_once() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("dereg"));
    for port in [1, 2, 3] {
        add(consul, &service, port).await;
    }
    let mut here = Here::at(consul.url());
    let mut endpoints = here.watch(&service);
    until_fresh(&mut endpoints, &[1, 2, 3]).await;

    remove(consul, &service, 2).await;

    until_fresh(&mut endpoints, &[1, 3]).await;
    assert_eq!(endpoints.stats().suppressed_shrinks, 0);
}

#[tokio::test]
async fn maintenance_counts_at_once_even_for_the_last_member() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("maint"));
    for port in [1, 2] {
        add(consul, &service, port).await;
    }
    let mut here = Here::at(consul.url());
    let mut endpoints = here.watch(&service);
    until_fresh(&mut endpoints, &[1, 2]).await;

    for port in [1, 2] {
        consul.put(&format!("/v1/agent/service/maintenance/{service}-{port}?enable=true"), "").await;
    }

    until_fresh(&mut endpoints, &[]).await;
    assert_eq!(endpoints.stats().suppressed_shrinks, 0);
    consul.put(&format!("/v1/agent/service/maintenance/{service}-1?enable=false"), "").await;
    until_fresh(&mut endpoints, &[1]).await;
}

#[tokio::test]
async fn an_answer_of_a_server_that_has_lost_its_leader_is_not_believed() {
    let fake = Fake::start(1, &[1, 2]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1, 2]).await;

    fake.say(2, &[]);
    fake.change(|script| script.headers = "X-Consul-LastContact: 60000\r\n");
    fake.change(|script| script.index = 3);

    let kept = crate::support::until_fault(&mut endpoints, "behind its leader").await;
    assert_eq!(ports(&kept), [1, 2]);
}
