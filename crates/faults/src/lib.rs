//! Breaks a running platform at random, and checks that no order was lost, stuck, doubled or made up.
//!
//! Real binaries, one process for each role, real PostgreSQL and NATS, orders at a steady rate. A client's ledger says what was promised;
//! the databases say what came of it. Controls put well-known bugs in, so that the suite shows that it can see them.

pub mod broker;
pub mod check;
pub mod controls;
pub mod load;
pub mod nemesis;
pub mod outage;
pub mod plan;
pub mod restarts;
pub mod rows;
pub mod run;
