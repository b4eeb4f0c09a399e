//! What clients and operators of the platform can rely on, told from the outside.

mod cancelling;
mod changing;
mod grpc;
mod idempotency;
mod listing;
mod placing;
mod refusing;
mod surroundings;
mod watching;
