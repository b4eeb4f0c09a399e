//! Metrics in the OpenMetrics text format.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The media type of [`exposition`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes all metrics as text.
///
/// # Errors
/// When a metric cannot be formatted, which is a bug of that metric.
pub fn exposition(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    #[test]
    fn a_counter_is_exposed_with_its_total() {
        let mut registry = Registry::default();
        let orders = Counter::<u64>::default();
        registry.register("orders", "Orders taken", orders.clone());
        orders.inc_by(3);

        let text = exposition(&registry).unwrap();

        assert!(text.contains("orders_total 3"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
