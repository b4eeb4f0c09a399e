//! The contract: generated messages and services, and the values whose wire form it fixes.
//!
//! Everything under `comanda` and `google` is generated from `proto/` by `build.rs`. The other modules are the doors between those
//! messages and the code: they turn a field of a message into a value that cannot be wrong, or into a [`Violation`] that names the field.

pub mod channel;
pub mod codec;
pub mod formats;
pub mod id;
pub mod money;
pub mod page;
pub mod refusal;
pub mod text;
pub mod time;
pub mod violation;

pub use id::{ConsumerId, OrderId, RestaurantId, TicketId};
pub use money::Amount;
pub use violation::{Violation, Violations};

/// Every descriptor of the contract, with `google.api.http` options and source comments; for reflection, routes and OpenAPI.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `ErrorInfo.domain` of every error that this contract defines (AIP-193).
pub const ERROR_DOMAIN: &str = "comanda";

pub use generated::{comanda, google};

#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated; the comments of the .proto files are its documentation"
)]
mod generated {
    /// The packages of Comanda.
    pub mod comanda {
        pub mod consumer {
            pub mod v1 {
                tonic::include_proto!("comanda.consumer.v1");
            }
        }
        pub mod order {
            pub mod v1 {
                tonic::include_proto!("comanda.order.v1");
            }
        }
        pub mod restaurant {
            pub mod v1 {
                tonic::include_proto!("comanda.restaurant.v1");
            }
        }
        pub mod messages {
            pub mod v1 {
                tonic::include_proto!("comanda.messages.v1");
            }
        }
        pub mod admin {
            pub mod v1 {
                tonic::include_proto!("comanda.admin.v1");
            }
        }
        pub mod validation {
            pub mod v1 {
                tonic::include_proto!("comanda.validation.v1");
            }
        }
    }

    /// The packages of Google that the contract uses.
    pub mod google {
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
        pub mod r#type {
            tonic::include_proto!("google.r#type");
        }
    }
}
