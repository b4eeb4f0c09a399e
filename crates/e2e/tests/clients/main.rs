//! Clients of other families, in other languages, through the gateway: the cases of gRPC's interoperability tests.
//!
//! The cases: grpc/grpc, `doc/interop-test-descriptions.md`. The service behind the gateway is not of Comanda.

mod echo;
mod gateway;
mod javascript;
mod python;
mod service;
