//! A user of NATS for each process, who may do what it needs and nothing else.

use crate::{file, text};
use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::ContextBuilder;
use e2e::{Shop, consumer, place_and_wait, restaurant};
use futures_util::StreamExt;
use futures_util::future::join_all;
use messaging::jetstream::{Bucket, BucketConfig};
use messaging::{Bus, Channel, JetStream, JetStreamConfig, JetStreamTls, Keeps, Message};
use proto::channel;
use servers::{Nats, Program};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use testkit::{Member, Stack, StackOptions, command_line, eventually};
use tokio::process::Command;
use tokio::time::timeout;

const USERS: [&str; 7] = ["order", "consumer", "restaurant", "relay", "gateway", "shop", "operator"];
/// Longer than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);
const ROLES: [&str; 5] = ["consumer", "restaurant", "order", "relay", "gateway"];

/// A channel, who publishes to it beside the operator, and who reads it.
struct Use {
    channel: &'static str,
    publishers: &'static [&'static str],
    reader: &'static str,
    consumer: &'static str,
}

const USES: [Use; 5] = [
    Use {
        channel: channel::CONSUMER_COMMANDS,
        publishers: &["order", "relay"],
        reader: "consumer",
        consumer: "consumer",
    },
    Use {
        channel: channel::RESTAURANT_COMMANDS,
        publishers: &["order", "relay"],
        reader: "restaurant",
        consumer: "restaurant",
    },
    Use {
        channel: channel::ORDER_REPLIES,
        publishers: &["consumer", "restaurant", "relay"],
        reader: "order",
        consumer: "order",
    },
    Use {
        channel: channel::RESTAURANT_EVENTS,
        publishers: &["restaurant", "relay"],
        reader: "order",
        consumer: "order-replica",
    },
    Use { channel: channel::ORDER_COMMANDS, publishers: &["shop"], reader: "order", consumer: "order-commands" },
];

/// What the Order Service says to the world outside: the channel, and who publishes to it.
const OUTWARD: [(&str, &[&str]); 2] =
    [(channel::ORDER_ANSWERS, &["order", "relay"]), (channel::ORDER_EVENTS, &["order", "relay"])];

const CHANNELS: &[Channel] = &[
    at(channel::CONSUMER_COMMANDS, &["consumer"]),
    at(channel::RESTAURANT_COMMANDS, &["restaurant"]),
    at(channel::ORDER_REPLIES, &["order"]),
    at(channel::RESTAURANT_EVENTS, &["order-replica"]),
    at(channel::ORDER_COMMANDS, &["order-commands"]),
    at(channel::ORDER_ANSWERS, &[]),
    at(channel::ORDER_EVENTS, &[]),
];

const fn at(name: &'static str, consumers: &'static [&'static str]) -> Channel {
    Channel { name, keeps: Keeps::UntilAcknowledged, consumers }
}

/// `deploy/nats/accounts.conf`, where the password of `order` is `secret of order`.
fn accounts() -> String {
    let secret = |text: String, user: &&str| {
        text.replace(&format!("$NATS_{}_PASSWORD", user.to_uppercase()), &format!("\"secret of {user}\""))
    };
    USERS.iter().fold(text("nats/accounts.conf"), secret)
}

/// A folder with the password of each user in a file called like him.
fn passwords() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for user in USERS {
        std::fs::write(folder.path().join(user), format!("secret of {user}"))
            .expect("a temporary folder can be written");
    }
    folder
}

/// The bus as this user sees it.
async fn bus_of(nats: &Nats, folder: &Path, user: &str) -> Bus {
    bus_for(nats, folder, user, true).await
}

/// The same for something that he may do or not: what he must not do is not answered, and not worth a long wait.
async fn bus_for(nats: &Nats, folder: &Path, user: &str, may_do_it: bool) -> Bus {
    let config = settings_of(nats, folder, user, may_do_it);
    Bus::JetStream(JetStream::connect(&config, CHANNELS).await.expect("the settings are right"))
}

fn settings_of(nats: &Nats, folder: &Path, user: &str, may_do_it: bool) -> JetStreamConfig {
    let timeout_ms = if may_do_it { 10_000 } else { 500 };
    JetStreamConfig {
        servers: nats.urls(),
        name: user.to_owned(),
        user: Some(user.to_owned()),
        password_file: Some(folder.join(user)),
        publish_timeout_ms: timeout_ms,
        request_timeout_ms: timeout_ms,
        ..JetStreamConfig::default()
    }
}

fn message(channel: &str, by: &str) -> Message {
    Message::new(channel, "comanda.Test", by.to_owned(), by.to_owned(), Vec::new())
}

/// A broker that has a message in every channel, and the operator's view of it.
async fn broker(folder: &Path) -> (Nats, Bus) {
    let nats = Nats::start_with(&accounts()).await;
    let operator = bus_of(&nats, folder, "operator").await;
    for channel in CHANNELS {
        operator.publish(&[message(channel.name, "operator")]).await.expect("the operator may do everything");
    }
    (nats, operator)
}

#[tokio::test]
async fn the_gateway_keeps_answers_in_its_bucket_and_nobody_else_reads_them() {
    if !servers::are_there() {
        return;
    }
    let folder = passwords();
    let nats = Nats::start_with(&accounts()).await;
    let config = BucketConfig { name: "comanda_answers".to_owned(), kept: Duration::from_secs(60), bytes_max: 1 << 20 };
    let gateway = settings_of(&nats, folder.path(), "gateway", true);
    let bucket = Bucket::open(&gateway, config.clone()).await.expect("the settings are right");

    let first = bucket.create("key", "a".into()).await.expect("it may").expect("there is no such key");
    let second = bucket.update("key", "b".into(), first).await.expect("it may").expect("nobody else has written");
    assert_eq!(bucket.get("key").await.expect("it may"), Some(("b".into(), second)));
    bucket.delete("key", second).await.expect("it may");

    let shop = settings_of(&nats, folder.path(), "shop", false);
    let bucket = Bucket::open(&shop, config).await.expect("the settings are right");
    assert!(bucket.get("key").await.is_err() && bucket.create("key", "c".into()).await.is_err());
}

#[tokio::test]
async fn a_user_publishes_to_his_channels_and_to_no_others() {
    if !servers::are_there() {
        return;
    }
    let folder = passwords();
    let (nats, operator) = broker(folder.path()).await;
    let publishers: Vec<(&str, &[&str])> = USES.iter().map(|it| (it.channel, it.publishers)).chain(OUTWARD).collect();

    let users = USERS.iter().filter(|user| **user != "operator");
    join_all(users.flat_map(|user| publishers.iter().map(move |it| (user, it))).map(async |(user, it)| {
        let (channel, may_publish) = (it.0, it.1.contains(user));
        let bus = bus_for(&nats, folder.path(), user, may_publish).await;
        let published = bus.publish(&[message(channel, user)]).await;
        assert_eq!(published.is_ok(), may_publish, "{user} to {channel}: {published:?}");
    }))
    .await;

    for (channel, publishers) in publishers {
        let kept = operator.incarnation(channel).await.unwrap().map(|it| it.last_sequence);
        assert_eq!(kept, Some(1 + publishers.len() as u64), "{channel}");
    }
}

#[tokio::test]
async fn a_user_reads_his_channels_and_no_others() {
    if !servers::are_there() {
        return;
    }
    let folder = passwords();
    let (nats, _operator) = broker(folder.path()).await;

    join_all(ROLES.iter().flat_map(|user| USES.iter().map(move |it| (user, it))).map(async |(user, it)| {
        let may_read = *user == it.reader;
        let bus = bus_for(&nats, folder.path(), user, may_read).await;
        let mut subscription = bus.subscribe(it.channel, it.consumer).await.unwrap();
        if may_read {
            let first = timeout(WITHIN, subscription.next()).await.expect("it comes").unwrap();
            assert_eq!(first.message().key, "operator");
        } else {
            let complaint = || format!("{user} was not refused {}", it.channel);
            eventually(WITHIN, async || was_refused(&nats.log(), user, it).then_some(()).ok_or_else(complaint)).await;
        }
    }))
    .await;
}

/// Whether NATS has logged that it kept a user from using a consumer: from making it, or from asking for messages if it was there.
fn was_refused(log: &str, user: &str, Use { channel, consumer, .. }: &Use) -> bool {
    let stream = channel.to_uppercase().replace('.', "_");
    let requests =
        ["CREATE", "MSG.NEXT"].map(|verb| format!("\"$JS.API.CONSUMER.{verb}.COMANDA_{stream}.{consumer}\""));
    let mut lines = log.lines().filter(|line| line.contains(&format!("/user:{user}\" - Publish Violation")));
    lines.any(|line| requests.iter().any(|request| line.ends_with(request)))
}

#[tokio::test]
async fn a_client_outside_reads_what_is_answered_to_it_and_not_to_others() {
    if !servers::are_there() {
        return;
    }
    let folder = passwords();
    let (nats, operator) = broker(folder.path()).await;
    operator.publish(&["other", "shop"].map(|address| message(channel::ORDER_ANSWERS, address))).await.unwrap();
    let options = ConnectOptions::with_user_and_password("shop".to_owned(), "secret of shop".to_owned());
    let client = options.custom_inbox_prefix("_INBOX.shop").connect(nats.url()).await.unwrap();
    // What it must not do is not answered.
    let jetstream = ContextBuilder::new().timeout(Duration::from_secs(1)).build(client);
    let stream = jetstream.get_stream("COMANDA_ORDER_ANSWERS").await.unwrap();
    let to = |name: &str, address: &str| pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: format!("comanda.order.answers.{address}"),
        ..pull::Config::default()
    };

    for other in [to("shop", "other"), to("shop", "*"), to("other", "other")] {
        assert!(stream.create_consumer(other.clone()).await.is_err(), "{other:?}");
    }

    let consumer = stream.create_consumer(to("shop", "shop")).await.unwrap();
    let answers = consumer.fetch().max_messages(9).messages().await.unwrap();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().subject.to_string()).collect().await;
    assert_eq!(answers, ["comanda.order.answers.shop"]);
}

/// That each process may do what it needs shows only when all of them do it.
#[tokio::test]
async fn an_order_is_approved_by_processes_that_may_do_no_more() {
    if !servers::are_there() {
        return;
    }
    let folder = passwords();
    let setting =
        |role: &'static str, key: &str, value: String| (role, format!("COMANDA_BUS__JETSTREAM__{key}"), value);
    let settings = |role| {
        let password = folder.path().join(role).display().to_string();
        [
            setting(role, "NAME", role.to_owned()),
            setting(role, "USER", role.to_owned()),
            setting(role, "PASSWORD_FILE", password),
        ]
    };
    let env_of_role = ROLES.into_iter().flat_map(settings).collect();
    let options = StackOptions { relays: 1, nats_settings: accounts(), env_of_role, ..StackOptions::default() };
    let stack = Stack::start(&options).await;
    let shop = Shop::open_with(&stack.http(), &restaurant(), &consumer()).await;

    assert_eq!(place_and_wait(&stack.http(), &shop.order()).await["state"], "APPROVED");

    for member in [Member::Order, Member::Relay(1), Member::Gateway] {
        let healthy = command_line(&["doctor", "--admin", &stack.admin_url(member)]).await;
        assert_eq!(healthy.code, Some(0), "{member}: {}", healthy.stdout);
    }
    let log = stack.nats.log();
    let violations: Vec<&str> = log.lines().filter(|it| it.contains("Violation")).collect();
    assert!(violations.is_empty(), "{violations:?}");
}

/// A certificate for this machine that vouches for itself, and its key, as files of a folder.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("the name is valid");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("a temporary folder can be written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a temporary folder can be written");
    (certificate, key)
}

#[tokio::test]
async fn a_server_with_tls_is_reached_by_who_knows_its_certificate_and_by_nobody_else() {
    if !servers::are_there() {
        return;
    }
    let folder = passwords();
    let (certificate, key) = certificate(folder.path());
    let tls = text("nats/server-tls.conf").replace("include ./server.conf", "");
    let tls = tls.replace("$NATS_TLS_CERTIFICATE", &format!("{certificate:?}"));
    let tls = tls.replace("$NATS_TLS_KEY", &format!("{key:?}"));
    let nats = Nats::start_with(&(accounts() + &tls)).await;
    let bus = async |tls, may_do_it| {
        let config = JetStreamConfig { tls, ..settings_of(&nats, folder.path(), "order", may_do_it) };
        Bus::JetStream(JetStream::connect(&config, CHANNELS).await.unwrap())
    };
    let message = message(channel::ORDER_EVENTS, "order");

    let knows = Some(JetStreamTls { ca_file: Some(certificate), ..JetStreamTls::default() });
    bus(knows, true).await.publish(std::slice::from_ref(&message)).await.unwrap();

    assert!(bus(None, false).await.publish(&[message]).await.is_err());
}

#[tokio::test]
async fn every_configuration_is_valid() {
    if !servers::are_there() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (certificate, key) = certificate(folder.path());
    for name in ["server.conf", "server-tls.conf", "cluster.conf", "cluster-tls.conf"] {
        let mut nats = Command::new(Program::NatsServer.path());
        nats.arg("-t").arg("--config").arg(file("nats").join(name)).stdin(Stdio::null());
        nats.env("NATS_NAME", "n1").env("NATS_LISTEN", "127.0.0.1:0").env("NATS_MONITOR", "127.0.0.1:0");
        nats.env("NATS_STORE", folder.path()).env("NATS_ROUTES_LISTEN", "127.0.0.1:0");
        nats.env("NATS_ROUTES", "[nats://route:secret@127.0.0.1:1, nats://route:secret@127.0.0.1:2]");
        nats.env("NATS_TLS_CERTIFICATE", &certificate).env("NATS_TLS_KEY", &key).env("NATS_TLS_CA", &certificate);
        for user in USERS.iter().chain(&["route"]) {
            nats.env(format!("NATS_{}_PASSWORD", user.to_uppercase()), "secret");
        }

        let checked = nats.output().await.unwrap();

        assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}
