//! When each service is away; pure.
//!
//! Time is cut into blocks of one length. In each block each service is away once, for exactly its share of the block, from a moment that is
//! drawn for it alone and all around the block: what would pass the block's end is at its beginning. So a service is away at any moment of
//! a block with the same probability, whatever the others do: the time in which all are there is the product of their shares, in
//! expectation exactly; and the blocks are independent, which is what the confidence interval rests on. Phases of random lengths would
//! have the same expectation, and a share that differs from run to run.

use std::time::Duration;

/// Numbers that look random and are the same for the same seed (splitmix64, Steele et al. 2014).
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A moment before `end`, to the microsecond.
    fn before(&mut self, end: Duration) -> Duration {
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.next() % micros)
    }
}

/// A share of time, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Share(f64);

impl Share {
    /// `None` for what is no share.
    pub(crate) fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Share(share))
    }

    pub(crate) fn get(self) -> f64 {
        self.0
    }
}

/// The blocks of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) count: u32,
    pub(crate) each: Duration,
}

impl Blocks {
    /// All of them.
    pub(crate) fn total(self) -> Duration {
        self.each * self.count
    }
}

/// A service comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switch {
    /// Since the beginning of the run.
    pub(crate) at: Duration,
    /// Its number, from 0.
    pub(crate) service: usize,
    pub(crate) is_up: bool,
}

/// All that happens in a run, in its order: each of `services` is there for `up` of each block.
pub(crate) fn plan(services: usize, up: Share, blocks: Blocks, seed: u64) -> Vec<Switch> {
    let mut random = Random(seed);
    let away = blocks.each.mul_f64(1.0 - up.get());
    let mut switches = Vec::new();
    for service in 0..services {
        let mut phases: Vec<(Duration, Duration)> = Vec::new();
        for block in 0..blocks.count {
            let begin = blocks.each * block;
            for (from, to) in around(random.before(blocks.each), away, blocks.each) {
                match phases.last_mut() {
                    // What ends with a block may go on with the next one.
                    Some(last) if last.1 == begin + from => last.1 = begin + to,
                    _ => phases.push((begin + from, begin + to)),
                }
            }
        }
        for (from, to) in phases.into_iter().filter(|(from, to)| from < to) {
            switches.push(Switch { at: from, service, is_up: false });
            switches.push(Switch { at: to, service, is_up: true });
        }
    }
    switches.sort_by_key(|switch| switch.at);
    switches
}

/// A phase that begins at `from` and lasts for `lasts`, around a block that lasts for `each`: in one piece or in two.
fn around(from: Duration, lasts: Duration, each: Duration) -> Vec<(Duration, Duration)> {
    let to = from + lasts;
    if to <= each { vec![(from, to)] } else { vec![(Duration::ZERO, to - each), (from, each)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCKS: Blocks = Blocks { count: 200, each: Duration::from_secs(10) };

    /// How long each of two services is away, and both at once.
    fn away(switches: &[Switch]) -> [Duration; 3] {
        let (mut is_up, mut last, mut sums) = ([true; 2], Duration::ZERO, [Duration::ZERO; 3]);
        for switch in switches {
            let passed = switch.at - last;
            let is_away = [!is_up[0], !is_up[1], is_up == [false; 2]];
            sums.iter_mut().zip(is_away).filter(|(_, is_away)| *is_away).for_each(|(sum, _)| *sum += passed);
            assert_ne!(is_up[switch.service], switch.is_up, "{switch:?} changes nothing");
            is_up[switch.service] = switch.is_up;
            last = switch.at;
        }
        assert_eq!(is_up, [true; 2], "a service stays away");
        sums
    }

    #[test]
    fn each_service_is_away_for_exactly_its_share() {
        let [first, second, _] = away(&plan(2, Share::new(0.9).unwrap(), BLOCKS, 1));

        assert_eq!((first, second), (Duration::from_secs(200), Duration::from_secs(200)));
    }

    #[test]
    fn all_are_there_for_about_the_product_of_their_shares() {
        let [first, second, both] = away(&plan(2, Share::new(0.9).unwrap(), BLOCKS, 1));

        let is_away = (first + second - both).as_secs_f64() / BLOCKS.total().as_secs_f64();
        assert!((1.0 - is_away - 0.81).abs() < 0.01, "{is_away}");
    }

    #[test]
    fn a_service_that_is_always_there_never_goes() {
        assert_eq!(plan(2, Share::new(1.0).unwrap(), BLOCKS, 1), []);
    }

    #[test]
    fn a_service_that_is_never_there_goes_once() {
        let switches = plan(1, Share::new(0.0).unwrap(), BLOCKS, 1);

        let away = |at, is_up| Switch { at, service: 0, is_up };
        assert_eq!(switches, [away(Duration::ZERO, false), away(BLOCKS.total(), true)]);
    }

    #[test]
    fn the_same_seed_gives_the_same_outages() {
        let of = |seed| plan(2, Share::new(0.9).unwrap(), BLOCKS, seed);

        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    proptest! {
        #[test]
        fn what_passes_the_end_of_a_block_is_at_its_beginning(from in 0..1_000_u64, lasts in 0..=1_000_u64) {
            let [from, lasts, each] = [from, lasts, 1_000].map(Duration::from_millis);

            let phases = around(from, lasts, each);

            prop_assert_eq!(phases.iter().map(|(from, to)| *to - *from).sum::<Duration>(), lasts);
            prop_assert!(phases.iter().all(|(from, to)| from <= to && *to <= each), "{:?}", phases);
            prop_assert!(phases.windows(2).all(|two| two[0].1 <= two[1].0), "{:?}", phases);
        }
    }
}
