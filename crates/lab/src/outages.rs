//! Carries a schedule out, and notes what came of it.

use crate::platform::{Platform, TAKEN_AWAY};
use crate::schedule::{Blocks, Switch};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long services were there, as it came about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Realised {
    /// The share of time in which each service was there.
    pub(crate) each: [f64; TAKEN_AWAY],
    /// The share of time in which all of them were there at once.
    pub(crate) all: f64,
}

/// Takes services away and brings them back as `switches` say, counted from `start`. All are there when it returns; if it is dropped, maybe not.
pub(crate) async fn carry_out(platform: &Platform, switches: &[Switch], start: Instant, blocks: Blocks) -> Realised {
    let mut happened = Vec::with_capacity(switches.len());
    for switch in switches {
        sleep_until(start + switch.at).await;
        platform.set(switch.service, switch.is_up);
        happened.push(Switch { at: start.elapsed(), ..*switch });
    }
    sleep_until(start + blocks.total()).await;
    realised(&happened, start.elapsed())
}

/// What switches came to in a run that lasted for `total`, from its beginning with everybody there. Pure.
fn realised(switches: &[Switch], total: Duration) -> Realised {
    let (mut is_up, mut last) = ([true; TAKEN_AWAY], Duration::ZERO);
    let (mut each, mut all) = ([Duration::ZERO; TAKEN_AWAY], Duration::ZERO);
    let ends = switches.iter().map(|switch| (switch.at, Some(switch))).chain([(total, None)]);
    for (at, switch) in ends {
        let passed = at.saturating_sub(last);
        each.iter_mut().zip(is_up).filter(|(_, is_up)| *is_up).for_each(|(sum, _)| *sum += passed);
        all += if is_up == [true; TAKEN_AWAY] { passed } else { Duration::ZERO };
        last = at;
        if let Some(Switch { service, is_up: now, .. }) = switch
            && let Some(service) = is_up.get_mut(*service)
        {
            *service = *now;
        }
    }
    let share = |sum: Duration| if total.is_zero() { 1.0 } else { sum.as_secs_f64() / total.as_secs_f64() };
    Realised { each: each.map(share), all: share(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_time_that_passed() {
        let switch = |at, service, is_up| Switch { at: Duration::from_secs(at), service, is_up };
        let switches = [switch(2, 0, false), switch(3, 1, false), switch(4, 0, true), switch(5, 1, true)];

        let found = realised(&switches, Duration::from_secs(10));

        assert_eq!(found, Realised { each: [0.8, 0.8], all: 0.7 });
    }

    #[test]
    fn a_service_that_nobody_takes_away_is_there() {
        assert_eq!(realised(&[], Duration::from_secs(10)), Realised { each: [1.0, 1.0], all: 1.0 });
    }
}
