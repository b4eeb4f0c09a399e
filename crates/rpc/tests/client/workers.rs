//! Calls from workers: each over a connection of its own.

use super::fake::{Fake, call, caller, eventually, following};
use discovery::{Endpoint, Endpoints};
use rpc::client::ClientConfig;
use rpc::{Seat, Upstream, Workers};
use std::collections::BTreeSet;
use std::future::pending;
use std::net::SocketAddr;
use std::num::NonZero;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tonic::Code;

/// As long as anything here may take.
const WITHIN: Duration = Duration::from_secs(10);

fn two_workers() -> Workers {
    Workers::start(NonZero::new(2).unwrap()).unwrap()
}

/// A connection of each.
fn seats(workers: &Workers) -> [(Handle, Seat); 2] {
    [workers.seat(), workers.seat()].map(|(worker, seat)| (worker.clone(), seat))
}

async fn call_on(worker: &Handle, client: &Upstream) -> Code {
    let client = client.clone();
    worker.spawn(async move { call(&client).await }).await.unwrap()
}

/// Calls until the server has been connected to so often; all calls are answered.
async fn call_until_connected(worker: &Handle, client: &Upstream, server: &Fake, connections: usize) {
    let connected = async {
        while server.connections() < connections {
            assert_eq!(call_on(worker, client).await, Code::Ok);
        }
    };
    timeout(WITHIN, connected).await.unwrap();
}

/// Has both workers call until each has a connection of its own, beside the one of all.
async fn connect_both(workers: &[(Handle, Seat); 2], client: &Upstream, server: &Fake) {
    for (connections, (worker, _)) in (2..).zip(workers) {
        call_until_connected(worker, client, server, connections).await;
    }
}

/// Connections that this process has to a server of this machine. Somebody else may still be looking for who had its port before.
fn established(server: SocketAddr) -> usize {
    let remote = format!("0100007F:{:04X}", server.port());
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.unwrap().path().read_link().ok());
    let own: Vec<String> = links.map(|link| link.display().to_string()).collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_own = |inode: &str| own.contains(&format!("socket:[{inode}]"));
    let found = columns.filter(|columns| columns[2] == remote && columns[3] == "01" && is_own(columns[9]));
    // The table is read in pieces, in which a connection can stand twice.
    found.map(|columns| columns[9].to_owned()).collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn each_worker_calls_over_a_connection_of_its_own() {
    let server = Fake::start().await;
    let client = caller(&[server.address], &ClientConfig::default());
    let workers = two_workers();
    let both = seats(&workers);
    assert_eq!((call(&client).await, server.connections()), (Code::Ok, 1));

    connect_both(&both, &client, &server).await;

    for _ in 0..100 {
        for (worker, _) in &both {
            assert_eq!(call_on(worker, &client).await, Code::Ok);
        }
        assert_eq!(call(&client).await, Code::Ok);
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_server_that_goes_away_is_let_go_by_all_workers() {
    let server = Fake::start().await;
    let client = caller(&[server.address], &ClientConfig::default());
    let workers = two_workers();
    let both = seats(&workers);
    connect_both(&both, &client, &server).await;
    let address = server.address;

    // Ends when the last connection does.
    timeout(WITHIN, server.stop()).await.unwrap();
    let back = Fake::start_at(address).await;

    eventually(|| client.is_up()).await;
    connect_both(&both, &client, &back).await;
}

#[tokio::test]
async fn an_endpoint_that_discovery_drops_is_let_go_by_all_workers() {
    let (server, next) = (Fake::start().await, Fake::start().await);
    let (feed, endpoints) = Endpoints::feed();
    feed.confirm(vec![Endpoint::at(server.address)]);
    let client = following(endpoints, &ClientConfig::default());
    let workers = two_workers();
    let both = seats(&workers);
    connect_both(&both, &client, &server).await;
    assert_eq!(established(server.address), 3);

    feed.confirm(vec![Endpoint::at(next.address)]);
    let moved = async {
        while next.calls() == 0 {
            assert_eq!(call_on(&both[0].0, &client).await, Code::Ok);
        }
    };
    timeout(WITHIN, moved).await.unwrap();

    eventually(|| established(server.address) == 0).await;
}

#[tokio::test]
async fn a_connection_goes_to_the_worker_that_has_the_fewest() {
    let workers = two_workers();
    let name = |worker: &Handle| worker.spawn(async { thread::current().name().map(str::to_owned) });
    let [(one, left), (_other, _stays)] = seats(&workers);

    drop(left);
    let (worker, _seat) = workers.seat();

    assert_eq!(name(worker).await.unwrap(), name(&one).await.unwrap());
}

#[tokio::test]
async fn what_runs_on_workers_ends_with_them() {
    let workers = two_workers();
    let (held, over) = tokio::sync::oneshot::channel::<()>();
    workers.seat().0.spawn(async move {
        pending::<()>().await;
        drop(held);
    });

    drop(workers);

    assert!(timeout(WITHIN, over).await.unwrap().is_err());
}
