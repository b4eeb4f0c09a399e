//! How many connections one address may have, so that nobody takes all that there are, and how long it waits for the next one when some of them
//! broke the rules: an attack that is ended goes on over another connection.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Bits of an IPv6 address that its owner was given; the others it chooses itself.
const NETWORK_BITS: u32 = 64;
/// How long an address waits at most. 10 s: an attack over thousands of connections at once waits long, and others behind the same address are
/// served at all.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The connections of each address.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    penalty: Duration,
    /// Only addresses that have one.
    taken: Mutex<HashMap<IpAddr, Taken>>,
}

/// What an address has.
#[derive(Debug, Default)]
struct Taken {
    count: usize,
    /// Until when it waits with another connection.
    penalty_until: Option<Instant>,
}

/// One connection of an address, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    owner: IpAddr,
}

impl Places {
    /// Places for `max` connections of an address, each of which costs it the penalty if it breaks the rules.
    pub(crate) fn new(max: usize, penalty: Duration) -> Arc<Self> {
        Arc::new(Places { max, penalty: penalty.min(WAIT_MAX), taken: Mutex::default() })
    }

    /// A place for a connection from this address; `None` when it has all that it may have.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let owner = owner(address);
        let mut taken = self.taken();
        let Taken { count, .. } = taken.entry(owner).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { places: Arc::clone(self), owner })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Until when this connection waits for others that broke the rules. An address is known as long as it has a place, so one that broke them
    /// keeps its own until then.
    pub(crate) fn waits_until(&self) -> Option<Instant> {
        let until = self.places.taken().get(&self.owner)?.penalty_until?;
        (until > Instant::now()).then_some(until)
    }

    /// Has the address wait for this connection, which broke the rules; until when.
    pub(crate) fn penalise(&self) -> Instant {
        let now = Instant::now();
        let mut taken = self.places.taken();
        let penalty_until = &mut taken.entry(self.owner).or_default().penalty_until;
        let until = penalty_until.unwrap_or(now).max(now) + self.places.penalty;
        *penalty_until.insert(until.min(now + WAIT_MAX))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(Taken { count, .. }) = taken.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> (Ipv6Addr::BITS - NETWORK_BITS) << (Ipv6Addr::BITS - NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PENALTY: Duration = Duration::from_millis(100);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_gets_them_back() {
        let places = Places::new(2, PENALTY);

        let (first, second) = (places.take(address("10.0.0.1")), places.take(address("::ffff:10.0.0.1")));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(address("10.0.0.1")).is_none());
        assert!(places.take(address("10.0.0.2")).is_some());
        drop(first);
        assert!(places.take(address("10.0.0.1")).is_some());
        drop(second);
        assert!(places.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_owner() {
        let places = Places::new(1, PENALTY);

        let _first = places.take(address("2001:db8:1:2::1")).unwrap();

        assert!(places.take(address("2001:db8:1:2:ffff::9")).is_none());
        assert!(places.take(address("2001:db8:1:3::1")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_waits_for_each_connection_that_broke_the_rules_but_not_for_ever() {
        let places = Places::new(9, PENALTY);
        let (broken, begun) = (places.take(address("10.0.0.1")).unwrap(), Instant::now());
        let other = places.take(address("10.0.0.2")).unwrap();
        assert_eq!(broken.waits_until(), None);

        assert_eq!(broken.penalise(), begun + PENALTY);
        assert_eq!(broken.penalise(), begun + 2 * PENALTY);
        let next = places.take(address("10.0.0.1")).unwrap();
        assert_eq!((next.waits_until(), other.waits_until()), (Some(begun + 2 * PENALTY), None));

        for _ in 0..1_000 {
            assert!(broken.penalise() <= begun + WAIT_MAX);
        }
        assert_eq!(next.waits_until(), Some(begun + WAIT_MAX));

        tokio::time::advance(WAIT_MAX).await;
        assert_eq!(next.waits_until(), None);
    }
}
