//! Passwords that nobody has chosen, in files that only their owner can read.

use crate::command::Failed;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const BYTES: usize = 16;

/// The password in a file, which is made if it is not there.
pub(super) fn at(path: &Path) -> Result<String, Failed> {
    match fs::read_to_string(path) {
        Ok(secret) => Ok(secret.trim_end().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(Failed::to(format!("read {}", path.display()), error)),
    }
}

fn make(path: &Path) -> Result<String, Failed> {
    let secret = random().map_err(|error| Failed::to("read random numbers", error))?;
    write(path, &secret).map_err(|error| Failed::to(format!("write {}", path.display()), error))?;
    Ok(secret)
}

/// Begins with a letter, so that no configuration takes it for a number.
fn random() -> std::io::Result<String> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("s{digits}"))
}

fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes())
}
