//! How Consul is reached and believed.

use crate::Error;
use http::Uri;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The longest `wait` of a blocking query, in milliseconds: an index that is ahead of the server makes a query deaf for that long.
const WAIT_MS_MAX: u64 = 60_000;

/// Settings of the Consul adapter. The token is read from a file only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsulConfig {
    /// URLs of agents, as `http://HOST:PORT` or `https://HOST:PORT`. Services are registered with the first, which should be the one on
    /// this machine; when it does not answer, endpoints are asked for at the next. Default: an agent beside this program.
    pub agents: Vec<String>,
    /// The file with the token. It is read at each request, so that it can be renewed at run time. Default: none, for agents without ACLs.
    pub token_file: Option<PathBuf>,
    /// Certificates; needed for `https`.
    pub tls: Option<ConsulTls>,
    /// The datacenter that endpoints are looked for in. Default: that of the agent.
    pub datacenter: Option<String>,
    /// Which port of a service with several (Consul 1.22) is meant. Default: the one that its registration calls the default, or the first.
    pub port_name: Option<String>,
    /// How long a blocking query waits for news, 10 % more or less. Default: 55 s; at most 60 s, since an index that is ahead of the server
    /// makes a query deaf for that long.
    pub wait_ms: u64,
    /// How long an agent may take to answer what does not wait. Default: 5 s, longer than a garbage collection or a hop to the leader.
    pub request_timeout_ms: u64,
    /// How long a connection may take. Default: 2 s, since an agent is near.
    pub connect_timeout_ms: u64,
    /// The first pause after a fault; it doubles. Default: 100 ms, so that a hiccup costs little.
    pub backoff_ms_min: u64,
    /// The longest pause after faults. Default: 10 s, so that news is at most so much later once Consul is back.
    pub backoff_ms_max: u64,
    /// The share of members that may vanish in one answer and be believed at once. Default: 50 %, more than a rolling restart takes away.
    pub shrink_percent_max: u32,
    /// How long members that vanished in a way that is not believed stay, demoted. Default: 30 s, the usual interval of a check.
    pub hold_down_ms: u64,
    /// How long a member stays, demoted, whose check has not run since its agent was started. Default: 2 min, four usual intervals.
    pub unproven_ms_max: u64,
    /// How far a server may be behind its leader and still be believed. Default: 10 s, which is longer than an election.
    pub behind_ms_max: u64,
    /// The largest answer that is read. Default: 8 MiB, some 5,000 members.
    pub body_bytes_max: usize,
    /// Queries of watches at the same time. More watches than this take turns of 2 s. Default: 100, since Consul allows 200 connections
    /// from one address, and a pool may have some that it has opened in vain.
    pub watches_at_once_max: usize,
    /// The folder of snapshots for cold starts while Consul is away. Default: none are kept.
    pub snapshot_folder: Option<PathBuf>,
    /// How old a snapshot may be to be used. Default: 24 h; after longer, addresses may be somebody else's.
    pub snapshot_hours_max: u32,
}

impl Default for ConsulConfig {
    fn default() -> Self {
        ConsulConfig {
            agents: vec!["http://127.0.0.1:8500".to_owned()],
            token_file: None,
            tls: None,
            datacenter: None,
            port_name: None,
            wait_ms: 55_000,
            request_timeout_ms: 5_000,
            connect_timeout_ms: 2_000,
            backoff_ms_min: 100,
            backoff_ms_max: 10_000,
            shrink_percent_max: 50,
            hold_down_ms: 30_000,
            unproven_ms_max: 120_000,
            behind_ms_max: 10_000,
            body_bytes_max: 8 * 1024 * 1024,
            watches_at_once_max: 100,
            snapshot_folder: None,
            snapshot_hours_max: 24,
        }
    }
}

/// How the line to Consul is encrypted. Keys may be EC or RSA, in SEC1, PKCS#1 or PKCS#8.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsulTls {
    /// The certificates that agents are trusted by, such as `consul-agent-ca.pem`. No default: Consul's authority is its own.
    pub ca_file: PathBuf,
    /// This program's own certificate, if Consul asks for one (`verify_incoming`).
    pub certificate_file: Option<PathBuf>,
    /// The key to it.
    pub key_file: Option<PathBuf>,
    /// The name in the agents' certificates, such as `server.dc1.consul`. Default: the host in the agent's URL.
    pub server_name: Option<String>,
}

impl ConsulConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |field, reason: &str| Err(Error::Settings { field, reason: reason.to_owned() });
        if self.agents.is_empty() {
            return wrong("agents", "names none; name at least the agent on this machine");
        }
        for agent in &self.agents {
            self.check_agent(agent)?;
        }
        if self.tls.as_ref().is_some_and(|tls| tls.certificate_file.is_some() != tls.key_file.is_some()) {
            return wrong("tls", "certificate_file and key_file belong together; give both or none");
        }
        if self.wait_ms == 0 || self.wait_ms > WAIT_MS_MAX {
            return wrong("wait_ms", "can be 1 to 60000; a query with a wrong index is deaf for that long");
        }
        if self.backoff_ms_min == 0 || self.backoff_ms_min > self.backoff_ms_max {
            return wrong("backoff_ms_min", "can be 1 to backoff_ms_max; without a pause a fault becomes a flood");
        }
        if self.shrink_percent_max > 100 {
            return wrong("shrink_percent_max", "can be 0 to 100");
        }
        let times = [
            ("request_timeout_ms", self.request_timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("behind_ms_max", self.behind_ms_max),
            ("snapshot_hours_max", u64::from(self.snapshot_hours_max)),
        ];
        if let Some((field, _)) = times.into_iter().find(|(_, time)| *time == 0) {
            return wrong(field, "must be longer than 0");
        }
        if self.body_bytes_max == 0 {
            return wrong("body_bytes_max", "must be more than 0");
        }
        if self.watches_at_once_max == 0 || self.watches_at_once_max > 180 {
            return wrong("watches_at_once_max", "can be 1 to 180; Consul allows 200 connections from one address");
        }
        Ok(())
    }

    fn check_agent(&self, agent: &str) -> Result<(), Error> {
        let wrong = |reason: &str| Err(Error::Settings { field: "agents", reason: format!("{agent:?} {reason}") });
        // It would be shown wherever the address is.
        if agent.contains('@') {
            return Err(Error::Settings {
                field: "agents",
                reason: "an address has a name or a password in it; name the token in token_file".to_owned(),
            });
        }
        let Ok(uri) = agent.parse::<Uri>() else { return wrong("is no URL; write http://HOST:PORT") };
        let (Some(scheme), Some(_)) = (uri.scheme_str(), uri.port_u16()) else {
            return wrong("lacks a scheme or a port; write http://HOST:PORT");
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return wrong("has a path; write http://HOST:PORT");
        }
        match (scheme, &self.tls) {
            ("http", None) | ("https", Some(_)) => Ok(()),
            ("http", Some(_)) => wrong("is not encrypted though tls is set; write https://, or leave tls out"),
            ("https", None) => wrong("needs tls.ca_file, the certificate of Consul's authority"),
            _ => wrong("is neither http nor https"),
        }
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn backoff(&self) -> crate::pace::Backoff {
        crate::pace::Backoff::new(
            Duration::from_millis(self.backoff_ms_min),
            Duration::from_millis(self.backoff_ms_max),
        )
    }

    /// How long the next query waits, with `random` from 0 to 1 as jitter.
    pub(super) fn wait(&self, random: f64) -> Duration {
        let wait = Duration::from_millis(self.wait_ms).mul_f64(0.9 + random / 5.0);
        wait.min(Duration::from_millis(WAIT_MS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &ConsulConfig, complaint: &str) {
        let refused = config.check().unwrap_err().to_string();
        assert!(refused.contains(complaint), "{refused}");
    }

    fn asks(agent: &str) -> ConsulConfig {
        ConsulConfig { agents: vec![agent.to_owned()], ..ConsulConfig::default() }
    }

    #[test]
    fn the_default_is_right() {
        assert!(ConsulConfig::default().check().is_ok());
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let refused = toml::from_str::<ConsulConfig>("token_fiel = \"token\"").unwrap_err().to_string();

        assert!(refused.contains("unknown field `token_fiel`"), "{refused}");
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_named_with_the_reason() {
        check(&ConsulConfig { agents: Vec::new(), ..ConsulConfig::default() }, "agents");
        check(&ConsulConfig { wait_ms: 300_000, ..ConsulConfig::default() }, "wait_ms is wrong: can be 1 to 60000");
        check(&ConsulConfig { backoff_ms_min: 0, ..ConsulConfig::default() }, "backoff_ms_min");
        check(&ConsulConfig { request_timeout_ms: 0, ..ConsulConfig::default() }, "request_timeout_ms");
        check(&ConsulConfig { watches_at_once_max: 500, ..ConsulConfig::default() }, "200 connections");
    }

    #[test]
    fn an_address_of_an_agent_is_a_url_without_secrets() {
        check(&asks("127.0.0.1:8500"), "write http://HOST:PORT");
        check(&asks("http://127.0.0.1"), "lacks a scheme or a port");
        check(&asks("https://127.0.0.1:8501"), "tls.ca_file");
        check(&asks("http://127.0.0.1:8500/v1"), "has a path");
        check(&asks("http://admin:hunter2@127.0.0.1:8500"), "token_file");
        assert!(!asks("http://admin:hunter2@127.0.0.1:8500").check().unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn a_query_never_waits_longer_than_a_minute() {
        let longest = ConsulConfig { wait_ms: 60_000, ..ConsulConfig::default() };

        assert_eq!(longest.wait(1.0), Duration::from_secs(60));
        assert_eq!(ConsulConfig::default().wait(0.0), Duration::from_millis(49_500));
    }
}
