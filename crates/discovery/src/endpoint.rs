//! One address of a service, and what changed between two lists of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// One address of a service. Its identity is the address with the id; everything else may change while connections stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is reached.
    pub address: SocketAddr,
    /// Whether it is thought to work.
    pub standing: Standing,
    /// Its share of the calls, relative to the others: 1 unless its registration says more.
    pub weight: u32,
    /// Where it stands, such as a rack or an availability zone.
    pub zone: Option<Arc<str>>,
    /// The version of its program.
    pub version: Option<Arc<str>>,
    /// What else its registration says.
    pub meta: Arc<BTreeMap<String, String>>,
    /// The tags of its registration.
    pub tags: Arc<[String]>,
    /// What its registration is called; the address where there is none.
    pub id: Arc<str>,
}

/// Whether an endpoint is thought to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It works.
    Up,
    /// It works, and says that something is wrong with it; its weight is that of its warning.
    Warning,
    /// Nobody knows: its check has not run since its agent was started, it vanished in a way that may be an error of the registry, or it
    /// is of a later priority in SRV. It is to be used when there is nothing better, rather than dropped.
    Unknown,
}

impl Endpoint {
    /// An endpoint of which nothing is known but its address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Endpoint {
            address,
            standing: Standing::Up,
            weight: 1,
            zone: None,
            version: None,
            meta: Arc::default(),
            tags: Arc::default(),
            id: address.to_string().into(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        (self.address, self.id.clone())
    }
}

/// What makes two endpoints the same one.
pub(crate) type Key = (SocketAddr, Arc<str>);

/// One difference between two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Insert(Endpoint),
    /// It is the same endpoint, and something about it is different; here as it is now.
    Update(Endpoint),
    /// It is not there any more; here as it was.
    Remove(Endpoint),
}

/// What has to be done to `before` to make it `after`: removals first, each part by address. What is the same in both is not mentioned.
#[must_use]
pub fn deltas(before: &[Endpoint], after: &[Endpoint]) -> Vec<Change> {
    let by_key = |list: &[Endpoint]| -> BTreeMap<Key, Endpoint> {
        list.iter().map(|endpoint| (endpoint.key(), endpoint.clone())).collect()
    };
    let (old, new) = (by_key(before), by_key(after));
    let removed = old.iter().filter(|(key, _)| !new.contains_key(*key)).map(|(_, gone)| Change::Remove(gone.clone()));
    let others = new.iter().filter_map(|(key, endpoint)| match old.get(key) {
        None => Some(Change::Insert(endpoint.clone())),
        Some(same) if same == endpoint => None,
        Some(_) => Some(Change::Update(endpoint.clone())),
    });
    removed.chain(others).collect()
}

/// Sorts by address, and keeps of several with one address the one of the best standing: an address is one process, whatever
/// registrations it has left behind.
pub(crate) fn in_order(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    endpoints.sort_by(|a, b| (a.address, a.standing, &a.id).cmp(&(b.address, b.standing, &b.id)));
    endpoints.dedup_by_key(|endpoint| endpoint.address);
    endpoints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Endpoint {
        Endpoint::at(SocketAddr::from(([10, 0, 0, 1], port)))
    }

    #[test]
    fn what_is_the_same_is_not_mentioned() {
        assert_eq!(deltas(&[at(1), at(2)], &[at(2), at(1)]), []);
    }

    #[test]
    fn a_change_of_standing_is_an_update_and_no_new_endpoint() {
        let demoted = Endpoint { standing: Standing::Unknown, ..at(1) };

        assert_eq!(deltas(&[at(1)], std::slice::from_ref(&demoted)), [Change::Update(demoted)]);
    }

    #[test]
    fn another_id_at_the_same_address_is_another_endpoint() {
        let reborn = Endpoint { id: "second".into(), ..at(1) };

        assert_eq!(deltas(&[at(1)], std::slice::from_ref(&reborn)), [Change::Remove(at(1)), Change::Insert(reborn)]);
    }

    #[test]
    fn deltas_make_the_one_list_of_the_other() {
        let changes = deltas(&[at(1), at(2)], &[at(2), at(3)]);

        assert_eq!(changes, [Change::Remove(at(1)), Change::Insert(at(3))]);
    }

    #[test]
    fn an_address_is_in_a_list_once_with_its_best_standing() {
        let left_behind = Endpoint { standing: Standing::Unknown, id: "crashed".into(), ..at(1) };

        assert_eq!(in_order(vec![at(2), left_behind, at(1)]), [at(1), at(2)]);
    }
}
