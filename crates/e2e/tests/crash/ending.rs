//! An orderly end, and a directory that belongs to one process.

use e2e::{Shop, all, place, verified};
use serde_json::json;
use testkit::{Comanda, Http, Process, command_line, eventually};

/// Waits until the one order is stored whose call is still held.
async fn in_flight(http: &Http) {
    eventually(e2e::DECIDED_WITHIN, async || {
        let there = all(http, "/v1/orders", "orders").await.len();
        if there == 1 { Ok(()) } else { Err("the call is not in flight".to_owned()) }
    })
    .await;
}

#[tokio::test]
async fn sigterm_ends_the_process_in_order() {
    let mut comanda = Comanda::empty().await;
    place(&comanda.http(), &Shop::open(&comanda).await.order()).await;

    let ended = comanda.terminate().await;

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("ERROR") && !ended.stderr.contains("by force"), "{}", ended.stderr);
    assert_eq!(verified(&comanda).await["orders"], 1);
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_end() {
    let mut comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("consumer").await;
    let held = http.post("/v1/orders", &shop.order()).header("prefer", "wait=3").try_send();
    let ending = async {
        in_flight(&http).await;
        comanda.ask_to_end();
    };

    let (answer, ()) = futures_util::future::join(held, ending).await;
    let ended = comanda.ended().await;

    assert_eq!(answer.expect("an answer").expect(201)["version"], "2");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("by force"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_what_was_begun() {
    let mut comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("consumer").await;
    let held = http.post("/v1/orders", &shop.order()).header("prefer", "wait=20").try_send();
    let ending = async {
        in_flight(&http).await;
        comanda.ask_to_end();
        let is_ending = || comanda.log().contains("a second signal does not wait");
        eventually(e2e::DECIDED_WITHIN, async || if is_ending() { Ok(()) } else { Err(comanda.log()) }).await;
        comanda.ask_to_end();
    };

    let (answer, ()) = futures_util::future::join(held, ending).await;

    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(comanda.ended().await.code, Some(130));
    assert_eq!(verified(&comanda).await["orders"], 1);
}

#[tokio::test]
async fn a_watcher_is_told_to_come_again_and_does_not_hold_up_the_end() {
    let mut comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    comanda.roles_stop("consumer").await;
    let order_id = place(&http, &shop.order()).await;
    let call = http.get(format!("/v1/orders/{order_id}:watch")).header("accept", "text/event-stream");
    let mut stream = call.stream().await;
    assert_eq!(stream.next_event().await.map(|event| event.id), Some("1".to_owned()));

    comanda.ask_to_end();
    let events = stream.events().await;
    let ended = comanda.ended().await;

    let last = events.last().expect("a last event");
    assert_eq!((last.name.as_str(), &last.json()["code"]), ("status", &json!(14)), "{last:?}");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("cut off"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_process_in_the_same_directory_is_refused() {
    let comanda = Comanda::empty().await;
    let data_dir = comanda.data_dir().to_string_lossy();

    let up = ["up", "--data-dir", &data_dir, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let second = command_line(&up).await;

    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""));
    assert!(second.stderr.contains("another process uses the data directory"), "{}", second.stderr);
    assert!(second.stderr.contains(&*data_dir) && second.stderr.contains("--data-dir"), "{}", second.stderr);
    assert_eq!(comanda.http().get("/readyz").send().await.expect(200)["status"], "ready");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let comanda = Comanda::empty().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = comanda.url().trim_start_matches("http://");
    let data_dir = folder.path().join("data");

    let up = ["up", "--data-dir", &data_dir.to_string_lossy(), "--listen", taken, "--admin-listen", "127.0.0.1:0"];
    let second = command_line(&up).await;

    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains(taken), "{}", second.stderr);
}

#[tokio::test]
async fn a_setting_that_is_not_known_keeps_the_process_from_starting() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let env = [("COMANDA_ORDRE__WATCHES_MAX".to_owned(), "5".to_owned())];

    let mut process = Process::spawn(folder.path(), &["up", "--data-dir", "data"], &env);
    let ended = process.wait(testkit::START_WITHIN).await;

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("ordre"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let ended = command_line(&["up", "--data-dir", "/dev/null/data", "--listen", "127.0.0.1:0"]).await;

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("/dev/null/data"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_platform_whose_files_are_all_there_is_started_again_and_again() {
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;

    for count in 1..=5 {
        place(&comanda.http(), &shop.order()).await;
        assert_eq!(comanda.terminate().await.code, Some(0));
        comanda.restart().await;
        e2e::all_in_state(&comanda.http(), "APPROVED", count).await;
    }
}
