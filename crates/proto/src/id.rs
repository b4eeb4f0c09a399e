//! Identifiers of the contract's resources: UUIDv7, written as text with hyphens.
//!
//! Their first 48 bits are milliseconds since 1970 (RFC 9562 5.7), so ids that one process makes sort by time, and an index on the id
//! is an index on the time of creation.

use crate::violation::Violation;
use std::fmt;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id; later ones of this process sort after it.
            #[must_use]
            pub fn generate() -> Self {
                $name(Uuid::now_v7())
            }

            /// Reads the text that a client sent in `field`.
            ///
            /// # Errors
            /// When it is empty or no UUID.
            pub fn parse(field: &str, text: &str) -> Result<Self, Violation> {
                match Uuid::try_parse(text) {
                    Ok(id) => Ok($name(id)),
                    Err(_) if text.is_empty() => Err(Violation::required(field)),
                    Err(_) => Err(Violation::new(field, "must be a UUID such as 0199d2a4-6c00-7000-8000-000000000001")),
                }
            }

            /// Reads the 16 bytes that a database keeps; `None` when they are not 16.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map($name)
            }

            /// The 16 bytes.
            #[must_use]
            pub fn to_array(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// The 16 bytes to keep in a database.
            #[must_use]
            pub fn to_bytes(self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            /// When it was made, in milliseconds since 1970; `None` when it is not a UUIDv7.
            #[must_use]
            pub fn created_ms(self) -> Option<i64> {
                let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
                i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// Names an order.
    OrderId,
    /// Names a consumer.
    ConsumerId,
    /// Names a restaurant.
    RestaurantId,
    /// Names a ticket.
    TicketId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_bytes() {
        let id = OrderId::generate();

        assert_eq!(OrderId::parse("order_id", &id.to_string()), Ok(id));
        assert_eq!(OrderId::from_slice(&id.to_bytes()), Some(id));
    }

    #[test]
    fn ids_of_one_process_sort_by_creation() {
        let ids: Vec<OrderId> = (0..10_000).map(|_| OrderId::generate()).collect();

        assert!(ids.is_sorted());
    }

    #[test]
    fn a_text_that_is_no_uuid_names_its_field() {
        assert_eq!(OrderId::parse("order_id", "42").unwrap_err().field, "order_id");
        assert!(OrderId::parse("order_id", "").unwrap_err().description.contains("required"));
    }
}
