//! Registration as a reconciler: after SERVING, through an agent that forgets, until the first thing of a shutdown.

use crate::support::{Here, Serving, eventually, settings, unique, until, until_fresh};
use discovery::{ConsulConfig, Error, Registered, Registration, RegistrationConfig, RegistrationState, Standing};
use servers::free;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What the agent knows of a registration, if it does.
async fn known(consul: &servers::Consul, registered: &Registered) -> Option<serde_json::Value> {
    known_by(consul, registered.id()).await
}

async fn known_by(consul: &servers::Consul, id: &str) -> Option<serde_json::Value> {
    let (status, body) = consul.ask("GET", &format!("/v1/agent/service/{id}"), "").await;
    (status == 200).then(|| serde_json::from_str(&body).unwrap())
}

/// The states of the checks of a service.
async fn checks(consul: &servers::Consul, service: &str) -> Vec<String> {
    let (_, body) = consul.ask("GET", "/v1/agent/checks", "").await;
    let all: serde_json::Value = serde_json::from_str(&body).unwrap();
    let of_service = all.as_object().unwrap().values().filter(|check| check["ServiceName"] == service);
    of_service.map(|check| check["Status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_endpoint_is_registered_only_when_it_serves() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("ready"));
    let serving = Serving::start_unready().await;
    let mut here = Here::at(consul.url());
    let mut registered = here.consul.register(&mut here.tasks, serving.registration(&service)).unwrap();
    eventually(async || match registered.state() {
        RegistrationState::Fault(error) if matches!(*error, Error::NotServing { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(known(consul, &registered).await, None);

    serving.become_ready().await;

    registered.registered().await.unwrap();
    assert!(known(consul, &registered).await.is_some());
}

#[tokio::test]
async fn a_registration_says_who_it_is_and_is_up_at_once() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("meta"));
    let serving = Serving::start().await;
    let mut here = Here::at(consul.url());
    let word = |text: &str| Some(text.to_owned());
    let registration = Registration {
        version: word("1.2"),
        zone: word("a"),
        role: word("order"),
        tags: vec!["blue".to_owned()],
        ..serving.registration(&service)
    };

    let mut registered = here.consul.register(&mut here.tasks, registration).unwrap();
    registered.registered().await.unwrap();

    let mut endpoints = here.watch(&service);
    let now = until_fresh(&mut endpoints, &[serving.address.port()]).await;
    let endpoint = &now.endpoints[0];
    assert_eq!((endpoint.address, endpoint.standing), (serving.address, Standing::Up));
    assert_eq!((endpoint.version.as_deref(), endpoint.zone.as_deref()), (Some("1.2"), Some("a")));
    assert_eq!((endpoint.meta["role"].as_str(), endpoint.meta["protocol"].as_str()), ("order", "grpc"));
    assert_eq!(*endpoint.tags, ["blue".to_owned()]);
}

#[tokio::test]
async fn consul_asks_the_endpoint_whether_it_serves() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("asked"));
    let serving = Serving::start().await;
    let port = serving.address.port();
    let mut here = Here::at(consul.url());
    let mut registered = here.consul.register(&mut here.tasks, serving.registration(&service)).unwrap();
    registered.registered().await.unwrap();
    let mut endpoints = here.watch(&service);
    until_fresh(&mut endpoints, &[port]).await;

    drop(serving);

    // The last one: demoted, not dropped.
    until(&mut endpoints, "it is demoted", |now| now.endpoints.iter().all(|it| it.standing == Standing::Unknown)).await;
}

#[tokio::test]
async fn an_agent_that_forgot_is_told_again() {
    if !servers::Consul::require() {
        return;
    }
    let (mut consul, serving) = (servers::Consul::start().await, Serving::start().await);
    let mut here = Here::at(consul.url());
    let mut registered = here.consul.register(&mut here.tasks, serving.registration("orders")).unwrap();
    registered.registered().await.unwrap();

    consul.wipe();
    consul.restart().await;

    eventually(async || known(&consul, &registered).await.map(drop).ok_or("it is not told".to_owned())).await;
    until_fresh(&mut here.watch("orders"), &[serving.address.port()]).await;
}

#[tokio::test]
async fn a_registration_that_somebody_removed_or_changed_is_put_right() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("changed"));
    let serving = Serving::start().await;
    let mut here = Here::at(consul.url());
    let registration = Registration { zone: Some("a".to_owned()), ..serving.registration(&service) };
    let mut registered = here.consul.register(&mut here.tasks, registration).unwrap();
    registered.registered().await.unwrap();
    let is_right = async || match known(consul, &registered).await {
        Some(it) if it["Meta"]["zone"] == "a" => Ok(()),
        other => Err(format!("{other:?}")),
    };
    eventually(is_right).await;

    consul.put(&format!("/v1/agent/service/deregister/{}", registered.id()), "").await;
    eventually(is_right).await;
    let other = serde_json::json!({
        "ID": registered.id(), "Name": service, "Address": "127.0.0.1", "Port": 1, "Meta": {"zone": "b"}
    });
    consul.put("/v1/agent/service/register", &other.to_string()).await;
    eventually(is_right).await;
}

#[tokio::test]
async fn a_registration_that_is_right_wakes_no_watch() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("quiet"));
    let serving = Serving::start().await;
    let mut here = Here::at(consul.url());
    // No check of the agent's, which would have something to say at a random time.
    let config = RegistrationConfig {
        grpc_check: false,
        ttl_ms: Some(1_000),
        reconcile_ms: 20,
        ..RegistrationConfig::default()
    };
    let registration = Registration { config, ..serving.registration(&service) };
    let mut registered = here.consul.register(&mut here.tasks, registration).unwrap();
    registered.registered().await.unwrap();
    let mut endpoints = here.watch(&service);
    until_fresh(&mut endpoints, &[serving.address.port()]).await;
    // Until here there may be something to hear of.
    while timeout(Duration::from_millis(200), endpoints.changed()).await.is_ok() {}
    let before = endpoints.stats();

    // A hundred looks and as many heartbeats.
    assert!(timeout(Duration::from_secs(2), endpoints.changed()).await.is_err());

    assert_eq!(endpoints.stats().wakes, before.wakes);
}

#[tokio::test]
async fn a_time_to_live_is_kept_alive_and_not_after_the_deregistration() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("ttl"));
    let serving = Serving::start().await;
    let mut here = Here::at(consul.url());
    let config = RegistrationConfig {
        grpc_check: false,
        ttl_ms: Some(1_000),
        propagation_ms: 0,
        ..RegistrationConfig::default()
    };
    let registration = Registration { config, ..serving.registration(&service) };
    let mut registered = here.consul.register(&mut here.tasks, registration).unwrap();
    registered.registered().await.unwrap();
    let since = Instant::now();

    // Three times as long as it would live by itself.
    eventually(async || {
        assert_eq!(checks(consul, &service).await, ["passing"]);
        if since.elapsed() > Duration::from_secs(3) { Ok(()) } else { Err("not long enough".to_owned()) }
    })
    .await;
    registered.deregister().await.unwrap();

    assert_eq!(checks(consul, &service).await, Vec::<String>::new());
}

#[tokio::test]
async fn consul_may_be_away_at_the_start() {
    if !servers::Consul::require() {
        return;
    }
    let (mut consul, serving) = (servers::Consul::start().await, Serving::start().await);
    consul.kill9();
    let mut here = Here::at(consul.url());
    let mut registered = here.consul.register(&mut here.tasks, serving.registration("orders")).unwrap();
    eventually(async || match registered.state() {
        RegistrationState::Fault(error) if error.is_transient() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;

    consul.restart().await;

    registered.registered().await.unwrap();
}

#[tokio::test]
async fn a_deregistration_returns_when_clients_have_had_time_to_hear_of_it() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("leave"));
    let (stays, leaves) = (Serving::start().await, Serving::start().await);
    let mut here = Here::at(consul.url());
    let config = RegistrationConfig { propagation_ms: 1_000, ..RegistrationConfig::default() };
    let mut both = Vec::new();
    for serving in [&stays, &leaves] {
        let registration = Registration { config: config.clone(), ..serving.registration(&service) };
        both.push(here.consul.register(&mut here.tasks, registration).unwrap());
    }
    for registered in &mut both {
        registered.registered().await.unwrap();
    }
    let mut endpoints = here.watch(&service);
    until(&mut endpoints, "both are there", |now| now.endpoints.len() == 2).await;
    let since = Instant::now();

    both.pop().unwrap().deregister().await.unwrap();

    assert!(since.elapsed() >= Duration::from_secs(1));
    assert_eq!(endpoints.now().endpoints.iter().map(|it| it.address).collect::<Vec<_>>(), [stays.address]);
}

#[tokio::test]
async fn a_second_signal_skips_the_wait() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("hurry"));
    let serving = Serving::start().await;
    let mut here = Here::at(consul.url());
    let config = RegistrationConfig { propagation_ms: 600_000, ..RegistrationConfig::default() };
    let registration = Registration { config, ..serving.registration(&service) };
    let mut registered = here.consul.register(&mut here.tasks, registration).unwrap();
    registered.registered().await.unwrap();
    let (id, second_signal) = (registered.id().to_owned(), lifecycle::Drain::new());

    let left = registered.deregister_unless(second_signal.requested());
    let signal = async {
        eventually(async || known_by(consul, &id).await.map_or(Ok(()), |_| Err("it is still there".to_owned()))).await;
        second_signal.request();
    };

    let (left, ()) = timeout(Duration::from_secs(60), async { tokio::join!(left, signal) }).await.unwrap();
    left.unwrap();
}

#[tokio::test]
async fn the_drain_of_its_tasks_deregisters_what_nobody_deregistered() {
    if !servers::Consul::require() {
        return;
    }
    let (consul, service) = (servers::Consul::shared().await, unique("drain"));
    let serving = Serving::start().await;
    let mut here = Here::at(consul.url());
    let mut registered = here.consul.register(&mut here.tasks, serving.registration(&service)).unwrap();
    registered.registered().await.unwrap();

    here.tasks.drain(Duration::from_secs(10)).await.unwrap();

    assert_eq!(known(consul, &registered).await, None);
    assert!(matches!(registered.state(), RegistrationState::Left));
}

#[tokio::test]
async fn a_deregistration_that_cannot_be_told_ends_and_says_why() {
    let serving = Serving::start().await;
    let mut consul = match servers::Consul::require() {
        true => servers::Consul::start().await,
        false => return,
    };
    let mut here = Here::at(consul.url());
    let mut registered = here.consul.register(&mut here.tasks, serving.registration("orders")).unwrap();
    registered.registered().await.unwrap();
    consul.kill9();

    let refused = timeout(Duration::from_secs(30), registered.deregister()).await.unwrap().unwrap_err();

    assert!(matches!(refused, Error::NotDeregistered { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_was_never_registered_leaves_at_once() {
    let mut here = Here::at(format!("http://{}", free::address()));
    let registration = Registration::new("orders", free::address());
    let registration = Registration {
        config: RegistrationConfig { propagation_ms: 0, ..RegistrationConfig::default() },
        ..registration
    };
    let registered = here.consul.register(&mut here.tasks, registration).unwrap();

    timeout(Duration::from_secs(30), registered.deregister()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_nobody_can_reach_is_refused() {
    let mut here = Here::with(ConsulConfig { ..settings(&["http://10.0.0.1:8500".to_owned()]) });
    for address in ["127.0.0.1:50051", "0.0.0.0:50051", "[::]:50051", "10.0.0.2:0"] {
        let address: SocketAddr = address.parse().unwrap();

        let refused = here.consul.register(&mut here.tasks, Registration::new("orders", address)).unwrap_err();

        assert!(matches!(refused, Error::Address { .. }), "{address}: {refused:?}");
    }
}

#[tokio::test]
async fn an_end_of_a_failing_service_below_a_minute_is_refused() {
    let mut here = Here::at("http://127.0.0.1:8500".to_owned());
    let config = RegistrationConfig { gone_after_ms: 1_000, ..RegistrationConfig::default() };
    let registration = Registration { config, ..Registration::new("orders", free::address()) };

    let refused = here.consul.register(&mut here.tasks, registration).unwrap_err();

    assert!(refused.to_string().contains("gone_after_ms is wrong: is shorter than 60000"), "{refused}");
}
