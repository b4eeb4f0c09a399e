//! A real Consul that is restarted, killed, stopped and wiped loses no member.

use crate::support::{Here, Serving, add, eventually, ports, settings, unique, until, until_fault, until_fresh};
use discovery::{ConsulConfig, Standing};
use servers::ConsulSetup;

/// A member with a check that runs seldom: after a restart of the agent, it has not run for long.
async fn add_checked(consul: &servers::Consul, service: &str, serving: &Serving) {
    let (port, address) = (serving.address.port(), serving.address);
    let body = format!(
        r#"{{"ID":"{service}-{port}","Name":"{service}","Address":"127.0.0.1","Port":{port},
        "Check":{{"GRPC":"{address}","Interval":"10s","Status":"passing"}}}}"#
    );
    consul.put("/v1/agent/service/register", &body).await;
}

/// Whether Consul has something to say about each of three members: a check without words has not run.
async fn checks_have_run(consul: &servers::Consul) -> Result<(), String> {
    let (_, body) = consul.ask("GET", "/v1/health/checks/orders", "").await;
    let checks: serde_json::Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    let has_run = |check: &&serde_json::Value| check["Output"] != "" && check["Status"] == "passing";
    match checks.as_array().map(|checks| checks.iter().filter(has_run).count()) {
        Some(3) => Ok(()),
        _ => Err(body),
    }
}

#[tokio::test]
async fn an_agent_that_is_restarted_loses_no_member() {
    if !servers::Consul::require() {
        return;
    }
    let mut consul = servers::Consul::start().await;
    let mut serving = Vec::new();
    for _ in 0..3 {
        serving.push(Serving::start().await);
        add_checked(&consul, "orders", serving.last().unwrap()).await;
    }
    let mut all: Vec<u16> = serving.iter().map(|it| it.address.port()).collect();
    all.sort_unstable();
    let mut here = Here::with(ConsulConfig { wait_ms: 1_000, ..settings(&[consul.url()]) });
    let mut endpoints = here.watch("orders");
    let mut witness = endpoints.clone();
    until_fresh(&mut endpoints, &all).await;
    let mut seen = Vec::new();

    consul.kill9();
    until_fault(&mut endpoints, "failed to ask").await;
    let restarted = async {
        consul.restart().await;
        eventually(async || checks_have_run(&consul).await).await;
    };
    tokio::pin!(restarted);
    loop {
        tokio::select! {
            () = &mut restarted => break,
            changed = witness.changed() => {
                changed.unwrap();
                seen.push(ports(&witness.now()));
            }
        }
    }

    assert!(seen.iter().all(|ports| *ports == all), "{seen:?}");
    until(&mut endpoints, "all are up", |now| now.endpoints.iter().all(|it| it.standing == Standing::Up)).await;
}

#[tokio::test]
async fn an_agent_that_is_stopped_in_order_loses_no_member() {
    if !servers::Consul::require() {
        return;
    }
    let mut consul = servers::Consul::start().await;
    add(&consul, "orders", 1).await;
    let mut here = Here::at(consul.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    consul.stop();

    let kept = until_fault(&mut endpoints, "failed to ask").await;
    assert_eq!(ports(&kept), [1]);
    consul.restart().await;
    until_fresh(&mut endpoints, &[1]).await;
}

#[tokio::test]
async fn an_agent_that_hangs_is_noticed_and_heard_again() {
    if !servers::Consul::require() {
        return;
    }
    let consul = servers::Consul::start().await;
    add(&consul, "orders", 1).await;
    let mut here = Here::with(ConsulConfig { wait_ms: 500, request_timeout_ms: 500, ..settings(&[consul.url()]) });
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    consul.pause();
    let kept = until_fault(&mut endpoints, "did not answer within").await;
    consul.resume();

    assert_eq!(ports(&kept), [1]);
    add(&consul, "orders", 2).await;
    until_fresh(&mut endpoints, &[1, 2]).await;
}

#[tokio::test]
async fn an_agent_that_lost_everything_is_followed_from_its_low_index() {
    if !servers::Consul::require() {
        return;
    }
    let mut consul = servers::Consul::start().await;
    // Some history, so that the index is ahead of what a new life begins with.
    for port in 1..=30 {
        add(&consul, &unique("history"), port).await;
    }
    add(&consul, "orders", 1).await;
    let mut here = Here::at(consul.url());
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    consul.wipe();
    consul.restart().await;

    let held = until(&mut endpoints, "it is held back", |now| {
        now.fault.is_none() && now.endpoints.iter().any(|it| it.standing == Standing::Unknown)
    });
    assert_eq!(ports(&*held.await), [1]);
    add(&consul, "orders", 2).await;
    until(&mut endpoints, "the new life is heard", |now| ports(now) == [1, 2]).await;
    assert!(endpoints.stats().index_resets > 0);
}

#[tokio::test]
async fn the_second_agent_takes_over_from_one_that_was_killed() {
    if !servers::Consul::require() {
        return;
    }
    let (mut first, second) =
        tokio::join!(servers::Consul::start(), servers::Consul::start_with(ConsulSetup::default()));
    add(&first, "orders", 1).await;
    for port in [1, 2] {
        add(&second, "orders", port).await;
    }
    let mut here = Here::with(settings(&[first.url(), second.url()]));
    let mut endpoints = here.watch("orders");
    until_fresh(&mut endpoints, &[1]).await;

    first.kill9();

    until_fresh(&mut endpoints, &[1, 2]).await;
    add(&second, "orders", 3).await;
    eventually(async || match ports(&endpoints.now()) {
        ports if ports == [1, 2, 3] => Ok(()),
        ports => Err(format!("{ports:?}")),
    })
    .await;
}
