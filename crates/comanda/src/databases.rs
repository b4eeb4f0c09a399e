//! The databases that the roles of this process have open, for operators.

use crate::admin::chain;
use crate::wire;
use crate::{Config, Role};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::time::timeout;

/// How long a database may take to be opened for an operator.
const OPENED_WITHIN: Duration = Duration::from_secs(2);

/// Open databases by service, and by the role that opened them.
#[derive(Debug, Default)]
pub(crate) struct Databases(Mutex<BTreeMap<(Role, Role), Store>>);

impl Databases {
    /// Notes that a role uses the database of a service.
    pub(crate) fn put(&self, service: Role, by: Role, store: Store) {
        self.open().insert((service, by), store);
    }

    /// Forgets what a role has opened.
    pub(crate) fn remove(&self, by: Role) {
        self.open().retain(|(_, opener), _| *opener != by);
    }

    /// The database of a service, opened for this purpose if the role that uses it is stopped.
    pub(crate) async fn get(&self, config: &Config, service: Role) -> Result<Store, String> {
        let open = self.open().iter().find(|((of, _), _)| *of == service).map(|(_, store)| store.clone());
        if let Some(store) = open {
            return Ok(store);
        }
        match timeout(OPENED_WITHIN, wire::open(config, service)).await {
            Ok(Ok(store)) => Ok(store),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_elapsed) => Err(format!("it could not be opened within {OPENED_WITHIN:?}")),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<(Role, Role), Store>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
