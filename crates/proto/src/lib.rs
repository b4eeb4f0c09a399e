//! The contract: generated messages and services, and the values whose wire form it fixes.
//!
//! Everything under `comanda` and `google` is generated from `proto/` by `build.rs`. The other modules are the doors between those
//! messages and the code: they turn a field of a message into a value that cannot be wrong, or into a [`Violation`] that names the field.

pub mod channel;
pub mod codec;
pub mod id;
pub mod money;
pub mod page;
pub mod time;
pub mod violation;

pub use id::{ConsumerId, OrderId, RestaurantId, TicketId};
pub use money::Amount;
pub use violation::{Violation, Violations};

/// Every descriptor of the contract, with `google.api.http` options and source comments; for reflection, routes and OpenAPI.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `ErrorInfo.domain` of every error that this contract defines (AIP-193).
pub const ERROR_DOMAIN: &str = "comanda";

/// The packages of Comanda.
pub mod comanda {
    /// Who may order.
    pub mod consumer {
        #[expect(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated")]
        pub mod v1 {
            tonic::include_proto!("comanda.consumer.v1");
        }
    }
    /// Orders.
    pub mod order {
        #[expect(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated")]
        pub mod v1 {
            tonic::include_proto!("comanda.order.v1");
        }
    }
    /// Restaurants, menus and tickets.
    pub mod restaurant {
        #[expect(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated")]
        pub mod v1 {
            tonic::include_proto!("comanda.restaurant.v1");
        }
    }
    /// Commands, replies and events.
    pub mod messages {
        #[expect(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated")]
        pub mod v1 {
            tonic::include_proto!("comanda.messages.v1");
        }
    }
    /// For operators.
    pub mod admin {
        #[expect(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated")]
        pub mod v1 {
            tonic::include_proto!("comanda.admin.v1");
        }
    }
}

/// The packages of Google that the contract uses.
pub mod google {
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}
