//! Snapshots on disk, for a start while Consul is away.

use super::client::segment;
use super::config::ConsulConfig;
use crate::{Endpoint, Standing};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::spawn_blocking;

/// A file that is larger was not written by this program.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The file of one service, or of one tag.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    file: PathBuf,
    bytes_max: u64,
    age_max: Duration,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<T> {
    as_of_unix_ms: u64,
    #[serde(flatten)]
    known: T,
}

/// What can be kept on disk, by the form that it has there.
pub(super) trait Known: Sized + Send + 'static {
    /// Its form.
    type Form: Serialize + DeserializeOwned + From<Self> + Into<Self>;
}

impl Known for Vec<Endpoint> {
    type Form = StoredEndpoints;
}

impl Known for BTreeSet<String> {
    type Form = StoredNames;
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredEndpoints {
    endpoints: Vec<StoredEndpoint>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredNames {
    names: BTreeSet<String>,
}

impl From<Vec<Endpoint>> for StoredEndpoints {
    fn from(endpoints: Vec<Endpoint>) -> Self {
        StoredEndpoints { endpoints: endpoints.iter().map(StoredEndpoint::from).collect() }
    }
}

impl From<StoredEndpoints> for Vec<Endpoint> {
    fn from(stored: StoredEndpoints) -> Self {
        stored.endpoints.into_iter().map(Endpoint::from).collect()
    }
}

impl From<BTreeSet<String>> for StoredNames {
    fn from(names: BTreeSet<String>) -> Self {
        StoredNames { names }
    }
}

impl From<StoredNames> for BTreeSet<String> {
    fn from(stored: StoredNames) -> Self {
        stored.names
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredEndpoint {
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
    pub(super) fn of_service(config: &ConsulConfig, service: &str) -> Option<Self> {
        Disk::new(config, &format!("{}.json", segment(service)))
    }

    /// The same of a tag; no service has such a file.
    pub(super) fn of_tag(config: &ConsulConfig, tag: &str) -> Option<Self> {
        Disk::new(config, &format!("tag+{}.json", segment(tag)))
    }

    fn new(config: &ConsulConfig, name: &str) -> Option<Self> {
        let file = config.snapshot_folder.as_ref()?.join(name);
        let age_max = Duration::from_secs(u64::from(config.snapshot_hours_max) * 3_600);
        Some(Disk { file, bytes_max: FILE_BYTES_MAX, age_max })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What was stored, and how long ago it was confirmed; `None` when there is nothing, or it is too old.
    pub(super) async fn load<T: Known>(&self) -> io::Result<Option<(T, Duration)>> {
        let disk = self.clone();
        spawn_blocking(move || disk.read(SystemTime::now())).await?
    }

    /// Replaces what was stored.
    pub(super) async fn store<T: Known>(&self, known: T) -> io::Result<()> {
        let disk = self.clone();
        spawn_blocking(move || disk.write(known, SystemTime::now())).await?
    }

    fn read<T: Known>(&self, now: SystemTime) -> io::Result<Option<(T, Duration)>> {
        match std::fs::metadata(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(metadata) if metadata.len() > self.bytes_max => {
                return Err(io::Error::other(format!("it is larger than {} bytes", self.bytes_max)));
            }
            Ok(_) => {}
        }
        let stored: Stored<T::Form> = serde_json::from_slice(&std::fs::read(&self.file)?)?;
        let as_of = UNIX_EPOCH + Duration::from_millis(stored.as_of_unix_ms);
        // A clock that was set back makes it young, not unreadable.
        let age = now.duration_since(as_of).unwrap_or_default();
        Ok((age <= self.age_max).then(|| (stored.known.into(), age)))
    }

    /// A reader finds the old file or the new one. It is not flushed: after a crash of the machine an older one is good enough.
    fn write<T: Known>(&self, known: T, now: SystemTime) -> io::Result<()> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let as_of_unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let stored = Stored { as_of_unix_ms, known: T::Form::from(known) };
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
        Disk::of_service(&ConsulConfig { snapshot_folder, ..ConsulConfig::default() }, "orders").unwrap()
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

        disk.write(some(), now).unwrap();

        let (endpoints, age) = disk.read::<Vec<Endpoint>>(now + Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(endpoints, some());
        assert!(age >= Duration::from_secs(60) && age < Duration::from_secs(61), "{age:?}");
    }

    #[test]
    fn what_is_too_old_or_not_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, now) = (disk(&folder), SystemTime::now());
        assert!(disk.read::<Vec<Endpoint>>(now).unwrap().is_none());

        disk.write(some(), now).unwrap();

        assert!(disk.read::<Vec<Endpoint>>(now + Duration::from_secs(25 * 3_600)).unwrap().is_none());
    }

    #[test]
    fn the_names_of_a_tag_are_kept_in_a_file_that_no_service_has() {
        let folder = tempfile::tempdir().unwrap();
        let config = ConsulConfig { snapshot_folder: Some(folder.path().to_owned()), ..ConsulConfig::default() };
        let (disk, now) = (Disk::of_tag(&config, "orders").unwrap(), SystemTime::now());

        disk.write(BTreeSet::from(["kitchen".to_owned()]), now).unwrap();

        assert_eq!(disk.read::<BTreeSet<String>>(now).unwrap().unwrap().0, BTreeSet::from(["kitchen".to_owned()]));
        let service = Disk::of_service(&config, "tag+orders").unwrap();
        assert!(service.read::<Vec<Endpoint>>(now).unwrap().is_none());
    }

    #[test]
    fn a_broken_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(&folder);
        disk.write(some(), SystemTime::now()).unwrap();
        std::fs::write(&disk.file, "{").unwrap();

        assert!(disk.read::<Vec<Endpoint>>(SystemTime::now()).is_err());
    }
}
