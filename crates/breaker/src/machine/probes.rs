//! The probes of a half-open breaker: leased, so that one that hangs or gets lost gives its place to the next.

use super::rules::Rules;

/// The leases that are out, and the good answers so far.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    leases: Vec<Lease>,
    ok: u32,
    last_id: u64,
}

#[derive(Debug)]
struct Lease {
    id: u64,
    until_ms: u64,
}

impl Probes {
    /// Begins a half-open time: nothing is out. Ids go on, so that a lease of the last time is not one of this.
    pub(crate) fn restart(&mut self) {
        self.leases.clear();
        self.ok = 0;
    }

    /// Leases a probe, or says in how many milliseconds one will be free at the latest.
    pub(crate) fn lease(&mut self, now_ms: u64, rules: &Rules) -> Result<u64, u64> {
        self.leases.retain(|lease| lease.until_ms > now_ms);
        if !self.has_room(self.leases.len(), rules) {
            let first = self.leases.iter().map(|lease| lease.until_ms).min().unwrap_or(now_ms);
            return Err(first.saturating_sub(now_ms));
        }
        self.last_id += 1;
        self.leases.push(Lease { id: self.last_id, until_ms: now_ms.saturating_add(rules.probe_lease_ms) });
        Ok(self.last_id)
    }

    /// Whether [`Probes::lease`] would lease one; if not, in how many milliseconds at the latest.
    pub(crate) fn rest_ms(&self, now_ms: u64, rules: &Rules) -> u64 {
        if self.has_room(self.out(now_ms), rules) {
            return 0;
        }
        let leases = self.leases.iter().map(|lease| lease.until_ms).filter(|until| *until > now_ms);
        leases.min().unwrap_or(now_ms) - now_ms
    }

    /// How many are out.
    pub(crate) fn out(&self, now_ms: u64) -> usize {
        self.leases.iter().filter(|lease| lease.until_ms > now_ms).count()
    }

    /// Ends a lease; false if it has run out.
    pub(crate) fn end(&mut self, id: u64, now_ms: u64) -> bool {
        let Some(place) = self.leases.iter().position(|lease| lease.id == id) else { return false };
        self.leases.swap_remove(place).until_ms > now_ms
    }

    /// Notes a good answer; true if it was the last that was wanted.
    pub(crate) fn answered_well(&mut self, rules: &Rules) -> bool {
        self.ok += 1;
        self.ok >= rules.probes_ok
    }

    /// No more are out than can still be needed.
    fn has_room(&self, out: usize, rules: &Rules) -> bool {
        let wanted = rules.probes.min(rules.probes_ok.saturating_sub(self.ok));
        out < wanted as usize
    }
}
