//! What an operator sees and does when something is wrong: the doctor, parked messages, outboxes.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use e2e::{Shop, consumer, in_state, place, place_and_wait, restaurant};
use messaging::Message;
use serde_json::Value as Json;
use std::time::Duration;
use store::{Change, Store};
use testkit::{Comanda, Finished, Member, Stack, StackOptions, command_line, eventually};

/// How long the doctor may take to name the cause: a broker or a database that hangs is noticed within that time.
const NAMED_WITHIN: Duration = Duration::from_secs(20);
/// Longer than a redrive takes.
const WAIT: &str = "20";

/// Runs a command of the operator's and returns its exit code and its JSON.
async fn operate(admin: &[String], arguments: &[&str]) -> (Option<i32>, Json) {
    let admin = admin.iter().flat_map(|url| ["--admin", url]);
    let arguments: Vec<&str> = arguments.iter().copied().chain(admin).chain(["--json"]).collect();
    let Finished { code, stdout, stderr } = command_line(&arguments).await;
    let json = serde_json::from_str(&stdout);
    (code, json.unwrap_or_else(|error| panic!("{arguments:?} printed no JSON: {error}: {stdout}{stderr}")))
}

/// Waits until the doctor names exactly these causes.
async fn doctor_names(admin: &[String], expected: &[&str]) -> Json {
    eventually(NAMED_WITHIN, async || {
        let (code, report) = operate(admin, &["doctor"]).await;
        let causes: Vec<&str> =
            report["findings"].as_array().unwrap().iter().map(|it| it["cause"].as_str().unwrap()).collect();
        let silent = report["silent"].as_array().unwrap().is_empty();
        let is_as_expected = causes == expected && silent && code == Some(i32::from(!expected.is_empty()));
        if is_as_expected { Ok(report) } else { Err(format!("the doctor says {code:?}: {report}")) }
    })
    .await
}

/// Writes a command to the Consumer Service that nobody understands into the outbox of orders.
async fn append_poison(comanda: &mut Comanda, key: &str, effects: &[&str]) {
    comanda.terminate().await;
    let store = Store::open_sqlite(&comanda.data_dir().join("order.db"), &store::Config::default()).unwrap();
    let mut change = Change::new();
    for effect in effects {
        let kind = "comanda.messages.v1.OrderDetailsConfirmed";
        outbox::append(
            &mut change,
            &Message::new("consumer.commands", kind, key.to_owned(), (*effect).to_owned(), Vec::new()),
        );
    }
    store.commit(change).await.unwrap();
    drop(store);
    comanda.restart().await;
}

#[tokio::test]
async fn nothing_is_wrong_with_a_platform_that_has_just_taken_an_order() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    place_and_wait(&comanda.http(), &shop.order()).await;

    let report = doctor_names(&[comanda.admin_url().to_owned()], &[]).await;

    assert_eq!(report["silent"], Json::Array(Vec::new()));
}

#[tokio::test]
async fn a_process_that_is_not_there_is_named() {
    let (code, report) = operate(&["http://127.0.0.1:1".to_owned()], &["doctor"]).await;

    assert_eq!(code, Some(1));
    assert_eq!(report["silent"][0]["admin"], "http://127.0.0.1:1");
}

#[tokio::test]
async fn a_paused_relay_is_named_and_resumed() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    place_and_wait(&comanda.http(), &shop.order()).await;
    let admin = [comanda.admin_url().to_owned()];

    operate(&admin, &["outbox", "pause", "--service", "order"]).await;
    // The relay notices within a second; until then it publishes.
    let order = eventually(NAMED_WITHIN, async || {
        let order = place(&comanda.http(), &shop.order()).await;
        let (_, outboxes) = operate(&admin, &["outbox", "status", "--service", "order"]).await;
        if outboxes[0]["waiting"].as_array().unwrap().is_empty() {
            Err("it is published".to_owned())
        } else {
            Ok(order)
        }
    })
    .await;
    let report = doctor_names(&admin, &["relay_paused"]).await;
    operate(&admin, &["outbox", "resume", "--service", "order"]).await;
    in_state(&comanda.http(), &order, "APPROVED").await;
    doctor_names(&admin, &[]).await;

    assert_eq!(report["findings"][0]["service"], "order");
    assert!(report["findings"][0]["count"].as_i64().unwrap() > 0, "{report}");
}

#[tokio::test]
async fn a_role_that_is_missing_is_named() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    place_and_wait(&comanda.http(), &shop.order()).await;
    let admin = [comanda.admin_url().to_owned()];

    comanda.roles_stop("restaurant").await;
    let order = place(&comanda.http(), &shop.order()).await;
    let report = doctor_names(&admin, &["consumer_stopped"]).await;
    comanda.roles_start("restaurant").await;
    in_state(&comanda.http(), &order, "APPROVED").await;

    assert_eq!(report["findings"][0]["subject"], "restaurant.commands");
    assert_eq!(report["findings"][0]["role"], "restaurant");
}

#[tokio::test]
async fn a_parked_key_is_named_listed_redriven_and_discarded() {
    let mut comanda = Comanda::empty().await;
    append_poison(&mut comanda, "key", &["first", "second"]).await;
    let admin = [comanda.admin_url().to_owned()];
    let of_consumer = ["--service", "consumer"];
    let run = async |arguments: &[&str]| operate(&admin, &[&["parked"], arguments, &of_consumer].concat()).await;

    doctor_names(&admin, &["parked"]).await;
    let (_, listed) = operate(&admin, &["parked", "list"]).await;
    let messages =
        listed.as_array().unwrap().iter().find(|it| it["service"] == "consumer").unwrap()["messages"].clone();
    let number = messages[0]["number"].as_str().unwrap();
    let (_, hidden) = run(&["show", number]).await;
    let (_, shown) = run(&["show", number, "--payload"]).await;
    let (_, would) = run(&["redrive", "--all", "--dry-run"]).await;
    let (failed, redriven) = run(&["redrive", "--key", "key", "--reason", "to see", "--wait", WAIT]).await;
    let (_, discarded) = run(&["discard", "--key", "key", "--reason", "nobody needs it"]).await;
    doctor_names(&admin, &[]).await;
    let (_, actions) = run(&["actions"]).await;

    assert_eq!(messages.as_array().unwrap().len(), 2);
    assert_eq!((&messages[0]["effectId"], &messages[0]["isFirst"]), (&Json::from("first"), &Json::from(true)));
    assert_eq!((hidden.get("payload"), shown["payload"].is_object()), (None, true));
    assert_eq!(would.as_array().unwrap().len(), 2);
    assert_eq!((failed, &redriven[0]["actions"][0]["failed"]), (Some(1), &Json::from("1")));
    assert_eq!(discarded[0]["actions"][0]["messages"], "2");
    let kinds: Vec<&str> =
        actions[0]["actions"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["DISCARD", "REDRIVE"]);
    assert_eq!(actions[0]["actions"][0]["reason"], "nobody needs it");
}

#[tokio::test]
async fn nothing_is_redriven_or_discarded_by_accident() {
    let comanda = Comanda::empty().await;
    for arguments in [
        &["parked", "redrive", "--service", "order"][..],
        &["parked", "discard", "--service", "order", "--reason", "r"][..],
        &["parked", "discard", "--service", "order", "--all"][..],
    ] {
        let done = command_line(&[arguments, &["--admin", comanda.admin_url()]].concat()).await;

        assert_eq!(done.code, Some(1), "{arguments:?}: {done:?}");
    }
}

/// A platform of many processes, and where operators reach each of them.
async fn stack(env: &[(&str, &str)]) -> (Stack, Vec<String>) {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let stack = Stack::start(&StackOptions { env, ..StackOptions::default() }).await;
    let admin = stack.members().map(|member| stack.admin_url(member)).collect();
    (stack, admin)
}

#[tokio::test]
async fn with_many_processes_relays_are_switched_to_the_log_and_back() {
    if !servers::are_there() {
        return;
    }
    let (stack, admin) = stack(&[]).await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;
    let admin_of = |service| match service {
        "order" => [stack.admin_url(Member::Order)],
        "consumer" => [stack.admin_url(Member::Consumer)],
        _ => [stack.admin_url(Member::Restaurant)],
    };

    for (publisher, is_tailed) in [("tailing", true), ("configured", false)] {
        for service in ["order", "consumer", "restaurant"] {
            let admin = admin_of(service);
            operate(&admin, &["outbox", "publisher", publisher, "--service", service]).await;
            eventually(NAMED_WITHIN, async || {
                let (_, outboxes) = operate(&admin, &["outbox", "status", "--service", service]).await;
                if outboxes[0]["isTailed"].as_bool().unwrap_or_default() == is_tailed {
                    Ok(())
                } else {
                    Err(format!("{outboxes}"))
                }
            })
            .await;
        }
        assert_eq!(place_and_wait(&stack.http(), &shop.order()).await["state"], "APPROVED");
    }

    doctor_names(&admin, &[]).await;
}

/// The services that the findings are about, sorted.
fn services(report: &Json) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    let mut services: Vec<&str> = findings.iter().map(|it| it["service"].as_str().unwrap()).collect();
    services.sort_unstable();
    services
}

#[tokio::test]
async fn with_many_processes_a_broker_that_is_away_is_named() {
    if !servers::are_there() {
        return;
    }
    let (mut stack, admin) = stack(&[]).await;
    doctor_names(&admin, &[]).await;

    stack.nats.kill9();
    doctor_names(&admin, &["broker_unreachable"]).await;
    stack.nats.restart().await;

    doctor_names(&admin, &[]).await;
}

#[tokio::test]
async fn with_many_processes_a_database_that_is_away_is_named_for_each_service() {
    if !servers::are_there() {
        return;
    }
    let (mut stack, admin) = stack(&[]).await;

    stack.postgres.kill9();
    let report = doctor_names(&admin, &["database_unreachable"; 3]).await;
    stack.postgres.restart().await;
    doctor_names(&admin, &[]).await;

    assert_eq!(services(&report), ["consumer", "order", "restaurant"]);
}

#[tokio::test]
async fn with_many_processes_a_database_that_takes_no_writes_is_named() {
    if !servers::are_there() {
        return;
    }
    let (stack, admin) = stack(&[]).await;
    let set = async |value: &str| {
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
        stack.postgres.psql("postgres", &set).await.unwrap();
        stack.postgres.psql("postgres", "SELECT pg_reload_conf()").await.unwrap();
    };

    set("on").await;
    let report = doctor_names(&admin, &["database_read_only"; 3]).await;
    set("off").await;
    doctor_names(&admin, &[]).await;

    assert_eq!(services(&report), ["consumer", "order", "restaurant"]);
}

#[tokio::test]
async fn with_many_processes_a_service_for_which_nobody_publishes_is_named() {
    if !servers::are_there() {
        return;
    }
    let (_stack, admin) = stack(&[("COMANDA_ORDER__OUTBOX__PUBLISHER", "none")]).await;

    let report = doctor_names(&admin, &["no_relay"]).await;

    assert_eq!(services(&report), ["order"]);
}

#[tokio::test]
async fn with_many_processes_a_broker_that_does_not_answer_is_told_from_one_that_is_away() {
    if !servers::are_there() {
        return;
    }
    let (stack, admin) = stack(&[]).await;

    stack.nats.pause();
    doctor_names(&admin, &["broker_refuses"]).await;
    stack.nats.resume();

    doctor_names(&admin, &[]).await;
}

#[tokio::test]
async fn with_many_processes_one_that_is_gone_is_named() {
    if !servers::are_there() {
        return;
    }
    let (mut stack, admin) = stack(&[]).await;

    stack.kill9(Member::Restaurant);
    let (code, report) = operate(&admin, &["doctor"]).await;

    assert_eq!(code, Some(1));
    assert_eq!(report["silent"][0]["admin"], stack.admin_url(Member::Restaurant));
}
