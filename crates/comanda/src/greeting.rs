//! What a person sees who has just started the platform.

use crate::sample::Example;
use std::net::SocketAddr;

/// Where this process listens.
pub(crate) struct Addresses {
    /// For clients, when the gateway runs here.
    pub(crate) public: Option<SocketAddr>,
    /// For operators.
    pub(crate) admin: SocketAddr,
    /// For other processes of the platform.
    pub(crate) services: Option<SocketAddr>,
}

/// What can be done next.
pub(crate) enum Next {
    /// To order something, if there is something.
    Order(Option<Example>),
    /// To look at what is served of foreign services.
    LookAtRoutes,
}

/// Where to go from here, in text. `data` says where data is kept, and `is_open` whether everybody may do everything.
pub(crate) fn greeting(addresses: &Addresses, data: &str, is_open: bool, next: &Next) -> String {
    let mut lines = vec!["comanda is ready".to_owned()];
    let mut line = |label: &str, value: String| lines.push(format!("  {label:<15}{value}"));
    if let Some(public) = addresses.public {
        line("REST and gRPC", format!("http://{public}"));
    }
    if addresses.public.is_some() && is_open {
        line("ACCESS IS OPEN", "whoever reaches that may do everything; [gateway.guard] closes it".to_owned());
    }
    line("operators", format!("http://{}", addresses.admin));
    if let Some(services) = addresses.services {
        line("services", format!("http://{services}"));
    }
    line("data", data.to_owned());
    if let Some(public) = addresses.public {
        lines.push(format!("\n{}", next_step(public, addresses.admin, next)));
    }
    lines.join("\n")
}

fn next_step(public: SocketAddr, admin: SocketAddr, next: &Next) -> String {
    match next {
        Next::LookAtRoutes => format!(
            "What is served, and from where: http://{admin}/admin/routes\nAs OpenAPI: http://{public}/openapi.json"
        ),
        Next::Order(Some(example)) => format!("Place an order and wait for its end:\n  {}", curl(public, example)),
        Next::Order(None) => format!(
            "Nothing can be ordered yet. Create a restaurant and a consumer (http://{public}/openapi.json), import a menu \
             (comanda import menu FILE.csv --target http://{public}), or start with --sample-data on an empty data directory."
        ),
    }
}

fn curl(public: SocketAddr, example: &Example) -> String {
    let Example { consumer_id, restaurant_id, menu_item_id, postal_code } = example;
    format!(
        "curl -sS http://{public}/v1/orders -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '{{\
         \"consumerId\":\"{consumer_id}\",\"restaurantId\":\"{restaurant_id}\",\
         \"lines\":[{{\"menuItemId\":\"{menu_item_id}\",\"quantity\":2}}],\
         \"deliveryAddress\":{{\"lines\":[\"1 Brick Lane\"],\"city\":\"London\",\"postalCode\":\"{postal_code}\",\"countryCode\":\"GB\"}}}}'"
    )
}
