//! A restaurant and two consumers for a first look, and an order that can be placed with what is there.

use crate::wire::Wiring;
use crate::{Error, Role};
use proto::comanda::consumer::v1::consumer_service_client::ConsumerServiceClient;
use proto::comanda::consumer::v1::{Consumer, CreateConsumerRequest, ListConsumersRequest, consumer::State};
use proto::comanda::restaurant::v1::restaurant_service_client::RestaurantServiceClient;
use proto::comanda::restaurant::v1::{
    CreateRestaurantRequest, DeliveryArea, GetRestaurantRequest, ListRestaurantsRequest, Menu, MenuItem, Restaurant,
};
use proto::google::r#type::Money;
use tonic::Status;

/// What the sample restaurant offers: id, name, category, price in pence.
const ITEMS: [(&str, &str, &str, i64); 6] = [
    ("plain-papadum", "Plain Papadum", "Starters", 80),
    ("onion-bhaji", "Onion Bhaji", "Starters", 395),
    ("chicken-tikka-masala", "Chicken Tikka Masala", "Mains", 895),
    ("vegetable-korma", "Vegetable Korma", "Mains", 795),
    ("pilau-rice", "Pilau Rice", "Sides", 295),
    ("garlic-naan", "Garlic Naan", "Sides", 295),
];
/// The sample consumers: name, and what one order may cost in whole pounds.
const CONSUMERS: [(&str, i64); 2] = [("Ada", 200), ("Grace", 50)];
const PENCE_PER_POUND: i64 = 100;
const NANOS_PER_PENNY: i64 = 10_000_000;

/// What an order needs that would be approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Example {
    pub(crate) consumer_id: String,
    pub(crate) restaurant_id: String,
    pub(crate) menu_item_id: String,
    pub(crate) postal_code: String,
}

/// Makes the sample data if there is no restaurant and no consumer.
pub(crate) async fn make(wiring: &Wiring) -> Result<(), Error> {
    let failed = |status| Error::Sample(Box::new(status));
    let Some((mut consumers, mut restaurants)) = clients(wiring) else { return Ok(()) };
    let is_empty = first_consumer(&mut consumers).await.map_err(failed)?.is_none()
        && first_restaurant(&mut restaurants).await.map_err(failed)?.is_none();
    if !is_empty {
        return Ok(());
    }
    restaurants.create_restaurant(CreateRestaurantRequest { restaurant: Some(restaurant()) }).await.map_err(failed)?;
    for (name, limit) in CONSUMERS {
        let order_limit = Some(Money { currency_code: "GBP".to_owned(), units: limit, nanos: 0 });
        let consumer = Consumer { name: name.to_owned(), order_limit, ..Consumer::default() };
        consumers.create_consumer(CreateConsumerRequest { consumer: Some(consumer) }).await.map_err(failed)?;
    }
    Ok(())
}

/// An order that could be placed with what is there; `None` when something is missing or away.
pub(crate) async fn example(wiring: &Wiring) -> Option<Example> {
    let (mut consumers, mut restaurants) = clients(wiring)?;
    let consumer = first_consumer(&mut consumers).await.ok()??;
    let restaurant = first_restaurant(&mut restaurants).await.ok()??;
    let item = restaurant.menu?.items.into_iter().find(|item| item.available.unwrap_or(true))?;
    let prefix = restaurant.delivery_area.and_then(|area| area.postal_code_prefixes.into_iter().next());
    Some(Example {
        consumer_id: consumer.consumer_id,
        restaurant_id: restaurant.restaurant_id,
        menu_item_id: item.menu_item_id,
        postal_code: format!("{} 6QL", prefix.unwrap_or_else(|| "E1".to_owned())),
    })
}

type Consumers = ConsumerServiceClient<rpc::Upstream>;
type Restaurants = RestaurantServiceClient<rpc::Upstream>;

fn clients(wiring: &Wiring) -> Option<(Consumers, Restaurants)> {
    let (consumer, restaurant) = (wiring.upstream(Role::Consumer)?, wiring.upstream(Role::Restaurant)?);
    let are_up = consumer.is_up() && restaurant.is_up();
    are_up.then(|| (ConsumerServiceClient::new(consumer.clone()), RestaurantServiceClient::new(restaurant.clone())))
}

async fn first_consumer(consumers: &mut Consumers) -> Result<Option<Consumer>, Status> {
    let list = consumers.list_consumers(ListConsumersRequest::default()).await?.into_inner();
    Ok(list.consumers.into_iter().rev().find(|consumer| consumer.state() == State::Active))
}

async fn first_restaurant(restaurants: &mut Restaurants) -> Result<Option<Restaurant>, Status> {
    let list = restaurants.list_restaurants(ListRestaurantsRequest::default()).await?.into_inner();
    let Some(restaurant) = list.restaurants.into_iter().next_back() else { return Ok(None) };
    let request = GetRestaurantRequest { restaurant_id: restaurant.restaurant_id };
    Ok(Some(restaurants.get_restaurant(request).await?.into_inner()))
}

fn restaurant() -> Restaurant {
    let item = |(id, name, category, pence): (&str, &str, &str, i64)| MenuItem {
        menu_item_id: id.to_owned(),
        name: name.to_owned(),
        category: category.to_owned(),
        price: Some(pounds(pence)),
        ..MenuItem::default()
    };
    Restaurant {
        name: "Comanda Kitchen".to_owned(),
        country_code: "GB".to_owned(),
        currency_code: "GBP".to_owned(),
        time_zone: "Europe/London".to_owned(),
        delivery_area: Some(DeliveryArea { postal_code_prefixes: vec!["E1".to_owned()] }),
        menu: Some(Menu { version: 0, items: ITEMS.into_iter().map(item).collect() }),
        ..Restaurant::default()
    }
}

fn pounds(pence: i64) -> Money {
    let nanos =
        i32::try_from(pence % PENCE_PER_POUND * NANOS_PER_PENNY).expect("less than a pound, so less than 10^9 nanos");
    Money { currency_code: "GBP".to_owned(), units: pence / PENCE_PER_POUND, nanos }
}
