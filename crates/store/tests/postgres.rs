//! What is particular to the PostgreSQL store: its server, the lines to it, and who may use them.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use servers::{Postgres, Proxy};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::{Change, Error, Migration, PostgresConfig, PostgresTls, Statement, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const SQL: &str = "CREATE TABLE item (number BIGINT PRIMARY KEY)";
const ITEMS: &[Migration] = &[Migration { version: 1, name: "items", sqlite: SQL, postgres: Some(SQL) }];
/// Longer than any of these waits on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn at(url: String) -> PostgresConfig {
    PostgresConfig { url, ..PostgresConfig::default() }
}

async fn open(config: &PostgresConfig) -> Store {
    let store = Store::open_postgres(config).await.unwrap();
    store.migrate("items", ITEMS).await.unwrap();
    store
}

/// A store on a new database of the shared server, and the URL of the database; `None` on a machine without PostgreSQL.
async fn shared() -> Option<(Store, String)> {
    if !Postgres::require() {
        return None;
    }
    let url = Postgres::shared().await.database().await;
    Some((open(&at(url.clone())).await, url))
}

fn insert(number: i64) -> Change {
    let mut change = Change::new();
    change.push(Statement::new("INSERT INTO item VALUES (?1)").bind(number));
    change
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store.query(Statement::new(sql)).await.unwrap()[0].take(0).unwrap()
}

async fn count(store: &Store) -> i64 {
    number(store, "SELECT count(*) FROM item").await
}

/// Transactions that have left rows.
async fn transactions(store: &Store) -> i64 {
    number(store, "SELECT count(DISTINCT xmin::TEXT) FROM item").await
}

async fn eventually(mut probe: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !probe().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_come_together_share_transactions() {
    let Some((store, _)) = shared().await else { return };

    let mut commits = JoinSet::new();
    for it in 0..400 {
        let store = store.clone();
        commits.spawn(async move { store.commit(insert(it)).await });
    }
    assert!(commits.join_all().await.iter().all(Result::is_ok));

    let transactions = transactions(&store).await;
    assert!(transactions < 100, "{transactions} transactions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_keeps_alone_shares_its_transaction_with_nobody() {
    let Some((store, _)) = shared().await else { return };

    let mut commits = JoinSet::new();
    for it in 0..40 {
        let (store, mut change) = (store.clone(), insert(it));
        change.keep_alone();
        commits.spawn(async move { store.commit(change).await });
    }
    assert!(commits.join_all().await.iter().all(Result::is_ok));

    assert_eq!(transactions(&store).await, 40);
}

#[tokio::test]
async fn a_server_that_was_restarted_is_used_again_as_if_nothing_had_been() {
    if !Postgres::require() {
        return;
    }
    let mut server = Postgres::start().await;
    let store = open(&at(server.database().await)).await;
    store.commit(insert(1)).await.unwrap();

    server.kill9();
    let written = store.commit(insert(2)).await.unwrap_err();
    let read = store.query(Statement::new("SELECT number FROM item")).await.unwrap_err();
    server.restart().await;

    assert!(written.is_transient() && read.is_transient(), "{written:?} {read:?}");
    assert_eq!(count(&store).await, 1);
    store.commit(insert(3)).await.unwrap();
    assert_eq!(count(&store).await, 2);
}

#[tokio::test]
async fn a_server_that_is_away_or_a_database_that_is_not_there_is_told_apart() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::shared().await;
    let away = Store::open_postgres(&at("postgres://me@127.0.0.1:1/orders".to_owned())).await.unwrap_err();
    let absent = Store::open_postgres(&at(server.url("nowhere"))).await.unwrap_err();

    assert!(away.is_transient(), "{away:?}");
    assert!(!absent.is_transient(), "{absent:?}");
    assert_eq!(away.to_string(), "failed to connect to database orders of 127.0.0.1:1");
}

/// The line is cut while the server is committing, and there is another way to it. Without asking, a caller would be told that nothing
/// was written, and do it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outcome_of_a_commit_is_found_out_when_the_line_was_cut() {
    let Some((store, url)) = shared().await else { return };
    let server = Postgres::shared().await;
    let mut slow = Change::new();
    slow.push(Statement::new(
        "CREATE FUNCTION linger() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'",
    ));
    store.commit(slow).await.unwrap();
    let mut slow = Change::new();
    slow.push(Statement::new(
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger()",
    ));
    store.commit(slow).await.unwrap();
    let proxy = Proxy::start(server.address()).await;
    let both_ways = format!("{},{}", proxy.address(), server.address());
    let through = open(&at(url.replace(&server.address().to_string(), &both_ways))).await;

    let mut committing = JoinSet::new();
    committing.spawn(async move { through.commit(insert(1)).await });
    let is_committing = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
    eventually(async || number(&store, is_committing).await == 1).await;
    proxy.cut();

    let outcome = committing.join_next().await.unwrap().unwrap();
    assert_eq!(outcome.unwrap().rows, [1]);
    assert_eq!(count(&store).await, 1);
}

/// After a crash the server gave the id of a transaction that was lost to another one, whose commit was taken for ours: three of 67,168 orders
/// were acknowledged and not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_a_crash_undid_is_not_taken_for_another_one_with_its_id() {
    if !Postgres::require() {
        return;
    }
    let mut server = Postgres::start().await;
    // Nothing of a transaction reaches the disk before its commit, so that its id is forgotten.
    for sql in ["ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()"] {
        server.psql("postgres", sql).await.unwrap();
    }
    let url = server.database().await;
    let database = url.rsplit('/').next().unwrap().to_owned();
    let store = open(&at(url)).await;
    for sql in [
        "CREATE FUNCTION linger() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
            WHEN (NEW.number = 1) EXECUTE FUNCTION linger()",
    ] {
        let mut change = Change::new();
        change.push(Statement::new(sql));
        store.commit(change).await.unwrap();
    }
    let committing = {
        let store = store.clone();
        let mut committing = JoinSet::new();
        committing.spawn(async move { store.commit(insert(1)).await });
        committing
    };
    let is_committing = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
    eventually(async || number(&store, is_committing).await == 1).await;

    server.kill9();
    server.restart().await;
    for other in 2..40 {
        server.psql(&database, &format!("INSERT INTO item VALUES ({other})")).await.unwrap();
    }

    let outcome = committing.join_all().await.remove(0);
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(number(&store, "SELECT count(*) FROM item WHERE number = 1").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_others_hold_delays_those_who_want_it_and_nobody_else() {
    let Some((store, url)) = shared().await else { return };
    store.commit(insert(1)).await.unwrap();
    let mut other = Postgres::shared().await.session(&url);
    other.say("BEGIN; UPDATE item SET number = 1;").await;
    let waits_in_transaction = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction' AND query LIKE 'UPDATE item%'";
    eventually(async || number(&store, waits_in_transaction).await == 1).await;

    let mut held = Change::new();
    held.push(Statement::new("UPDATE item SET number = 100 WHERE number = 1"));
    let (held, others) = tokio::join!(store.commit(held), async {
        let mut others = JoinSet::new();
        for it in 2..50 {
            let store = store.clone();
            others.spawn(async move { store.commit(insert(it)).await });
        }
        others.join_all().await
    });

    assert!(held.unwrap_err().is_transient());
    assert!(others.iter().all(Result::is_ok), "{others:?}");
}

/// A statement that was planned while its table was empty read all of it ever after, and a service became slower with each order.
#[tokio::test]
async fn a_statement_that_was_planned_on_an_empty_table_uses_its_index_when_the_table_is_full() {
    let Some((store, _)) = shared().await else { return };
    let delete = |number: i64| {
        let mut change = Change::new();
        change.push(Statement::new("DELETE FROM item WHERE number = ?1").bind(number));
        change
    };
    // So often that the server keeps the plan.
    for it in 0..20 {
        store.commit(delete(it)).await.unwrap();
    }
    let mut fill = Change::new();
    fill.push(Statement::new("INSERT INTO item SELECT generate_series(1, 1000)"));
    store.commit(fill).await.unwrap();
    store.commit(delete(1)).await.unwrap();

    let scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'item'";
    let by_index = "SELECT coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'item'";
    eventually(async || number(&store, by_index).await >= 21).await;
    // Its index was built by reading it, once.
    assert!(number(&store, scans).await <= 1);
}

#[tokio::test]
async fn a_server_that_forgets_what_it_acknowledged_is_refused() {
    if !Postgres::require() {
        return;
    }
    for (setting, of) in [("fsync=off", "fsync"), ("synchronous_commit=off", "synchronous_commit")] {
        let server = Postgres::start_with(&[setting]).await;

        let refused = Store::open_postgres(&at(server.database().await)).await.unwrap_err();

        assert!(matches!(&refused, Error::Forgetful { setting, .. } if *setting == of), "{refused:?}");
        assert!(!refused.is_transient());
    }
}

#[tokio::test]
async fn an_inspector_reads_and_changes_nothing() {
    let Some((store, url)) = shared().await else { return };
    store.commit(insert(1)).await.unwrap();

    let inspector = Store::inspect_postgres(&at(url)).await.unwrap();

    assert_eq!(count(&inspector).await, 1);
    assert!(matches!(inspector.commit(insert(2)).await.unwrap_err(), Error::Closed));
    let sneaked = inspector.query(Statement::new("INSERT INTO item VALUES (2) RETURNING number")).await;
    assert!(sneaked.is_err());
    assert_eq!(count(&inspector).await, 1);
}

#[tokio::test]
async fn the_durability_names_the_version_and_the_flush() {
    let Some((store, _)) = shared().await else { return };

    let durability = store.durability();

    assert!(durability.starts_with("PostgreSQL "), "{durability}");
    assert!(durability.ends_with(", fsync=on, synchronous_commit=on"), "{durability}");
}

/// A certificate authority, a certificate of the server and one of the user `certain`.
struct Certificates {
    folder: TempDir,
    server: (String, String),
    ca: String,
}

impl Certificates {
    fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "tests");
        let key = KeyPair::generate().unwrap();
        let ca = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        let issue = |name: &str, hosts: &[String]| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(hosts).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
        };
        let folder = tempfile::tempdir().unwrap();
        let user = issue("certain", &[]);
        for (name, text) in [("ca.pem", &ca), ("user.pem", &user.0), ("user.key", &user.1)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Certificates { server: issue("server", &["127.0.0.1".to_owned(), "localhost".to_owned()]), ca, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn serve(&self) -> Postgres {
        let settings = ["ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.key", "ssl_ca_file=ca.pem"];
        let (certificate, key) = &self.server;
        let files = [("server.pem", certificate.as_str()), ("server.key", key), ("ca.pem", &self.ca)];
        let access = "hostssl all certain 127.0.0.1/32 cert\nhostnossl all certain 127.0.0.1/32 reject\nhost all careful 127.0.0.1/32 scram-sha-256";
        let server = Postgres::start_guarded(&settings, &files, access).await;
        let roles = "CREATE ROLE certain SUPERUSER LOGIN; CREATE ROLE careful SUPERUSER LOGIN PASSWORD 'hunter2'";
        server.psql("postgres", roles).await.unwrap();
        server
    }
}

async fn as_user(server: &Postgres, user: &str) -> PostgresConfig {
    at(server.database().await.replace("//comanda@", &format!("//{user}@")))
}

#[tokio::test]
async fn a_user_with_a_certificate_is_let_in_over_an_encrypted_line_only() {
    if !Postgres::require() {
        return;
    }
    let certificates = Certificates::new();
    let server = certificates.serve().await;
    let plain = as_user(&server, "certain").await;
    let tls = |certificate, key| {
        Some(PostgresTls { ca_file: certificates.file("ca.pem"), certificate_file: certificate, key_file: key })
    };
    let anonymous = PostgresConfig { tls: tls(None, None), ..plain.clone() };
    let certain = PostgresConfig {
        tls: tls(Some(certificates.file("user.pem")), Some(certificates.file("user.key"))),
        ..plain.clone()
    };

    let store = open(&certain).await;
    store.commit(insert(1)).await.unwrap();

    assert_eq!(number(&store, "SELECT ssl::INT FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await, 1);
    assert!(!Store::open_postgres(&plain).await.unwrap_err().is_transient());
    assert!(Store::open_postgres(&anonymous).await.is_err());
}

#[tokio::test]
async fn a_server_whose_certificate_was_made_by_others_is_not_trusted() {
    if !Postgres::require() {
        return;
    }
    let server = Certificates::new().serve().await;
    let others = Certificates::new();
    let tls = PostgresTls { ca_file: others.file("ca.pem"), certificate_file: None, key_file: None };
    let config = PostgresConfig { tls: Some(tls), ..at(server.database().await) };

    assert!(matches!(Store::open_postgres(&config).await.unwrap_err(), Error::Connect { .. }));
}

#[tokio::test]
async fn a_password_comes_from_a_file() {
    if !Postgres::require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path: &Path = folder.path();
        std::fs::write(path.join(name), text).unwrap();
        path.join(name)
    };
    let server = Certificates::new().serve().await;
    let nobody = as_user(&server, "careful").await;
    let with = |name, text| PostgresConfig { password_file: Some(file(name, text)), ..nobody.clone() };

    open(&with("right", "hunter2\n")).await.commit(insert(1)).await.unwrap();

    let wrong = Store::open_postgres(&with("wrong", "hunter3")).await.unwrap_err();
    assert!(matches!(wrong, Error::Connect { is_transient: false, .. }), "{wrong:?}");
}
