//! Snapshots on disk, for a start while Consul is away.

use super::client::segment;
use super::config::ConsulConfig;
use crate::{Endpoint, Standing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::spawn_blocking;

/// A file that is larger was not written by this program.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The file of one service.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    file: PathBuf,
    bytes_max: u64,
    age_max: Duration,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    as_of_unix_ms: u64,
    endpoints: Vec<StoredEndpoint>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredEndpoint {
    address: SocketAddr,
    standing: StoredStanding,
    weight: u32,
    zone: Option<String>,
    version: Option<String>,
    meta: BTreeMap<String, String>,
    tags: Vec<String>,
    id: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredStanding {
    Up,
    Warning,
    Unknown,
}

impl Disk {
    /// `None` when no snapshots are kept.
    pub(super) fn new(config: &ConsulConfig, service: &str) -> Option<Self> {
        let file = config.snapshot_folder.as_ref()?.join(format!("{}.json", segment(service)));
        let age_max = Duration::from_secs(u64::from(config.snapshot_hours_max) * 3_600);
        Some(Disk { file, bytes_max: FILE_BYTES_MAX, age_max })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What was stored, and how long ago it was confirmed; `None` when there is nothing, or it is too old.
    pub(super) async fn load(&self) -> io::Result<Option<(Vec<Endpoint>, Duration)>> {
        let disk = self.clone();
        spawn_blocking(move || disk.read(SystemTime::now())).await?
    }

    /// Replaces what was stored.
    pub(super) async fn store(&self, endpoints: &[Endpoint]) -> io::Result<()> {
        let (disk, endpoints) = (self.clone(), endpoints.to_vec());
        spawn_blocking(move || disk.write(&endpoints, SystemTime::now())).await?
    }

    fn read(&self, now: SystemTime) -> io::Result<Option<(Vec<Endpoint>, Duration)>> {
        match std::fs::metadata(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(metadata) if metadata.len() > self.bytes_max => {
                return Err(io::Error::other(format!("it is larger than {} bytes", self.bytes_max)));
            }
            Ok(_) => {}
        }
        let stored: Stored = serde_json::from_slice(&std::fs::read(&self.file)?)?;
        let as_of = UNIX_EPOCH + Duration::from_millis(stored.as_of_unix_ms);
        // A clock that was set back makes it young, not unreadable.
        let age = now.duration_since(as_of).unwrap_or_default();
        Ok((age <= self.age_max).then(|| (stored.endpoints.into_iter().map(Endpoint::from).collect(), age)))
    }

    /// A reader finds the old file or the new one. It is not flushed: after a crash of the machine an older one is good enough.
    fn write(&self, endpoints: &[Endpoint], now: SystemTime) -> io::Result<()> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let as_of_unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let stored = Stored { as_of_unix_ms, endpoints: endpoints.iter().map(StoredEndpoint::from).collect() };
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // Of this process, since several on a machine may share the folder.
        let draft = self.file.with_extension(format!("{}.draft", std::process::id()));
        std::fs::write(&draft, serde_json::to_vec(&stored)?)?;
        std::fs::rename(&draft, &self.file)
    }
}

impl From<&Endpoint> for StoredEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        StoredEndpoint {
            address: endpoint.address,
            standing: match endpoint.standing {
                Standing::Up => StoredStanding::Up,
                Standing::Warning => StoredStanding::Warning,
                Standing::Unknown => StoredStanding::Unknown,
            },
            weight: endpoint.weight,
            zone: endpoint.zone.as_deref().map(str::to_owned),
            version: endpoint.version.as_deref().map(str::to_owned),
            meta: endpoint.meta.as_ref().clone(),
            tags: endpoint.tags.to_vec(),
            id: endpoint.id.to_string(),
        }
    }
}

impl From<StoredEndpoint> for Endpoint {
    fn from(stored: StoredEndpoint) -> Self {
        Endpoint {
            address: stored.address,
            standing: match stored.standing {
                StoredStanding::Up => Standing::Up,
                StoredStanding::Warning => Standing::Warning,
                StoredStanding::Unknown => Standing::Unknown,
            },
            weight: stored.weight,
            zone: stored.zone.map(Into::into),
            version: stored.version.map(Into::into),
            meta: stored.meta.into(),
            tags: stored.tags.into(),
            id: stored.id.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn disk(folder: &TempDir) -> Disk {
        let snapshot_folder = Some(folder.path().join("snapshots"));
        Disk::new(&ConsulConfig { snapshot_folder, ..ConsulConfig::default() }, "orders").unwrap()
    }

    fn some() -> Vec<Endpoint> {
        let bare = Endpoint::at(SocketAddr::from(([10, 0, 0, 1], 1)));
        let full = Endpoint {
            address: SocketAddr::from(([10, 0, 0, 2], 2)),
            standing: Standing::Unknown,
            weight: 3,
            zone: Some("a".into()),
            version: Some("1".into()),
            meta: BTreeMap::from([("role".to_owned(), "order".to_owned())]).into(),
            tags: ["grpc".to_owned()].into(),
            id: "orders-2".into(),
        };
        vec![bare, full]
    }

    #[test]
    fn what_is_stored_is_read_back_with_its_age() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, now) = (disk(&folder), SystemTime::now());

        disk.write(&some(), now).unwrap();

        let (endpoints, age) = disk.read(now + Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(endpoints, some());
        assert!(age >= Duration::from_secs(60) && age < Duration::from_secs(61), "{age:?}");
    }

    #[test]
    fn what_is_too_old_or_not_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, now) = (disk(&folder), SystemTime::now());
        assert!(disk.read(now).unwrap().is_none());

        disk.write(&some(), now).unwrap();

        assert!(disk.read(now + Duration::from_secs(25 * 3_600)).unwrap().is_none());
    }

    #[test]
    fn a_broken_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(&folder);
        disk.write(&some(), SystemTime::now()).unwrap();
        std::fs::write(&disk.file, "{").unwrap();

        assert!(disk.read(SystemTime::now()).is_err());
    }
}
