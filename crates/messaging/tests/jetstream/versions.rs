//! Servers that are too old.

use crate::support::{CHANNELS, chain, settings};
use messaging::{Error, JetStream};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that greets with a version and says no more than that it is there. It ends with the tasks.
async fn greeter(tasks: &mut JoinSet<()>, version: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            // A client that has heard enough leaves.
            drop(greet(client, version).await);
        }
    });
    address
}

async fn greet(mut client: TcpStream, version: &str) -> std::io::Result<()> {
    let greeting = format!(
        r#"INFO {{"server_id":"S","server_name":"n1","version":"{version}","proto":1,"go":"go1","host":"127.0.0.1","port":4222,"headers":true,"max_payload":8388608,"jetstream":true}}"#
    );
    client.write_all(format!("{greeting}\r\n").as_bytes()).await?;
    let (reads, mut writes) = client.split();
    let mut lines = BufReader::new(reads).lines();
    while let Some(line) = lines.next_line().await? {
        if line == "PING" {
            writes.write_all(b"PONG\r\n").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_at_the_start() {
    let mut tasks = JoinSet::new();
    let address = greeter(&mut tasks, "2.11.15").await;

    let refused = JetStream::connect(&settings(vec![format!("nats://{address}")]), CHANNELS).await.unwrap_err();

    assert!(matches!(refused, Error::SetUp { is_transient: false, .. }), "{refused:?}");
    assert!(chain(&refused).contains("NATS server 2.11.15 is too old: at least 2.12 is needed"), "{}", chain(&refused));
}

#[tokio::test]
async fn the_oldest_version_that_will_do_is_taken() {
    let mut tasks = JoinSet::new();
    let address = greeter(&mut tasks, "2.12.0").await;

    let taken = JetStream::connect(&settings(vec![format!("nats://{address}")]), CHANNELS).await;

    assert!(taken.is_ok(), "{taken:?}");
}
