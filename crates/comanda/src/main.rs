//! The binary `comanda`.

use std::process::ExitCode;

fn main() -> ExitCode {
    comanda::run()
}
