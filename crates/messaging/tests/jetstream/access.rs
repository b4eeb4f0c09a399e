//! Servers that ask who is there, and forbid things.

use crate::jwt::Operator;
use crate::support::{
    CHANNELS, Folder, PATIENCE, chain, connect, eventually, order, publish_all, settings, subscribe, take_until,
};
use messaging::{Bus, Error, JetStream, JetStreamConfig};
use nkeys::KeyPair;
use servers::Nats;
use tokio::time::Instant;

/// Publishes and receives one message.
async fn works(bus: &Bus) {
    publish_all(bus, &[order("1")]).await;
    assert_eq!(take_until(&mut subscribe(bus, "kitchen").await, "1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_known_by_a_password_which_is_read_again_when_it_was_wrong() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::start_with("authorization { user: order, password: \"right\" }").await;
    let folder = Folder::new();
    let password_file = Some(folder.write("password", "wrong\n"));
    let user = Some("order".to_owned());
    let bus = connect(&JetStreamConfig { user, password_file, ..settings(vec![nats.url()]) }).await;

    let refused = bus.publish(&[order("1")]).await.unwrap_err();
    assert!(refused.is_transient());
    assert!(chain(&refused).contains("authorization violation"), "{}", chain(&refused));
    eventually(async || match bus.durability() {
        text if text.contains("authorization violation") => Ok(()),
        text => Err(text),
    })
    .await;
    folder.write("password", "right\n");

    works(&bus).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_known_by_an_nkey() {
    if !Nats::require() {
        return;
    }
    let user = KeyPair::new_user();
    let nats = Nats::start_with(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key())).await;
    let folder = Folder::new();
    let nkey_seed_file = Some(folder.write("seed", &format!("{}\n", user.seed().unwrap())));

    works(&connect(&JetStreamConfig { nkey_seed_file, ..settings(vec![nats.url()]) }).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_known_by_credentials() {
    if !Nats::require() {
        return;
    }
    let operator = Operator::new();
    let nats = Nats::start_with(&operator.settings).await;
    let folder = Folder::new();
    let credentials_file = Some(folder.write("order.creds", &operator.credentials()));
    let bus = connect(&JetStreamConfig { credentials_file, ..settings(vec![nats.url()]) }).await;

    works(&bus).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_at_the_start() {
    let folder = Folder::new();
    let nowhere = vec!["nats://127.0.0.1:1".to_owned()];
    let missing = JetStreamConfig { nkey_seed_file: Some("/nowhere/seed".into()), ..settings(nowhere.clone()) };
    let garbage = Some(folder.write("order.creds", "-----BEGIN NATS USER JWT-----\n"));
    let garbage = JetStreamConfig { credentials_file: garbage, ..settings(nowhere) };

    for (config, file) in [(missing, "/nowhere/seed"), (garbage, "order.creds")] {
        let refused = JetStream::connect(&config, CHANNELS).await.unwrap_err();
        assert!(matches!(refused, Error::File { .. }), "{refused:?}");
        assert!(refused.to_string().ends_with(file), "{refused}");
    }
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let refused_of = async |config: JetStreamConfig| match JetStream::connect(&config, CHANNELS).await {
        Err(Error::Settings { what }) => what,
        other => panic!("{other:?}"),
    };
    let nowhere = || settings(vec!["nats://127.0.0.1:1".to_owned()]);

    let two_identities =
        JetStreamConfig { credentials_file: Some("creds".into()), nkey_seed_file: Some("seed".into()), ..nowhere() };
    let secret_in_address =
        JetStreamConfig { servers: vec!["nats://order:secret@127.0.0.1:1".to_owned()], ..nowhere() };
    let no_address = JetStreamConfig { servers: vec!["nats://[".to_owned()], ..nowhere() };

    assert!(refused_of(two_identities).await.contains("only one of user"));
    assert!(!refused_of(secret_in_address).await.contains("secret"));
    assert!(refused_of(no_address).await.starts_with("servers"));
}

/// A server whose user `order` may do everything but publish to some subjects.
async fn forbidding(subjects: &str, folder: &Folder) -> (Nats, JetStreamConfig) {
    let user = format!("{{ user: order, password: \"right\", permissions: {{ publish: {{ deny: [{subjects}] }} }} }}");
    let nats = Nats::start_with(&format!("authorization {{ users: [ {user} ] }}")).await;
    let (user, password_file) = (Some("order".to_owned()), Some(folder.write("password", "right")));
    let config = JetStreamConfig { user, password_file, ..settings(vec![nats.url()]) };
    (nats, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_to_publish_is_named_at_once() {
    if !Nats::require() {
        return;
    }
    let folder = Folder::new();
    let (_nats, config) = forbidding("\"*.orders.*\"", &folder).await;
    let bus = connect(&config).await;

    let began = Instant::now();
    let refused = bus.publish(&[order("1")]).await.unwrap_err();

    assert!(refused.is_transient() && began.elapsed() < PATIENCE / 2);
    assert!(chain(&refused).contains("NATS forbids it: Permissions Violation for Publish to"), "{}", chain(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_to_make_a_stream_is_named_at_once() {
    if !Nats::require() {
        return;
    }
    let folder = Folder::new();
    let (_nats, config) = forbidding("\"$JS.API.STREAM.>\"", &folder).await;
    let bus = connect(&config).await;

    let refused = bus.publish(&[order("1")]).await.unwrap_err();

    assert!(chain(&refused).contains("NATS forbids it: Permissions Violation for Publish to \"$JS.API.STREAM.INFO"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_to_consume_shows_in_what_the_bus_says_of_itself() {
    if !Nats::require() {
        return;
    }
    for subjects in ["\"$JS.API.CONSUMER.CREATE.>\"", "\"$JS.API.CONSUMER.MSG.NEXT.>\"", "\"$JS.ACK.>\""] {
        let folder = Folder::new();
        let (_nats, config) = forbidding(subjects, &folder).await;
        let bus = connect(&config).await;
        bus.publish(&[order("1")]).await.unwrap();
        let mut subscription = subscribe(&bus, "kitchen").await;

        let complained = eventually(async || match bus.durability() {
            text if text.contains("Permissions Violation for Publish to \"$JS.") => Ok(()),
            text => Err(text),
        });

        tokio::select! {
            () = complained => {}
            () = async { loop { subscription.next().await.unwrap().acknowledge() } } => {}
        }
    }
}
