//! Calls about restaurants.

use crate::house::{House, on_every_store};
use prost_types::FieldMask;
use proto::RestaurantId;
use proto::comanda::restaurant::v1::{
    CreateRestaurantRequest, GetRestaurantRequest, GetTicketRequest, ListRestaurantsRequest, ListTicketsRequest, Menu,
    MenuItem, Restaurant, ReviseMenuRequest, UpdateRestaurantRequest,
};
use proto::google::r#type::Money;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

pub(crate) fn pounds(units: i64) -> Option<Money> {
    Some(Money { currency_code: "GBP".to_owned(), units, nanos: 0 })
}

pub(crate) fn item(id: &str, units: i64) -> MenuItem {
    MenuItem { menu_item_id: id.to_owned(), name: format!("Dish {id}"), price: pounds(units), ..MenuItem::default() }
}

pub(crate) fn trattoria(items: Vec<MenuItem>) -> Restaurant {
    Restaurant {
        name: "Trattoria".to_owned(),
        currency_code: "GBP".to_owned(),
        menu: Some(Menu { version: 0, items }),
        ..Restaurant::default()
    }
}

impl House {
    pub(crate) async fn create(&mut self, restaurant: Restaurant) -> Restaurant {
        let request = CreateRestaurantRequest { restaurant: Some(restaurant) };
        self.client.create_restaurant(request).await.unwrap().into_inner()
    }

    pub(crate) async fn get(&mut self, restaurant_id: &str) -> Result<Restaurant, Status> {
        let request = GetRestaurantRequest { restaurant_id: restaurant_id.to_owned() };
        self.client.get_restaurant(request).await.map(Response::into_inner)
    }

    pub(crate) async fn update(&mut self, restaurant: Restaurant, mask: &[&str]) -> Result<Restaurant, Status> {
        let paths = mask.iter().map(|&path| path.to_owned()).collect();
        let update_mask = Some(FieldMask { paths });
        let request = UpdateRestaurantRequest { restaurant: Some(restaurant), update_mask };
        self.client.update_restaurant(request).await.map(Response::into_inner)
    }

    pub(crate) async fn revise(&mut self, restaurant_id: &str, items: Vec<MenuItem>) -> Result<Restaurant, Status> {
        let request = ReviseMenuRequest { restaurant_id: restaurant_id.to_owned(), items };
        self.client.revise_menu(request).await.map(Response::into_inner)
    }
}

#[track_caller]
pub(crate) fn check_fields(status: &Status, fields: &[&str]) {
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), fields);
}

on_every_store! {
    a_restaurant_that_was_created_can_be_read,
    a_restaurant_without_a_menu_has_an_empty_first_one,
    a_restaurant_nobody_knows_is_not_found_with_a_reason,
    a_request_that_is_wrong_names_its_fields,
    restaurants_are_listed_newest_first_without_their_items,
    an_update_changes_what_it_names_and_leaves_the_menu,
    a_page_that_would_be_too_large_for_a_client_has_fewer_restaurants,
}

async fn a_restaurant_that_was_created_can_be_read(mut house: House) {
    let wanted = Restaurant { restaurant_id: "whatever".to_owned(), ..trattoria(vec![item("a", 9)]) };

    let created = house.create(wanted).await;

    assert!(RestaurantId::parse("restaurant_id", &created.restaurant_id).is_ok(), "{}", created.restaurant_id);
    assert_eq!((created.time_zone.as_str(), created.accepts_orders), ("UTC", Some(true)));
    let menu = created.menu.clone().unwrap();
    assert_eq!((menu.version, menu.items.len(), menu.items[0].available), (1, 1, Some(true)));
    assert!(created.create_time.is_some() && created.create_time == created.update_time);
    assert_eq!(house.get(&created.restaurant_id).await.unwrap(), created);
}

async fn a_restaurant_without_a_menu_has_an_empty_first_one(mut house: House) {
    let created = house.create(Restaurant { menu: None, ..trattoria(Vec::new()) }).await;

    assert_eq!(created.menu, Some(Menu { version: 1, items: Vec::new() }));
}

async fn a_restaurant_nobody_knows_is_not_found_with_a_reason(mut house: House) {
    let restaurant_id = RestaurantId::generate().to_string();
    let nobody = Restaurant { restaurant_id: restaurant_id.clone(), ..trattoria(Vec::new()) };
    let tickets = ListTicketsRequest { restaurant_id: restaurant_id.clone(), ..ListTicketsRequest::default() };
    let ticket = GetTicketRequest { restaurant_id: restaurant_id.clone(), ticket_id: restaurant_id.clone() };

    let answers = [
        house.get(&restaurant_id).await.unwrap_err(),
        house.update(nobody, &["name"]).await.unwrap_err(),
        house.revise(&restaurant_id, Vec::new()).await.unwrap_err(),
        house.client.list_tickets(tickets).await.unwrap_err(),
        house.client.get_ticket(ticket).await.unwrap_err(),
    ];

    for status in answers {
        assert_eq!(status.code(), Code::NotFound);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RESTAURANT_UNKNOWN", "comanda"));
    }
}

async fn a_request_that_is_wrong_names_its_fields(mut house: House) {
    let known = house.create(trattoria(Vec::new())).await;
    let bad = MenuItem { price: None, ..item("", 1) };
    let create = CreateRestaurantRequest { restaurant: Some(trattoria(vec![bad.clone()])) };

    let created = house.client.create_restaurant(create).await.unwrap_err();
    let revised = house.revise(&known.restaurant_id, vec![item("a", 1), bad]).await.unwrap_err();
    let updated = house.update(Restaurant { restaurant_id: String::new(), ..known.clone() }, &[]).await.unwrap_err();
    let ticket = GetTicketRequest { restaurant_id: "x".to_owned(), ticket_id: "y".to_owned() };
    let ticket = house.client.get_ticket(ticket).await.unwrap_err();

    check_fields(&created, &["restaurant.menu.items[0].menu_item_id", "restaurant.menu.items[0].price"]);
    check_fields(&revised, &["items[1].menu_item_id", "items[1].price"]);
    check_fields(&updated, &["restaurant.restaurant_id"]);
    check_fields(&ticket, &["restaurant_id", "ticket_id"]);
    check_fields(&house.get("42").await.unwrap_err(), &["restaurant_id"]);
}

async fn restaurants_are_listed_newest_first_without_their_items(mut house: House) {
    for name in ["Ada", "Bella", "Carlo"] {
        house.create(Restaurant { name: name.to_owned(), ..trattoria(vec![item("a", 9)]) }).await;
    }

    let first = ListRestaurantsRequest { page_size: 2, page_token: String::new() };
    let first = house.client.list_restaurants(first).await.unwrap().into_inner();
    let second = ListRestaurantsRequest { page_size: 2, page_token: first.next_page_token };
    let second = house.client.list_restaurants(second).await.unwrap().into_inner();

    let names = |list: &[Restaurant]| list.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&first.restaurants), names(&second.restaurants)),
        (vec!["Carlo".into(), "Bella".into()], vec!["Ada".into()])
    );
    assert_eq!(second.next_page_token, "");
    assert_eq!(first.restaurants[0].menu, Some(Menu { version: 1, items: Vec::new() }));
}

async fn an_update_changes_what_it_names_and_leaves_the_menu(mut house: House) {
    let before = house.create(trattoria(vec![item("a", 9)])).await;

    let wanted = Restaurant { name: "Osteria".to_owned(), minimum_order: pounds(15), ..before.clone() };
    let after = house.update(wanted, &["minimum_order"]).await.unwrap();

    assert_eq!((after.name.as_str(), after.minimum_order.clone()), ("Trattoria", pounds(15)));
    assert_eq!(after.menu, before.menu);
    assert_eq!(house.get(&before.restaurant_id).await.unwrap(), after);
}

async fn a_page_that_would_be_too_large_for_a_client_has_fewer_restaurants(mut house: House) {
    let postal_code_prefixes = (0..1_000).map(|number| format!("{number:020}")).collect();
    let delivery_area = Some(proto::comanda::restaurant::v1::DeliveryArea { postal_code_prefixes });
    for _ in 0..150 {
        house.create(Restaurant { delivery_area: delivery_area.clone(), ..trattoria(Vec::new()) }).await;
    }

    let mut sizes = Vec::new();
    let mut page_token = String::new();
    while sizes.is_empty() || !page_token.is_empty() {
        let request = ListRestaurantsRequest { page_size: 1_000, page_token };
        let page = house.client.list_restaurants(request).await.unwrap().into_inner();
        sizes.push(page.restaurants.len());
        page_token = page.next_page_token;
    }

    assert_eq!(sizes.iter().sum::<usize>(), 150);
    assert!(sizes.len() == 2 && sizes[0] > 100, "{sizes:?}");
}
