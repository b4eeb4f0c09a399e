//! The breakers that are measured, each made permitting or refusing.

use crate::{Fault, OURS};
use breaker::{Breaker, Config, Outcome, Reason};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::{Layer, Service, ServiceExt};
use tower_resilience_circuitbreaker::{CircuitBreaker, CircuitBreakerLayer, DefaultClassifier};

/// Longer than any run.
const OPEN: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Permitted,
    Rejected,
}

impl Case {
    pub(crate) fn name(self, threads: usize) -> &'static str {
        match (self, threads) {
            (Case::Permitted, 1) => "permitted",
            (Case::Permitted, _) => "permitted, 2 threads",
            (Case::Rejected, 1) => "rejected",
            (Case::Rejected, _) => "rejected, 2 threads",
        }
    }
}

/// One breaker under calls.
pub(crate) trait Subject: Sync {
    fn name(&self) -> &'static str;

    /// Makes so many calls that do well, or are refused. What they are made with is hidden from the compiler before the first one: done for each,
    /// a pointer and a byte go through one place in the stack in turn, which takes from 0 to 4 ns, depending on addresses.
    fn calls(&self, calls: u64) -> Result<(), Fault>;
}

type Make = fn(Case) -> Result<Box<dyn Subject>, Fault>;

pub(crate) const SUBJECTS: [Make; 7] =
    [Ours::make, OursOwned::make, Floor::make, FloorAdd::make, Failsafe::make, Recloser::make, TowerResilience::make];

struct Ours(Breaker);
struct OursOwned(Breaker);

fn ours(case: Case) -> Result<Breaker, Fault> {
    let config = Config { open_ms: 3_600_000, open_max_ms: 3_600_000, jitter: 0.0, ..Config::default() };
    let breaker = Breaker::new(&config)?;
    if case == Case::Rejected {
        breaker.trip(Reason::Caller);
    }
    Ok(breaker)
}

impl Ours {
    fn make(case: Case) -> Result<Box<dyn Subject>, Fault> {
        Ok(Box::new(Ours(ours(case)?)))
    }
}

impl Subject for Ours {
    fn name(&self) -> &'static str {
        OURS
    }

    fn calls(&self, calls: u64) -> Result<(), Fault> {
        let (breaker, outcome) = black_box((&self.0, Outcome::Success));
        for _ in 0..calls {
            match breaker.try_acquire() {
                Ok(permit) => permit.record(outcome),
                Err(rejected) => _ = black_box(&rejected),
            }
        }
        Ok(())
    }
}

impl OursOwned {
    fn make(case: Case) -> Result<Box<dyn Subject>, Fault> {
        Ok(Box::new(OursOwned(ours(case)?)))
    }
}

impl Subject for OursOwned {
    fn name(&self) -> &'static str {
        "ours, owned"
    }

    fn calls(&self, calls: u64) -> Result<(), Fault> {
        let (breaker, outcome) = black_box((&self.0, Outcome::Success));
        for _ in 0..calls {
            match breaker.try_acquire_owned() {
                Ok(permit) => permit.record(outcome),
                Err(rejected) => _ = black_box(&rejected),
            }
        }
        Ok(())
    }
}

/// A load and a branch.
struct Floor(AtomicU64);

impl Floor {
    fn make(case: Case) -> Result<Box<dyn Subject>, Fault> {
        Ok(Box::new(Floor(AtomicU64::new(u64::from(case == Case::Rejected)))))
    }
}

impl Subject for Floor {
    fn name(&self) -> &'static str {
        "atomic load"
    }

    fn calls(&self, calls: u64) -> Result<(), Fault> {
        let word = black_box(&self.0);
        for _ in 0..calls {
            if word.load(Ordering::Relaxed) == 0 {
                black_box(());
            }
        }
        Ok(())
    }
}

/// A load, a branch and an add: what counting costs one thread.
struct FloorAdd(AtomicU64);

impl FloorAdd {
    fn make(_: Case) -> Result<Box<dyn Subject>, Fault> {
        Ok(Box::new(FloorAdd(AtomicU64::new(0))))
    }
}

impl Subject for FloorAdd {
    fn name(&self) -> &'static str {
        "atomic add"
    }

    fn calls(&self, calls: u64) -> Result<(), Fault> {
        let word = black_box(&self.0);
        for _ in 0..calls {
            if word.load(Ordering::Relaxed) != u64::MAX {
                word.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

struct Failsafe(failsafe::StateMachine<failsafe::failure_policy::ConsecutiveFailures<failsafe::backoff::Constant>, ()>);

impl Failsafe {
    fn make(case: Case) -> Result<Box<dyn Subject>, Fault> {
        let policy = failsafe::failure_policy::consecutive_failures(5, failsafe::backoff::constant(OPEN));
        let machine = failsafe::Config::new().failure_policy(policy).build();
        if case == Case::Rejected {
            (0..5).for_each(|_| machine.on_error());
        }
        Ok(Box::new(Failsafe(machine)))
    }
}

impl Subject for Failsafe {
    fn name(&self) -> &'static str {
        "failsafe"
    }

    fn calls(&self, calls: u64) -> Result<(), Fault> {
        let breaker = black_box(&self.0);
        for _ in 0..calls {
            if breaker.is_call_permitted() {
                breaker.on_success();
            }
        }
        Ok(())
    }
}

struct Recloser(recloser::Recloser);

impl Recloser {
    fn make(case: Case) -> Result<Box<dyn Subject>, Fault> {
        let recloser = recloser::Recloser::custom().error_rate(0.5).closed_len(100).open_wait(OPEN).build();
        if case == Case::Rejected {
            while !matches!(recloser.call(|| Err::<(), ()>(())), Err(recloser::Error::Rejected)) {}
        }
        Ok(Box::new(Recloser(recloser)))
    }
}

impl Subject for Recloser {
    fn name(&self) -> &'static str {
        "recloser"
    }

    fn calls(&self, calls: u64) -> Result<(), Fault> {
        let breaker = black_box(&self.0);
        for _ in 0..calls {
            black_box(breaker.call(|| Ok::<(), ()>(()))).ok();
        }
        Ok(())
    }
}

type Ready = tower::util::ServiceFn<fn(()) -> std::future::Ready<Result<(), std::io::Error>>>;

/// Its rejections and its permits are futures, run here on a thread that does nothing else.
struct TowerResilience(CircuitBreaker<Ready, DefaultClassifier>);

impl TowerResilience {
    fn make(case: Case) -> Result<Box<dyn Subject>, Fault> {
        let layer = CircuitBreakerLayer::builder().sliding_window_size(100).build()?;
        let ready: fn(()) -> std::future::Ready<Result<(), std::io::Error>> = |()| std::future::ready(Ok(()));
        let service = layer.layer(tower::service_fn(ready));
        if case == Case::Rejected {
            runtime()?.block_on(service.force_open());
        }
        Ok(Box::new(TowerResilience(service)))
    }
}

impl Subject for TowerResilience {
    fn name(&self) -> &'static str {
        "tower-resilience"
    }

    fn calls(&self, calls: u64) -> Result<(), Fault> {
        runtime()?.block_on(async {
            let mut service = self.0.clone();
            for _ in 0..calls {
                let Ok(ready) = service.ready().await else { continue };
                black_box(ready.call(()).await).ok();
            }
        });
        Ok(())
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?)
}
