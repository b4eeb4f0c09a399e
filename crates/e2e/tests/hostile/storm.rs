//! An attack beside somebody who only wants to be served.

use futures_util::future::BoxFuture;
use rustix::process::setpriority_process;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use testkit::{Comanda, Http, Options};
use tokio::runtime::Builder;

/// Requests before an attack, and at least as many beside it: of 400 the 99th percentile is not the slowest one.
const REQUESTS: usize = 400;
/// What an attack may add to the memory of the process. 100 MB: what MESSAGING calls bounded.
const GROWTH_BYTES_MAX: u64 = 100_000_000;
/// The priority of who runs when nobody else wants to.
const LAST: i32 = 19;
/// What a request may take besides twice what it took in peace. The platform and other tests share two processors.
const SLACK: Duration = Duration::from_millis(250);

/// A platform with these settings, such as `COMANDA_GATEWAY__HEADERS_MAX`.
pub(crate) async fn platform(settings: &[(&str, u64)]) -> Comanda {
    let env = settings.iter().map(|(name, value)| (format!("COMANDA_GATEWAY__{name}"), value.to_string())).collect();
    Comanda::start(Options { env, ..Options::default() }).await
}

/// Runs an attack on a platform, and checks that nobody else suffers. Gives what the attack has seen.
pub(crate) async fn survives<T: Send + 'static>(
    settings: &[(&str, u64)],
    attack: impl FnOnce(String) -> BoxFuture<'static, T>,
) -> T {
    let platform = platform(settings).await;
    let http = platform.http();
    ask(&http, REQUESTS / 4).await;
    let peace = ask(&http, REQUESTS).await;
    let before = resident_bytes(&platform);

    let attacker = attack_from_elsewhere(attack(platform.url().to_owned()));
    let (mut beside, mut most) = (Vec::new(), before);
    while !attacker.is_finished() {
        beside.extend(ask(&http, REQUESTS / 8).await);
        most = most.max(resident_bytes(&platform));
    }
    let seen = attacker.join().expect("the attack does not panic");
    beside.extend(ask(&http, REQUESTS.saturating_sub(beside.len())).await);

    let (calm, stormy) = (percentile_99(peace), percentile_99(beside));
    let grown = most.saturating_sub(before);
    println!("p99 {calm:?} in peace, {stormy:?} beside the attack; {} kB more memory", grown / 1000);
    assert!(stormy <= calm * 2 + SLACK, "others waited {stormy:?} instead of {calm:?}");
    assert!(grown < GROWTH_BYTES_MAX, "the attack took {grown} bytes");
    assert!(!platform.log().contains("panicked"), "a part of the platform has panicked");
    seen
}

/// An attacker has processors of its own. Here it gets what is left of those of the platform and its victims, so that what they suffer is what
/// the platform has to do for it.
fn attack_from_elsewhere<T: Send + 'static>(attack: BoxFuture<'static, T>) -> JoinHandle<T> {
    std::thread::spawn(move || {
        // In Linux this is about the thread that calls it.
        setpriority_process(None, LAST).expect("everybody may step back");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(attack)
    })
}

/// Lets whoever waits for this processor have it. Priorities decide who is next, but nobody is interrupted within his slice of 3 ms.
pub(crate) fn give_way() {
    std::thread::yield_now();
}

/// Asks again and again; how long each answer took.
async fn ask(http: &Http, times: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        let answer = http.get("/v1/consumers/0198a000-0000-7000-8000-000000000000").send().await;
        assert!(answer.status.as_u16() < 500, "{answer:?}");
        took.push(begun.elapsed());
    }
    took
}

fn percentile_99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// The memory of the process that is in use.
pub(crate) fn resident_bytes(platform: &Comanda) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", platform.process_id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") * 1024
}
