//! A small part of what `comanda lab availability` measures in full.

use serde_json::Value as Json;
use servers::Nats;
use tempfile::TempDir;
use testkit::command_line_with;

#[tokio::test]
async fn only_the_twin_that_waits_for_other_services_fails_with_them() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::start().await;
    let folder = TempDir::new().unwrap();
    let (json, svg) = (folder.path().join("lab.json"), folder.path().join("lab.svg"));
    let env = [
        ("COMANDA_BUS__KIND".to_owned(), "jetstream".to_owned()),
        ("COMANDA_BUS__JETSTREAM__SERVERS".to_owned(), format!("[\"nats://{}\"]", nats.address())),
    ];

    let mut arguments = vec!["lab", "availability", "--availability", "80", "--requests", "400", "--rate", "100"];
    arguments.extend(["--block-seconds", "2", "--json", json.to_str().unwrap(), "--svg", svg.to_str().unwrap()]);
    let done = command_line_with(&arguments, &env).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let rows: Json = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let [sync, asynchronous] = rows.as_array().unwrap().as_slice() else { panic!("{rows}") };
    assert_eq!((&sync["way"], &asynchronous["way"]), (&"sync".into(), &"async".into()));
    assert_eq!((&sync["requests"], &sync["services"]), (&400.into(), &2.into()));
    let succeeded = sync["succeeded"].as_u64().unwrap();
    assert!((1..=340).contains(&succeeded), "two services that are away for 20 % of the time each: {rows}");
    assert_eq!(sync["decided"], succeeded);
    assert_eq!((&asynchronous["succeeded"], &asynchronous["decided"]), (&400.into(), &400.into()), "{rows}");
    assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg "));
    assert!(done.stdout.contains("sync") && done.stdout.contains("80.0 %"), "{done:?}");
}

#[tokio::test]
async fn a_platform_in_one_process_has_nothing_that_could_be_taken_away() {
    let done = command_line_with(&["lab", "availability"], &[]).await;

    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("bus.kind = \"jetstream\""), "{done:?}");
}
