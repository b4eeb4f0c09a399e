//! Lines that are written by the thousand in a second, to standard output or a file, by a thread of their own: no caller waits for a disk.

use std::fs::{File, OpenOptions, metadata};
use std::io::{self, Write, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::warn;

/// Lines that wait to be written at most; more are lost, and counted. 8,192 of 400 bytes are 3 MiB, and a third of a second of a busy process.
const WAITING_MAX: usize = 8_192;
/// Bytes that are written at once, about; more lines wait for the next write.
const WRITE_BYTES: usize = 64 << 10;
/// How often it is looked whether the file was moved away, as tools do that rotate logs.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Writes lines, in their order. Dropping it waits until all are written.
#[derive(Debug)]
pub struct Lines {
    sender: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
}

impl Lines {
    /// Lines of standard output.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn to_stdout() -> io::Result<Self> {
        Lines::start(Target::Stdout)
    }

    /// Lines that are appended to a file. One that is moved away is made anew.
    ///
    /// # Errors
    /// When the file cannot be written, or the system gives no thread.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let (file, path) = (open(path)?, path.to_owned());
        Lines::start(Target::File { file, path, looked: Instant::now() })
    }

    fn start(target: Target) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&lost);
        let thread =
            std::thread::Builder::new().name("lines".to_owned()).spawn(move || run(target, &receiver, &told))?;
        Ok(Lines { sender: Some(sender), thread: Some(thread), lost })
    }

    /// Has a line written, which ends with its line feed. It is lost when too many wait.
    pub fn write(&self, line: String) {
        let is_taken = self.sender.as_ref().is_some_and(|sender| sender.try_send(line).is_ok());
        if !is_taken {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.sender.take());
        // One that panicked has said so.
        let _panicked = self.thread.take().is_some_and(|thread| thread.join().is_err());
    }
}

enum Target {
    Stdout,
    File { file: File, path: PathBuf, looked: Instant },
}

impl Target {
    fn write(&mut self, text: &str) -> io::Result<()> {
        match self {
            Target::Stdout => {
                let mut out = stdout().lock();
                out.write_all(text.as_bytes())?;
                out.flush()
            }
            Target::File { file, path, looked } => {
                if looked.elapsed() >= LOOK_EVERY {
                    *looked = Instant::now();
                    let here = metadata(&*path).map(|found| (found.dev(), found.ino())).ok();
                    let ours = file.metadata().map(|found| (found.dev(), found.ino())).ok();
                    if here != ours {
                        *file = open(path)?;
                    }
                }
                file.write_all(text.as_bytes())
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn run(mut target: Target, lines: &Receiver<String>, lost: &AtomicU64) {
    let mut is_failing = false;
    while let Ok(mut text) = lines.recv() {
        while text.len() < WRITE_BYTES
            && let Ok(line) = lines.try_recv()
        {
            text.push_str(&line);
        }
        match target.write(&text) {
            Ok(()) => is_failing = false,
            // Said once for each time that it begins.
            Err(error) if !is_failing => {
                is_failing = true;
                warn!(error = &error as &dyn std::error::Error, "lines could not be written");
            }
            Err(_) => {}
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            warn!(lost, "lines were lost, since they came faster than they could be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn lines_are_appended_in_their_order() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lines.log");

        for half in [0..500, 500..1000] {
            let lines = Lines::to_file(&path).unwrap();
            half.for_each(|number| lines.write(format!("{number}\n")));
        }

        let written = std::fs::read_to_string(&path).unwrap();
        let numbers: Vec<u32> = written.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<u32>>());
    }

    #[test]
    fn a_file_that_was_moved_is_made_anew() {
        let folder = TempDir::new().unwrap();
        let (path, moved) = (folder.path().join("lines.log"), folder.path().join("lines.log.1"));
        let long_ago = Instant::now().checked_sub(LOOK_EVERY).unwrap();
        let mut target = Target::File { file: open(&path).unwrap(), path: path.clone(), looked: long_ago };
        target.write("before\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        let Target::File { looked, .. } = &mut target else { panic!("it is a file") };
        *looked = long_ago;

        target.write("after\n").unwrap();

        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "before\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = TempDir::new().unwrap();

        assert!(Lines::to_file(folder.path()).is_err());
    }
}
