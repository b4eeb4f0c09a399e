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

/// Where to go from here, in text. `data` says where data is kept, and `is_open` whether everybody may do everything.
pub(crate) fn greeting(addresses: &Addresses, data: &str, is_open: bool, example: Option<&Example>) -> String {
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
        lines.push(format!("\n{}", next_step(public, example)));
    }
    lines.join("\n")
}

fn next_step(public: SocketAddr, example: Option<&Example>) -> String {
    match example {
        Some(example) => format!("Place an order and wait for its end:\n  {}", curl(public, example)),
        None => format!(
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
