//! Whatever the schemas allow is taken, and whatever they do not allow is refused: schemathesis with all of its checks.

use std::path::Path;
use testkit::{Comanda, Options, require_tool};
use tokio::process::Command;

/// Sets how many cases are generated for each operation, beside those that cover its schema.
const EXAMPLES: &str = "COMANDA_TEST_SCHEMATHESIS_EXAMPLES";
/// So many in CI: with what covers the schemas about a minute.
const EXAMPLES_OF_CI: &str = "10";

#[tokio::test]
async fn requests_are_taken_as_far_as_their_schemas_allow_them_and_no_further() {
    let Some(python) = require_tool("schemathesis/bin/python3") else { return };
    let comanda = Comanda::start(Options { sample_data: true, ..Options::default() }).await;
    let examples = std::env::var(EXAMPLES).unwrap_or_else(|_| EXAMPLES_OF_CI.to_owned());

    let mut command = Command::new(python);
    command.args(["-m", "schemathesis.cli", "run", "--checks=all", "--seed=1", "--generation-database=none"]);
    command.args(["--no-color", "--request-timeout=30", &format!("--max-examples={examples}")]);
    command.arg(format!("{}/openapi.json", comanda.url()));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/described/schemathesis"));
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true).output().await.expect("Python runs");

    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let is_at_its_end = ["Examples", "Coverage", "Fuzzing", "Stateful"].iter().all(|phase| told.contains(phase));
    assert!(is_at_its_end && told.contains("Test cases:"), "the run did not come to its end");
}
