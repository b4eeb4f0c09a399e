//! What a person sees who has just started the platform.

use crate::sample::Example;
use std::net::SocketAddr;
use std::path::Path;

/// Where to go from here, in text.
pub(crate) fn greeting(
    public: Option<SocketAddr>,
    admin: SocketAddr,
    data_dir: &Path,
    example: Option<&Example>,
) -> String {
    let data_dir = data_dir.display();
    let Some(public) = public else {
        return format!("comanda is ready\n  operators      http://{admin}\n  data           {data_dir}");
    };
    let next = match example {
        Some(example) => format!("Place an order and wait for its end:\n  {}", curl(public, example)),
        None => format!(
            "Nothing can be ordered yet. Create a restaurant and a consumer (http://{public}/openapi.json), import a menu \
             (comanda import menu FILE.csv --target http://{public}), or start with --sample-data on an empty data directory."
        ),
    };
    format!(
        "comanda is ready\n  REST and gRPC  http://{public}\n  operators      http://{admin}\n  data           {data_dir}\n\n{next}"
    )
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
