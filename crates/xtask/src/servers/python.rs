//! Python programs that tests run, from PyPI, each in an environment of its own.

use crate::command::{Failed, program, workspace};
use std::fs;
use std::path::PathBuf;

/// A Python environment with some packages.
pub(super) struct Environment {
    /// Its folder below `target/tools`.
    pub(super) name: &'static str,
    /// What must be there, with versions.
    pub(super) packages: &'static [&'static str],
}

/// Tests an API by its description.
pub(super) const SCHEMATHESIS: Environment = Environment { name: "schemathesis", packages: &["schemathesis==4.32.5"] };
/// gRPC of another family than ours, for clients and for services: what `deploy/examples/library/requirements.txt` names.
pub(super) const GRPC: Environment = Environment {
    name: "grpc-python",
    packages: &[
        "googleapis-common-protos==1.76.0",
        "grpcio==1.85.3",
        "grpcio-health-checking==1.85.1",
        "grpcio-reflection==1.85.1",
        "grpcio-tools==1.85.1",
        "protobuf==7.36.2",
    ],
};

/// The file that says what is installed.
const MARK: &str = "packages";

impl Environment {
    /// Where its Python is, once all packages are there.
    pub(super) fn found(&self) -> Result<PathBuf, Failed> {
        let folder = workspace().join("target/tools").join(self.name);
        let python = folder.join("bin/python3");
        let wanted = self.packages.join("\n");
        if fs::read_to_string(folder.join(MARK)).is_ok_and(|installed| installed == wanted) && python.is_file() {
            return Ok(python);
        }
        println!("taking {} from PyPI", self.packages.join(" and "));
        program("python3").arguments(&["-m", "venv", "--clear"]).arguments(&[&folder]).ask()?;
        let pip = ["-m", "pip", "install", "--quiet", "--timeout=20", "--retries=2", "--only-binary=:all:"];
        program(&python).arguments(&pip).arguments(self.packages).ask()?;
        fs::write(folder.join(MARK), wanted)
            .map_err(|error| Failed::to(format!("write to {}", folder.display()), error))?;
        Ok(python)
    }
}
