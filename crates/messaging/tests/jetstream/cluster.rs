//! Three servers that replicate.

use crate::support::{
    broker, connect, each_is_there_once_and_in_order, eventually, next, numbered, publish_all, settings, stored,
    stream_of, subscribe,
};
use messaging::JetStreamConfig;
use servers::Nats;
use tokio::task::JoinSet;

/// Which server leads a channel's stream, from 0.
async fn leader(config: &JetStreamConfig) -> usize {
    let broker = broker(&config.servers[0]).await;
    let stream = broker.get_stream(stream_of(config, "orders")).await.unwrap();
    let leader = stream.cached_info().cluster.clone().unwrap().leader.unwrap();
    leader.trim_start_matches('n').parse::<usize>().unwrap() - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_costs_no_message_and_no_order() {
    const BATCHES: usize = 30;
    const BATCH: usize = 200;
    if !Nats::require() {
        return;
    }
    let mut nats = Nats::cluster(3).await;
    let config = JetStreamConfig { replicas: 3, ..settings(nats.urls()) };
    let bus = connect(&config).await;
    publish_all(&bus, &numbered(0, BATCH)).await;
    let mut subscription = subscribe(&bus, "billing").await;
    next(&mut subscription).await.acknowledge();
    let (publisher, mut publishing) = (bus.clone(), JoinSet::new());
    publishing.spawn(async move {
        for batch in 1..BATCHES {
            publish_all(&publisher, &numbered(batch * BATCH, BATCH)).await;
        }
    });

    let enough = u64::try_from(BATCHES * BATCH / 3).unwrap();
    eventually(async || match bus.incarnation("orders").await {
        Ok(Some(life)) if life.last_sequence >= enough => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let leader = leader(&config).await;
    nats.kill_node(leader);

    publishing.join_all().await;
    for _ in 1..BATCHES * BATCH {
        next(&mut subscription).await.acknowledge();
    }
    nats.restart().await;
    each_is_there_once_and_in_order(&bus, "kitchen", BATCHES * BATCH).await;
    assert_eq!(stored(&bus).await, (BATCHES * BATCH) as u64);
}
