//! Messages that are too large, servers that take too little, streams that are full.

use crate::support::{
    CHANNELS, broker, chain, connect, effect, message, next, order, publish_all, settings, stored, stream_of,
    subscribe, take_until,
};
use messaging::{Error, JetStream, JetStreamConfig, Message};
use servers::Nats;

/// A message with so many bytes.
fn of_size(key: &str, effect: &str, bytes: usize) -> Message {
    Message { payload: vec![7; bytes], ..message(key, effect) }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_what_is_before_it_is_stored() {
    if !Nats::require() {
        return;
    }
    let bus = connect(&settings(vec![Nats::shared().await.url()])).await;

    let refused = bus.publish(&[order("1"), of_size("order", "large", 9 << 20), order("2")]).await.unwrap_err();
    bus.publish(&[order("end")]).await.unwrap();

    assert!(matches!(refused, Error::Publish { acknowledged: 1, is_transient: false, .. }), "{refused:?}");
    assert!(chain(&refused).contains("the message has 9437184 bytes"), "{}", chain(&refused));
    assert_eq!(take_until(&mut subscribe(&bus, "kitchen").await, "end").await, ["1", "end"]);
}

#[tokio::test]
async fn a_server_that_takes_too_little_is_refused_at_the_start() {
    if !Nats::require() {
        return;
    }
    let config = JetStreamConfig { payload_bytes_max: 9 << 20, ..settings(vec![Nats::shared().await.url()]) };

    let refused = JetStream::connect(&config, CHANNELS).await.unwrap_err();

    assert!(matches!(refused, Error::SetUp { is_transient: false, .. }), "{refused:?}");
    assert!(chain(&refused).contains("raise max_payload"), "{}", chain(&refused));
}

#[tokio::test]
async fn a_full_stream_refuses_and_no_message_overtakes_one_of_its_key() {
    if !Nats::require() {
        return;
    }
    let config = JetStreamConfig { stream_bytes_max: Some(64 << 10), ..settings(vec![Nats::shared().await.url()]) };
    let bus = connect(&config).await;
    while bus.publish(&[of_size("filler", "filler", 2 << 10)]).await.is_ok() {}
    let before = stored(&bus).await;
    let batch = [of_size("order", "large", 16 << 10), of_size("order", "small", 0)];

    let refused = bus.publish(&batch).await.unwrap_err();

    assert!(matches!(refused, Error::Publish { acknowledged: 0, is_transient: true, .. }), "{refused:?}");
    assert!(chain(&refused).contains("maximum bytes exceeded"), "{}", chain(&refused));
    assert_eq!(stored(&bus).await, before);
    let broker = broker(&config.servers[0]).await;
    broker.get_stream(stream_of(&config, "orders")).await.unwrap().purge().await.unwrap();
    publish_all(&bus, &batch).await;
    assert_eq!(take_until(&mut subscribe(&bus, "kitchen").await, "small").await, ["large", "small"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_messages_flow_in_order() {
    const COUNT: usize = 50;
    if !Nats::require() {
        return;
    }
    let bus = connect(&settings(vec![Nats::shared().await.url()])).await;
    let large: Vec<Message> = (0..COUNT).map(|number| of_size("menu", &number.to_string(), 1 << 20)).collect();
    bus.publish(&large).await.unwrap();

    let mut subscription = subscribe(&bus, "kitchen").await;
    let mut held = Vec::new();
    for number in 0..COUNT {
        let delivery = next(&mut subscription).await;
        assert_eq!((effect(&delivery), delivery.message().payload.len()), (number.to_string().as_str(), 1 << 20));
        held.push(delivery);
        if held.len() == 8 {
            held.drain(..).for_each(messaging::Delivery::acknowledge);
        }
    }
}
