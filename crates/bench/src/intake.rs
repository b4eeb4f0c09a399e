//! How many orders per second are taken, durably.
//!
//! What is measured is the real use case, called in process through its generated client. Its peers write the same rows with the same
//! statements, one transaction for each order: pgbench on the same PostgreSQL server, and a bare loop on a SQLite file. Nobody publishes
//! what is written, on either side. Runs alternate, and the order within a pair too, so that what disturbs one disturbs the other.

mod bare_sqlite;
mod house;
mod pgbench;
mod rows;

use crate::Measured;
use crate::report::{Metric, OURS, Report};
use crate::usage::Usage;
use clap::{Args, ValueEnum};
use house::House;
use pgbench::Pgbench;
use rows::{Sample, Weight};
use servers::Postgres;
use std::time::Duration;
use store::{PostgresConfig, Store};

const ORDERS: Metric = Metric { name: "orders_per_second", unit: "1/s" };
const CLIENT_CPU: Metric = Metric { name: "client_cpu_per_order", unit: "us" };
const SERVER_CPU: Metric = Metric { name: "server_cpu_per_order", unit: "us" };

/// How the intake is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Three short runs.
    #[arg(long)]
    quick: bool,
    /// Runs of each case; at least five are needed for figures to be quoted.
    #[arg(long)]
    runs: Option<u32>,
    /// Seconds of a run.
    #[arg(long)]
    seconds: Option<u32>,
    /// Clients at once, instead of 1, 8, 32 and 128 with PostgreSQL, and of 1 and 64 with SQLite.
    #[arg(long, value_delimiter = ',')]
    clients: Vec<u32>,
    /// Only one of the databases.
    #[arg(long)]
    only: Option<Database>,
    /// Connections of the store that write.
    #[arg(long)]
    writers: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Postgres,
    Sqlite,
}

impl Arguments {
    fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 3 } else { 5 })
    }

    /// pgbench takes whole seconds. Its many clients prepare their statements first, which must not be a large part of a run.
    fn seconds(&self, clients: u32) -> u32 {
        let short = if clients > 32 { 2 } else { 1 };
        self.seconds.unwrap_or(if self.quick { short } else { 5 })
    }

    fn clients(&self, of_the_house: &[u32]) -> Vec<u32> {
        if self.clients.is_empty() { of_the_house.to_vec() } else { self.clients.clone() }
    }

    fn wants(&self, database: Database) -> bool {
        self.only.is_none_or(|only| only == database)
    }
}

pub(crate) async fn measure(arguments: &Arguments) -> Measured<Report> {
    let mut report = Report::new("intake");
    if arguments.wants(Database::Postgres) {
        measure_postgres(arguments, &mut report).await?;
    }
    if arguments.wants(Database::Sqlite) {
        measure_sqlite(arguments, &mut report).await?;
    }
    Ok(report)
}

async fn measure_postgres(arguments: &Arguments, report: &mut Report) -> Measured<()> {
    let server = Postgres::start().await;
    let house = House::open(postgres(&server, arguments).await?).await?;
    let sample = Sample::take(&house).await?;
    let pgbench = Pgbench::new(&server, postgres(&server, arguments).await?, &sample).await?;
    for run in 0..arguments.runs() {
        for clients in arguments.clients(&[1, 8, 32, 128]) {
            let case = case(clients);
            let within = Duration::from_secs(arguments.seconds(clients).into());
            for subject in in_turn(run, [OURS, pgbench::SUBJECT]) {
                let before = (Usage::own().cpu, server_cpu(&server));
                let (rate, orders) = match subject {
                    OURS => house.take_orders(clients, within).await?,
                    _ => pgbench.run(clients, within).await?,
                };
                let per_order = |used: Duration| used.as_secs_f64() * 1e6 / orders as f64;
                report.note(&case, ORDERS, subject, rate);
                report.note(&case, SERVER_CPU, subject, per_order(server_cpu(&server).saturating_sub(before.1)));
                if subject == OURS {
                    report.note(&case, CLIENT_CPU, subject, per_order(Usage::own().cpu.saturating_sub(before.0)));
                }
            }
            Weight::of(house.store()).await?.must_equal(&Weight::of(pgbench.store()).await?)?;
            rows::empty(house.store()).await?;
            rows::empty(pgbench.store()).await?;
        }
    }
    house.close().await
}

async fn measure_sqlite(arguments: &Arguments, report: &mut Report) -> Measured<()> {
    for run in 0..arguments.runs() {
        for clients in arguments.clients(&[1, 64]) {
            let case = format!("{} SQLite", case(clients));
            let within = Duration::from_secs(arguments.seconds(1).into());
            let folder = tempfile::tempdir()?;
            let open = |name: &str| Store::open_sqlite(&folder.path().join(name), &store::Config::default());
            let house = House::open(open("ours.db")?).await?;
            let sample = Sample::take(&house).await?;
            let peer = folder.path().join("bare.db");
            order::migrate(&open("bare.db")?).await?;
            for subject in in_turn(run, [OURS, bare_sqlite::SUBJECT]) {
                let rate = match subject {
                    OURS => house.take_orders(clients, within).await?.0,
                    _ => bare_sqlite::run(&peer, &sample, within)?,
                };
                report.note(&case, ORDERS, subject, rate);
            }
            Weight::of(house.store()).await?.must_equal(&Weight::of(&Store::inspect_sqlite(&peer)?).await?)?;
            house.close().await?;
        }
    }
    Ok(())
}

/// A store on a new database, over the server's unix socket.
async fn postgres(server: &Postgres, arguments: &Arguments) -> Measured<Store> {
    let config = PostgresConfig::default();
    let url = over_the_socket(server, &server.database().await);
    let config = PostgresConfig { url, writers: arguments.writers.unwrap_or(config.writers), ..config };
    Ok(Store::open_postgres(&config).await?)
}

/// The URL of a database as it is reached over the unix socket.
fn over_the_socket(server: &Postgres, url: &str) -> String {
    let (before, database) = url.rsplit_once('/').unwrap_or_default();
    let user = before.split(['/', '@']).nth(2).unwrap_or_default();
    let folder = server.socket_dir().display().to_string().replace('/', "%2F");
    format!("postgres://{user}@{folder}:{}/{database}", server.port())
}

fn server_cpu(server: &Postgres) -> Duration {
    server.pid().map(|id| Usage::of_family(id).cpu).unwrap_or_default()
}

fn case(clients: u32) -> String {
    if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") }
}

/// Both subjects, in the order of this run.
fn in_turn(run: u32, subjects: [&'static str; 2]) -> [&'static str; 2] {
    let [first, second] = subjects;
    if run.is_multiple_of(2) { [first, second] } else { [second, first] }
}
