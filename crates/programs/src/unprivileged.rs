//! Runs a server that refuses to be root's.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

/// Somebody with fewer rights than this process, by his ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unprivileged {
    user: u32,
    group: u32,
}

impl Unprivileged {
    /// The user `postgres`, or `nobody`, when this process is root's; `None` when it is not, and can run everything itself.
    #[must_use]
    pub fn instead_of_root() -> Option<Self> {
        // The folder of a process belongs to its effective user.
        let user = std::fs::metadata("/proc/self").ok()?.uid();
        if user != 0 {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = find(&users, "postgres").or_else(|| find(&users, "nobody"));
        Some(found.unwrap_or(Unprivileged { user: 65_534, group: 65_534 }))
    }

    /// A command that runs as somebody, if there is somebody, by `setpriv` of util-linux. It becomes the program and keeps its process id.
    #[must_use]
    pub fn command(somebody: Option<Self>, program: &Path) -> Command {
        let Some(Unprivileged { user, group }) = somebody else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).args(["--clear-groups", "--"]);
        command.arg(program);
        command
    }

    /// Makes a file or a folder his.
    ///
    /// # Errors
    /// When the file system does not allow it.
    pub fn own(self, path: &Path) -> std::io::Result<()> {
        chown(path, Some(self.user), Some(self.group))
    }
}

fn find(users: &str, name: &str) -> Option<Unprivileged> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2);
    Some(Unprivileged { user: ids.next()?.parse().ok()?, group: ids.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_his_whole_name() {
        let users =
            "postgresql:x:7:8::/:\npostgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";

        assert_eq!(find(users, "postgres"), Some(Unprivileged { user: 101, group: 104 }));
        assert_eq!(find(users, "nobody"), None);
    }
}
