//! The parts of the platform that can run by themselves.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One part. The order is that in which they are started; they are stopped the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Knows who may order.
    Consumer,
    /// Owns restaurants, menus and tickets.
    Restaurant,
    /// Takes orders.
    Order,
    /// Publishes for services, beside the relay that each of them has or instead of it.
    Relay,
    /// Speaks to clients.
    Gateway,
}

impl Role {
    /// All of them, in the order in which they are started.
    pub const ALL: [Role; 5] = [Role::Consumer, Role::Restaurant, Role::Order, Role::Relay, Role::Gateway];
    /// Those that a platform consists of. Services publish by themselves, so a relay of its own is not among them.
    pub const PLATFORM: [Role; 4] = [Role::Consumer, Role::Restaurant, Role::Order, Role::Gateway];

    /// Its name on the command line and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Consumer => "consumer",
            Role::Restaurant => "restaurant",
            Role::Order => "order",
            Role::Relay => "relay",
            Role::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| {
            format!("there is no role {name}; the roles are consumer, restaurant, order, relay and gateway")
        })
    }
}
