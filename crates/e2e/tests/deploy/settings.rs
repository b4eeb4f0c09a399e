//! The settings of each role.

use crate::file;
use testkit::command_line;

const ROLES: [&str; 5] = ["consumer", "restaurant", "order", "relay", "gateway"];

async fn check(path: &str) {
    let path = file(path).display().to_string();

    let checked = command_line(&["config", "check", "--config", &path]).await;

    assert_eq!(checked.code, Some(0), "{path}: {}", checked.stderr);
}

#[tokio::test]
async fn every_file_is_valid() {
    check("embedded/comanda.toml").await;
    for role in ROLES {
        check(&format!("local/{role}.toml")).await;
    }
}

#[tokio::test]
async fn a_file_of_a_role_runs_that_role_on_servers_under_its_own_name() {
    for role in ROLES {
        let path = file(&format!("local/{role}.toml")).display().to_string();

        let printed = command_line(&["config", "print", "--config", &path]).await.stdout;

        let lines = [format!("roles = [\"{role}\"]"), format!("name = \"{role}\""), format!("user = \"{role}\"")];
        for line in lines.iter().map(String::as_str).chain(["kind = \"postgres\"", "kind = \"jetstream\""]) {
            assert!(printed.lines().any(|it| it == line), "{role}: {line} is not in\n{printed}");
        }
    }
}
