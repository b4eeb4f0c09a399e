//! A configuration that is read again while the gateway runs.

use crate::library::{Library, contract, require};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use testkit::{Comanda, Options, eventually};

/// How long a configuration may take to be read.
const PATIENCE: Duration = Duration::from_secs(30);
/// SHA-256 of `anna`.
const KEYS: &str = "[[gateway.guard.api_keys]]\nname = \"anna\"\nroles = [\"operator\"]\n\
    sha256 = \"55579b557896d0ce1764c47fed644f9b35f58bad620674af23f356d80ed0c503\"\n";

/// How often a configuration was taken, or refused.
async fn counted(gateway: &Comanda, result: &str) -> u64 {
    let metrics = gateway.admin_http().get("/metrics").send().await.text();
    let begin = format!("comanda_config_reloads_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&begin)).unwrap().parse().unwrap()
}

/// Writes a configuration, and waits until the gateway has taken or refused it.
async fn reload(gateway: &Comanda, file: &Path, text: &str, result: &str) {
    let before = counted(gateway, result).await;
    std::fs::write(file, text).unwrap();
    gateway.hang_up();
    eventually(PATIENCE, async || match counted(gateway, result).await {
        count if count > before => Ok(()),
        count => Err(format!("{result} {count} times: {}", gateway.log())),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_and_rules_are_taken_from_the_file_again_without_a_restart() {
    if !require() {
        return;
    }
    let (library, folder) = (Library::open("main", &contract()).await, TempDir::new().unwrap());
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, "").unwrap();
    let options = Options { roles: vec!["gateway"], config: Some(file.clone()), ..Options::default() };
    let gateway = Comanda::start(options).await;
    let http = gateway.http();
    let status = async |key: &str| {
        let answer = http.get("/v1/books/1?colour=red").header("x-api-key", key).send().await;
        answer.status.as_u16()
    };
    let until = async |expected: u16| {
        eventually(PATIENCE, async || match status("").await {
            status if status == expected => Ok(()),
            status => Err(format!("a book is {status}, not {expected}")),
        })
        .await;
    };
    assert_eq!(status("").await, 404);

    let service = format!("[gateway.services.library]\nfrom = \"{}\"\nstrict = false\n", library.url());
    reload(&gateway, &file, &service, "taken").await;
    until(200).await;

    reload(&gateway, &file, &format!("{service}{KEYS}[gateway]\nstreams_max = 7\n"), "taken").await;
    assert_eq!((status("").await, status("anna").await), (401, 200));
    assert!(gateway.log().contains("gateway.streams_max"), "it is told what needs a restart: {}", gateway.log());

    for refused in ["[gateway.guard]\nrefresh_ms = 0\n", "lissten = 5\n", "[gateway.services.x]\nfrom = \"?\"\n"] {
        reload(&gateway, &file, refused, "refused").await;
        assert_eq!((status("").await, status("anna").await), (401, 200), "the rules before are in force: {refused}");
    }

    gateway.roles_stop("gateway").await;
    gateway.roles_start("gateway").await;
    // So they are in a gateway that is started again, once it has asked the service.
    until(401).await;
    reload(&gateway, &file, "", "taken").await;
    let routes = gateway.admin_http().get("/admin/routes").send().await.expect(200);
    assert_eq!((status("").await, &routes["services"]), (404, &json!([])));
}
