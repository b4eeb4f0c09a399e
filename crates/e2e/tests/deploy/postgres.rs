//! One database for each service, and nobody else in it.

use crate::file;
use servers::{Postgres, Program};
use std::process::Stdio;
use tokio::process::Command;
use tokio::sync::OnceCell;

const SERVICES: [&str; 3] = ["order", "consumer", "restaurant"];

/// Runs `deploy/postgres/databases.sql` with the password `secret of NAME` for each of these; the complaint, if there is one.
async fn set_up(postgres: &Postgres, named: &[&str]) -> Result<(), String> {
    let mut psql = Command::new(Program::Postgres("psql").path());
    psql.args(["-X", "-q", &postgres.url("postgres"), "--file"])
        .arg(file("postgres/databases.sql"))
        .stdin(Stdio::null());
    for name in named {
        psql.env(format!("POSTGRES_{}_PASSWORD", name.to_uppercase()), format!("secret of {name}"));
    }
    let done = psql.output().await.expect("psql can be run");
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

/// One server for the tests that ask who may do what, once he is in.
async fn shared() -> &'static Postgres {
    static READY: OnceCell<()> = OnceCell::const_new();
    let postgres = Postgres::shared().await;
    let ready = async || set_up(postgres, &["order", "consumer", "restaurant", "relay"]).await.expect("it is set up");
    READY.get_or_init(ready).await;
    postgres
}

/// What SQL says to a role in a database; the error is the server's.
async fn ask(postgres: &Postgres, role: &str, database: &str, sql: &str) -> Result<String, String> {
    ask_with(postgres, role, &format!("secret of {role}"), database, sql).await
}

async fn ask_with(
    postgres: &Postgres,
    role: &str,
    password: &str,
    database: &str,
    sql: &str,
) -> Result<String, String> {
    let mut psql = Command::new(Program::Postgres("psql").path());
    let url = format!("postgres://comanda_{role}@{}/comanda_{database}", postgres.address());
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", &url, "-c", sql]).stdin(Stdio::null());
    let done = psql.env("PGPASSWORD", password).output().await.expect("psql can be run");
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

#[tokio::test]
async fn a_service_connects_to_its_own_database_and_to_no_other() {
    if !servers::are_there() {
        return;
    }
    let postgres = shared().await;

    for role in SERVICES {
        for database in SERVICES {
            let asked = ask(postgres, role, database, "CREATE TEMPORARY TABLE mine (id INT)").await;

            match role == database {
                true => assert_eq!(asked, Ok(String::new()), "{role}"),
                false => assert!(asked.unwrap_err().contains("permission denied for database"), "{role} in {database}"),
            }
        }
    }
}

#[tokio::test]
async fn what_the_relay_makes_in_a_database_belongs_to_its_service() {
    if !servers::are_there() {
        return;
    }
    let postgres = shared().await;

    for service in SERVICES {
        ask(postgres, "relay", service, "CREATE TABLE made_by_the_relay (id INT)").await.unwrap();

        let dropped = ask(postgres, service, service, "DROP TABLE made_by_the_relay").await;
        assert_eq!(dropped, Ok(String::new()), "{service}");
    }
}

#[tokio::test]
async fn it_can_be_set_up_again_with_other_passwords_and_not_without() {
    if !servers::are_there() {
        return;
    }
    let postgres = shared().await;

    assert_eq!(set_up(postgres, &["order", "consumer", "restaurant", "relay"]).await, Ok(()));

    let complaint = set_up(postgres, &["order", "restaurant", "relay"]).await.unwrap_err();
    assert!(complaint.contains("no password is given for comanda_consumer"), "{complaint}");
}

#[tokio::test]
async fn only_who_knows_the_password_gets_in_and_nobody_by_another_way() {
    if !servers::are_there() {
        return;
    }
    let mut postgres = Postgres::start_with(&["fsync=off"]).await;
    set_up(&postgres, &["order", "consumer", "restaurant", "relay"]).await.unwrap();
    let rules = tempfile::NamedTempFile::new().unwrap();
    // With the permissions of the file that is copied, which everybody may read.
    std::fs::copy(file("postgres/pg_hba.conf"), rules.path()).unwrap();
    let set = format!("ALTER SYSTEM SET hba_file = '{}'", rules.path().display());
    postgres.psql("postgres", &set).await.unwrap();
    postgres.stop();
    postgres.restart().await;

    assert_eq!(ask(&postgres, "order", "order", "SELECT current_user").await.as_deref(), Ok("comanda_order"));
    assert_eq!(ask(&postgres, "relay", "order", "SELECT current_user").await.as_deref(), Ok("comanda_order"));
    let guessed = ask_with(&postgres, "order", "guessed", "order", "SELECT 1").await.unwrap_err();
    assert!(guessed.contains("password authentication failed"), "{guessed}");
    let other = ask(&postgres, "order", "consumer", "SELECT 1").await.unwrap_err();
    assert!(other.contains("no pg_hba.conf entry"), "{other}");
}
