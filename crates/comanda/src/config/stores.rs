//! Where each service keeps its data.

use crate::Role;
use serde::{Deserialize, Serialize};
use store::PostgresConfig;

/// Which database, and how each service reaches its own. Services never share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stores {
    /// `sqlite`: a file for each service in `data_dir`; nothing to install. `postgres`: the databases below.
    pub kind: StoreKind,
    /// The order database.
    pub order: PostgresConfig,
    /// The consumer database.
    pub consumer: PostgresConfig,
    /// The restaurant database.
    pub restaurant: PostgresConfig,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// One SQLite file for each service.
    Sqlite,
    /// One PostgreSQL database and role for each service.
    Postgres,
}

impl Default for Stores {
    fn default() -> Self {
        let at = |name: &str| PostgresConfig {
            url: format!("postgres://comanda_{name}@127.0.0.1:5432/comanda_{name}"),
            ..PostgresConfig::default()
        };
        Stores { kind: StoreKind::Sqlite, order: at("order"), consumer: at("consumer"), restaurant: at("restaurant") }
    }
}

impl Stores {
    /// The database of a service; `None` for roles without one.
    pub(crate) fn postgres(&self, role: Role) -> Option<&PostgresConfig> {
        match role {
            Role::Order => Some(&self.order),
            Role::Consumer => Some(&self.consumer),
            Role::Restaurant => Some(&self.restaurant),
            Role::Relay | Role::Gateway => None,
        }
    }
}
