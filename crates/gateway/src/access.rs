//! Who may call what of Comanda, if the configuration does not say otherwise, and how loudly it is said that everybody may.
//!
//! A consumer is whoever has the claim `consumer_id`, a restaurant whoever has `restaurant_id`, and an operator whoever has the role `operator`.

use guard::{AccessRule, Defaults, Openness, Own, Who};
use std::net::SocketAddr;
use tracing::{info, warn};

/// Headers by which services are told who calls; none comes from outside.
pub(crate) const INTERNAL: &str = "x-comanda-";

/// The role that may do everything.
const OPERATOR: &str = "operator";
const CONSUMER_ID: &str = "consumer_id";
const RESTAURANT_ID: &str = "restaurant_id";

const ORDERS: &str = "/comanda.order.v1.OrderService/";
const CONSUMERS: &str = "/comanda.consumer.v1.ConsumerService/";
const RESTAURANTS: &str = "/comanda.restaurant.v1.RestaurantService/";

/// What the guard of this gateway does by itself.
pub(crate) fn defaults() -> Defaults {
    Defaults {
        prefix: INTERNAL,
        error_domain: proto::ERROR_DOMAIN,
        rules: rules(),
        // Orders are recognised by their `request_id`; everything else of the contract is harmless when it comes twice, or is an operator's.
        recognise_repeats: vec!["/comanda.*".to_owned()],
    }
}

fn rules() -> Vec<AccessRule> {
    let get_order = || format!("{ORDERS}GetOrder");
    let whose_order = || Own { call: Some(get_order()), same: vec!["order_id".to_owned()], ..in_answer(CONSUMER_ID) };
    let ticket = in_answer(RESTAURANT_ID);
    vec![
        // Probes of health have no identity; what is reflected is the public contract.
        rule(&["/grpc.health.v1.Health/*", "/grpc.reflection.*"], "", Who::Anyone, vec![]),
        rule(&["*"], "", Who::Roles(vec![OPERATOR.to_owned()]), vec![]),
        consumer(&["CreateOrder", "ListOrders"], ORDERS, in_request(CONSUMER_ID, "consumer_id")),
        consumer(&["GetOrder", "WatchOrder"], ORDERS, in_answer(CONSUMER_ID)),
        consumer(&["CancelOrder", "GetOrderJourney"], ORDERS, whose_order()),
        consumer(&["GetConsumer"], CONSUMERS, in_request(CONSUMER_ID, "consumer_id")),
        restaurant(&["ReviseMenu", "ListTickets"], vec![in_request(RESTAURANT_ID, "restaurant_id")]),
        restaurant(&["GetTicket"], vec![in_request(RESTAURANT_ID, "restaurant_id"), ticket]),
        rule(&["GetRestaurant", "ListRestaurants"], RESTAURANTS, Who::Authenticated, vec![]),
    ]
}

fn consumer(names: &[&str], service: &str, own: Own) -> AccessRule {
    rule(names, service, Who::Claim(CONSUMER_ID.to_owned()), vec![own])
}

fn restaurant(names: &[&str], own: Vec<Own>) -> AccessRule {
    rule(names, RESTAURANTS, Who::Claim(RESTAURANT_ID.to_owned()), own)
}

fn rule(names: &[&str], service: &str, who: Who, own: Vec<Own>) -> AccessRule {
    AccessRule { methods: names.iter().map(|name| format!("{service}{name}")).collect(), who, own }
}

fn in_request(claim: &str, field: &str) -> Own {
    Own { claim: claim.to_owned(), request: Some(field.to_owned()), answer: None, call: None, same: vec![] }
}

/// The answer has a field that is called like the claim.
fn in_answer(claim: &str) -> Own {
    Own { claim: claim.to_owned(), request: None, answer: Some(claim.to_owned()), call: None, same: vec![] }
}

/// Says who can call through the port, and says it loudly if that is everybody.
pub(crate) fn tell(openness: Openness, address: SocketAddr) {
    match openness {
        Openness::Guarded => info!(%address, "access is by rules"),
        Openness::OpenHere => {
            warn!(%address, "ACCESS IS OPEN: everybody on this machine may do everything; set gateway.guard to change that");
        }
        Openness::OpenToAll => {
            warn!(%address, "ACCESS IS OPEN: everybody who reaches this port may do everything, as gateway.guard.access says");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard::{Config, Guard, Metrics, method_of, methods_of};
    use prost_reflect::DescriptorPool;

    fn contract() -> DescriptorPool {
        DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    #[tokio::test]
    async fn every_rule_can_be_kept() {
        let config = Config { access: Some(guard::Access::Rules), ..Config::default() };
        let guard = Guard::new(config, defaults(), Metrics::default()).await.unwrap();

        assert_eq!(guard.layer(methods_of(&contract())).without_a_way_in(), Vec::<&str>::new());
    }

    #[test]
    fn every_rule_is_about_something_that_is_there() {
        let methods = rules().into_iter().flat_map(|rule| rule.methods).filter(|method| method.starts_with("/comanda"));

        for method in methods {
            assert!(method_of(&contract(), &method).is_some(), "{method}");
        }
    }

    /// Whoever adds an RPC decides whom it is for; here stand those that only operators call. A consumer who could update himself could raise
    /// his own limit.
    #[test]
    fn every_public_rpc_is_for_somebody() {
        let for_operators =
            ["CreateConsumer", "ListConsumers", "UpdateConsumer", "CreateRestaurant", "UpdateRestaurant"];
        let public = ["comanda.order.v1", "comanda.consumer.v1", "comanda.restaurant.v1"];
        let named: Vec<String> = rules().into_iter().flat_map(|rule| rule.methods).collect();

        for method in methods_of(&contract()).filter(|method| public.contains(&method.parent_service().package_name()))
        {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let is_decided = named.contains(&path) != for_operators.contains(&method.name());
            assert!(is_decided, "{path} has a rule and is for operators, or neither");
        }
    }
}
