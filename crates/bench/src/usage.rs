//! What processes have used, as the kernel counts it.

use std::time::Duration;

/// The kernel shows CPU time in hundredths of a second (`USER_HZ`, proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// What a process and its children have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Since they began, children that have ended included.
    pub(crate) cpu: Duration,
    /// In memory now; what several share is split among them.
    pub(crate) bytes: u64,
}

impl Usage {
    /// Of this process.
    pub(crate) fn own() -> Self {
        Usage::of(std::process::id())
    }

    /// Of a process alone; nothing when it has ended.
    pub(crate) fn of(id: u32) -> Self {
        let stat = Stat::read(id).unwrap_or_default();
        Usage { cpu: stat.own, bytes: proportional_bytes(id) }
    }

    /// Of a process and those that it has started.
    pub(crate) fn of_family(id: u32) -> Self {
        let mut usage = Usage { cpu: Stat::read(id).unwrap_or_default().ended, ..Usage::default() };
        let children = processes().into_iter().filter(|it| Stat::read(*it).is_some_and(|stat| stat.parent == id));
        for of_one in children.chain([id]).map(Usage::of) {
            usage.cpu += of_one.cpu;
            usage.bytes += of_one.bytes;
        }
        usage
    }
}

/// The processor time of the threads that a process has now, to the nanosecond: the first field of `schedstat` (kernel documentation,
/// "scheduler/sched-stats"). Threads that have ended are not counted, so it is for programs whose threads stay.
pub(crate) fn cpu_of_threads(id: u32) -> Duration {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Duration::ZERO };
    let nanoseconds = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// What of a process is in memory now, shared or not.
pub(crate) fn resident_bytes(id: u32) -> u64 {
    kilobytes(&format!("/proc/{id}/status"), "VmRSS:") * 1024
}

#[derive(Debug, Default)]
struct Stat {
    parent: u32,
    own: Duration,
    ended: Duration,
}

impl Stat {
    /// Fields 4 and 14 to 17 of `/proc/ID/stat`; the second is a name in brackets that may hold anything.
    fn read(id: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (_, after) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let time = |from: usize| -> Option<Duration> {
            let ticks: u32 = fields.get(from)?.parse().ok()?;
            let more: u32 = fields.get(from + 1)?.parse().ok()?;
            Some(TICK * (ticks + more))
        };
        Some(Stat { parent: fields.get(1)?.parse().ok()?, own: time(11)?, ended: time(13)? })
    }
}

fn processes() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn proportional_bytes(id: u32) -> u64 {
    kilobytes(&format!("/proc/{id}/smaps_rollup"), "Pss:") * 1024
}

/// The number in a line of a file of `/proc`; 0 when it is not there, as after the end of a process.
fn kilobytes(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::own().bytes > 100_000, "{:?}", Usage::own());
    }

    #[test]
    fn threads_are_accounted_for_to_the_nanosecond() {
        let id = std::process::id();
        let before = cpu_of_threads(id);

        let sum: u64 = std::hint::black_box((0..1_000_000).sum());

        assert!(sum > 0 && before > Duration::ZERO && cpu_of_threads(id) > before);
        assert!(resident_bytes(id) > 100_000);
    }

    #[test]
    fn a_family_has_at_least_what_its_head_has() {
        let id = std::process::id();
        // Other tests of this process go on meanwhile, so what is to be less is read first.
        let head = Usage::of(id);

        assert!(Usage::of_family(id).cpu >= head.cpu);
    }
}
