//! What is published: that it arrives whole, in order, once, and where it should.

use crate::place::{Place, effect, message, next, order, orders, subscribe, take_until};
use messaging::{Error, Message, MessageId};

pub(crate) async fn all_fields_of_a_message_survive(place: impl Place) {
    let bus = place.open().await;
    let mut full = message("orders", "naïve \0 key", "effect:1");
    full.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    full.causation_id = Some(MessageId::generate());
    full.created_us = i64::MIN;
    full.payload = (0..=255).collect();
    let bare = Message { payload: Vec::new(), kind: String::new(), key: String::new(), ..order("") };

    bus.publish(&[full.clone(), bare.clone()]).await.unwrap();

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let (first, second) = (next(&mut subscription).await, next(&mut subscription).await);
    assert_eq!((&**first.message(), &**second.message()), (&full, &bare));
}

pub(crate) async fn a_message_is_delivered_to_each_consumer_of_its_channel(place: impl Place) {
    let bus = place.open().await;
    let mut kitchen = subscribe(&bus, "orders", "kitchen").await;
    let mut billing = subscribe(&bus, "orders", "billing").await;
    let mut replies = subscribe(&bus, "replies", "orders").await;

    bus.publish(&[order("1"), message("replies", "order", "2")]).await.unwrap();

    assert_eq!(effect(&next(&mut kitchen).await), "1");
    assert_eq!(effect(&next(&mut billing).await), "1");
    assert_eq!(effect(&next(&mut replies).await), "2");
}

pub(crate) async fn order_holds_within_a_key(place: impl Place) {
    let bus = place.open().await;

    for batch in orders(100).chunks(7) {
        bus.publish(batch).await.unwrap();
    }

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(take_until(&mut subscription, "99").await, expected);
}

pub(crate) async fn order_holds_within_each_key_of_a_batch(place: impl Place) {
    let bus = place.open().await;
    let of_key = |number: usize| message("orders", &(number % 7).to_string(), &number.to_string());
    let batch: Vec<Message> = (0..3_000).map(of_key).collect();
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;

    let (published, received) = tokio::join!(bus.publish(&batch), async {
        let mut received = Vec::new();
        for _ in 0..batch.len() {
            let delivery = next(&mut subscription).await;
            received.push(effect(&delivery).parse::<usize>().unwrap());
            delivery.acknowledge();
        }
        received
    });

    published.unwrap();
    for key in 0..7 {
        let of_key: Vec<usize> = received.iter().copied().filter(|number| number % 7 == key).collect();
        let expected: Vec<usize> = (key..3_000).step_by(7).collect();
        assert_eq!(of_key, expected);
    }
}

pub(crate) async fn a_repeated_id_is_stored_once_while_it_is_kept(place: impl Place) {
    let bus = place.open().await;
    let messages = orders(3);

    bus.publish(&messages[..2]).await.unwrap();
    bus.publish(&messages).await.unwrap();
    bus.publish(&[messages[0].clone(), messages[0].clone(), order("end")]).await.unwrap();

    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["0", "1", "2", "end"]);
}

pub(crate) async fn publishing_nothing_is_allowed(place: impl Place) {
    let bus = place.open().await;

    bus.publish(&[]).await.unwrap();
}

pub(crate) async fn a_message_for_an_unknown_channel_stops_its_batch(place: impl Place) {
    let bus = place.open().await;

    let refused = bus.publish(&[order("1"), message("nowhere", "key", "2")]).await.unwrap_err();
    bus.publish(&[order("end")]).await.unwrap();

    assert!(matches!(refused, Error::UnknownChannel { channel } if channel == "nowhere"));
    let mut subscription = subscribe(&bus, "orders", "kitchen").await;
    assert_eq!(take_until(&mut subscription, "end").await, ["end"]);
}

pub(crate) async fn an_unknown_channel_or_consumer_is_an_error(place: impl Place) {
    let bus = place.open().await;

    let no_consumer = bus.subscribe("orders", "search").await.unwrap_err();
    let no_channel = bus.subscribe("nowhere", "kitchen").await.unwrap_err();

    assert!(matches!(no_consumer, Error::UnknownConsumer { .. }), "{no_consumer:?}");
    assert!(matches!(no_channel, Error::UnknownConsumer { .. }), "{no_channel:?}");
}
