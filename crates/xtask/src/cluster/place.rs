//! Where the cluster keeps what it has: `target/cluster`.

use super::member::Member;
use crate::command::{Failed, workspace};
use programs::Unprivileged;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The folder, taken for this process.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the folder; two commands at once would start the same processes twice.
    pub(super) fn take() -> Result<Self, Failed> {
        let folder = workspace().join("target/cluster");
        for folder in [&folder, &folder.join("logs"), &folder.join("run")] {
            fs::create_dir_all(folder).map_err(|error| Failed::to(format!("make {}", folder.display()), error))?;
        }
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(|error| Failed::to(format!("write {}", path.display()), error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Place { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failed::because("another `cargo xtask cluster` is at work")),
            Err(TryLockError::Error(error)) => Err(Failed::to(format!("lock {}", path.display()), error)),
        }
    }

    pub(super) fn log(&self, member: Member) -> PathBuf {
        self.folder.join(format!("logs/{member}.log"))
    }

    /// Where the process of a member is recorded.
    pub(super) fn record(&self, member: Member) -> PathBuf {
        self.folder.join(format!("run/{member}"))
    }

    pub(super) fn forget(&self, member: Member) -> Result<(), Failed> {
        let record = self.record(member);
        match record.exists() {
            true => fs::remove_file(&record).map_err(|error| Failed::to(format!("remove {}", record.display()), error)),
            false => Ok(()),
        }
    }

    /// The passwords of a server's users, which `deploy/local` names.
    pub(super) fn secrets(&self, server: &str) -> PathBuf {
        self.folder.join("secrets").join(server)
    }

    /// What Consul keeps.
    pub(super) fn consul(&self) -> PathBuf {
        self.folder.join("consul")
    }

    /// The streams of one NATS server in a cluster of this many.
    pub(super) fn streams(&self, of: usize, member: Member) -> PathBuf {
        self.folder.join(format!("nats-of-{of}/{member}"))
    }

    /// The folder of PostgreSQL. Below a folder that its user must not enter, such as root's home, it cannot be here, and is in `/var/tmp`.
    pub(super) fn postgres(&self) -> Result<PathBuf, Failed> {
        let here = self.folder.join("postgres");
        let Some(somebody) = Unprivileged::instead_of_root() else { return own(here, None) };
        let mut look = Unprivileged::command(Some(somebody), Path::new("test"));
        look.arg("-x").arg(&self.folder).stdin(Stdio::null());
        match look.status() {
            Ok(status) if status.success() => own(here, Some(somebody)),
            Ok(_) => own(self.elsewhere(), Some(somebody)),
            Err(error) => Err(Failed::to("run setpriv (of util-linux), since PostgreSQL refuses to be root's", error)),
        }
    }

    fn elsewhere(&self) -> PathBuf {
        let name = self.folder.display().to_string().replace('/', "-");
        Path::new("/var/tmp").join(format!("comanda{name}"))
    }

    /// Removes everything.
    pub(super) fn wipe(self: &Place) -> Result<(), Failed> {
        for folder in [self.elsewhere(), self.folder.clone()] {
            if folder.exists() {
                let failed = |error| Failed::to(format!("remove {}", folder.display()), error);
                fs::remove_dir_all(&folder).map_err(failed)?;
                println!("removed {}", folder.display());
            }
        }
        Ok(())
    }
}

fn own(folder: PathBuf, somebody: Option<Unprivileged>) -> Result<PathBuf, Failed> {
    let made = fs::create_dir_all(&folder).and_then(|()| somebody.map_or(Ok(()), |it| it.own(&folder)));
    made.map_err(|error| Failed::to(format!("make {}", folder.display()), error))?;
    Ok(folder)
}
