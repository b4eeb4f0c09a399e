//! A newsletter: who signs up is written down and welcomed, in that order, once, and whatever is killed meanwhile.
//!
//! `cargo run -p outbox --example newsletter -- ada@example.org` keeps its data in files of the folder it runs in.

use lifecycle::Tasks;
use messaging::{Bus, Channel, Embedded, Keeps, Message};
use outbox::{Config, Consumer, Handle, Metrics, Outcome};
use std::path::Path;
use std::time::Duration;
use store::{Change, Migration, Statement, Store};
use tokio::sync::mpsc;

const CHANNELS: &[Channel] = &[Channel { name: "welcomes", keeps: Keeps::UntilAcknowledged, consumers: &["mailer"] }];
const READERS: &str = "CREATE TABLE reader (email TEXT PRIMARY KEY)";
const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "readers", sqlite: READERS, postgres: Some(READERS) }];

/// Sends mail. It may see a message twice, and late.
struct Mailer(mpsc::Sender<String>);

impl Handle for Mailer {
    async fn handle(&self, welcome: &Message) -> Outcome {
        match self.0.send(welcome.key.clone()).await {
            Ok(()) => Outcome::Done,
            Err(closed) => Outcome::Retry { after: Duration::from_secs(1), why: closed.to_string() },
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let email = std::env::args().nth(1).ok_or("usage: newsletter EMAIL")?;
    let store = Store::open_sqlite(Path::new("newsletter.db"), &store::Config::default())?;
    outbox::migrate(&store).await?;
    store.migrate("newsletter", MIGRATIONS).await?;
    let channels = Store::open_sqlite(Path::new("channels.db"), &store::Config::default())?;
    let bus = Bus::Embedded(Embedded::open(channels, CHANNELS).await?);

    let (mailer, mut sent) = mpsc::channel(1);
    let (config, metrics, mut tasks) = (Config::default(), Metrics::default(), Tasks::new());
    let consumer = Consumer { name: "mailer", store: store.clone(), config: config.clone(), metrics: metrics.clone() };
    let welcomes = bus.subscribe("welcomes", "mailer").await?;
    tasks.spawn("mailer", outbox::consume(welcomes, consumer, Mailer(mailer), tasks.drain_request()));
    tasks.spawn("relay", outbox::relay(store.clone(), bus, config, metrics, tasks.drain_request()));

    // One transaction: the reader is written down and the message will be published, or neither.
    let mut sign_up = Change::new();
    let insert = Statement::new("INSERT INTO reader (email) VALUES (?1) ON CONFLICT DO NOTHING").bind(email.as_str());
    sign_up.push(insert.expecting(1, "nobody has signed up with this address"));
    outbox::append(
        &mut sign_up,
        &Message::new("welcomes", "Welcome", email.clone(), format!("{email}:Welcome"), vec![]),
    );
    store.commit(sign_up).await?;

    println!("welcomed {}", sent.recv().await.ok_or("the mailer has ended")?);
    tasks.drain(Duration::from_secs(5)).await?;
    Ok(())
}
