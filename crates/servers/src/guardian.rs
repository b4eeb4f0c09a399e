//! Outlives whoever started a server, to end the server after him.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Waits for a word. The end of the pipe without one is the end of the owner: the server is killed and its folder removed.
const SCRIPT: &str = r#"read -r word && exit 0; kill -9 "$1"; rm -rf "$2""#;

/// A shell that holds the other end of a pipe.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
    word: Option<ChildStdin>,
}

impl Guardian {
    /// Guards the process `id` with its `folder`.
    ///
    /// # Panics
    /// When there is no shell.
    pub(crate) fn of(id: u32, folder: &Path) -> Self {
        let mut command = Command::new("sh");
        // A group of its own, so that a Ctrl-C for the owner does not reach it.
        command.args(["-c", SCRIPT, "guardian"]).arg(id.to_string()).arg(folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = command.spawn().expect("there is a shell");
        let word = shell.stdin.take();
        Guardian { shell, word }
    }
}

impl Drop for Guardian {
    /// Dismisses it: the owner has ended the server by himself.
    fn drop(&mut self) {
        use std::io::Write;
        if let Some(mut word) = self.word.take() {
            // A shell that is gone needs no word.
            drop(word.write_all(b"dismissed\n"));
        }
        drop(self.shell.wait());
    }
}
