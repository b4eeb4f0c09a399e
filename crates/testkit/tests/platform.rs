//! What tests rely on when they run the platform: it is theirs alone, and gone when they are.

use std::path::Path;
use std::time::Duration;
use testkit::{Comanda, Options, command_line, eventually, raw};

fn runs(process_id: u32) -> bool {
    Path::new("/proc").join(process_id.to_string()).exists()
}

#[tokio::test]
async fn a_platform_that_is_dropped_leaves_nothing_behind() {
    let comanda = Comanda::empty().await;
    let (process_id, data_dir) = (comanda.process_id(), comanda.data_dir().to_owned());
    assert!(runs(process_id) && data_dir.is_dir());

    drop(comanda);

    assert!(!runs(process_id) && !data_dir.exists());
}

#[tokio::test]
async fn two_platforms_share_nothing() {
    let (one, other) = (Comanda::empty().await, Comanda::empty().await);

    assert!(one.url() != other.url() && one.admin_url() != other.admin_url() && one.data_dir() != other.data_dir());
}

#[tokio::test]
async fn a_restart_keeps_the_data_and_a_kill_ends_the_process() {
    let mut comanda = Comanda::empty().await;
    let before = comanda.process_id();
    comanda.http().post("/v1/consumers", &serde_json::json!({"name": "Ada"})).send().await.expect(201);

    comanda.restart().await;

    let consumers = comanda.http().get("/v1/consumers").send().await.expect(200);
    assert_eq!(consumers["consumers"][0]["name"], "Ada");
    assert!(!runs(before) && runs(comanda.process_id()));
    comanda.kill9();
    assert!(!runs(comanda.process_id()));
}

#[tokio::test]
async fn settings_reach_the_platform_through_its_environment() {
    let setting = ("COMANDA_GATEWAY__TRANSCODE__BODY_BYTES_MAX".to_owned(), "10".to_owned());

    let comanda = Comanda::start(Options { env: vec![setting], ..Options::default() }).await;

    let answer = comanda.http().post("/v1/consumers", &serde_json::json!({"name": "Ada"})).send().await;
    assert_eq!(answer.status, 413, "{}", answer.text());
}

#[tokio::test]
async fn raw_bytes_get_a_raw_answer() {
    let comanda = Comanda::empty().await;

    let answer = raw(comanda.url(), b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;

    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_command_is_run_to_its_end() {
    let done = command_line(&["--version"]).await;

    assert!(done.code == Some(0) && done.stdout.starts_with("comanda "), "{done:?}");
    assert_eq!(command_line(&["fry"]).await.code, Some(2));
}

#[tokio::test]
#[should_panic(expected = "not within 50ms: the pan is cold")]
async fn waiting_in_vain_fails_with_the_last_complaint() {
    eventually(Duration::from_millis(50), async || Err::<(), _>("the pan is cold".to_owned())).await;
}
