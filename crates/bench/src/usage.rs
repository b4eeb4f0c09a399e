//! What processes have used, as the kernel counts it.

use std::path::Path;
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
    let rollup = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("smaps_rollup"));
    let rollup = rollup.unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::own().bytes > 100_000, "{:?}", Usage::own());
    }

    #[test]
    fn a_family_has_at_least_what_its_head_has() {
        let id = std::process::id();

        assert!(Usage::of_family(id).cpu >= Usage::of(id).cpu);
    }
}
