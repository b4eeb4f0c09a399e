//! Whole runs against a double of the platform: what is right, and what is found wrong.

mod double;

use double::{Double, Fault};
use futures_util::StreamExt;
use iso_currency::Currency;
use loadgen::orders;
use loadgen::place;
use loadgen::replay::{Options, Protocol, run};
use loadgen::report::Report;
use proto::comanda::order::v1::CreateOrderRequest;
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

const MENU: &str = "Item Name,Product Price\nPlain Naan,2.6\nTea,1\n";
const ORDERS: &str = "OrderNumber,OrderDate,ItemName,Quantity,ProductPrice,TotalProducts\n\
    1,x,Plain Naan,2,2.6,2\n2,x,Tea,1,1,1\n1,x,Tea,3,0.9,2\n3,x,Tea,1,1,1\n4,x,Tea,5,1,1\n5,x,Tea,1,1,1\n";

/// Replays five orders, of which some are answered late.
async fn replay(fault: Option<Fault>, protocol: Protocol) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("the folder is writable");
        path
    };
    let mut tasks = JoinSet::new();
    let options = Options {
        menu: file("menu.csv", MENU),
        orders: file("orders.csv", ORDERS),
        target: Double::serve(fault, &mut tasks).await,
        protocol,
        concurrency: 2,
        retry_for: Duration::from_secs(30),
        limit: None,
        currency: Currency::GBP,
        consumers: 3,
        decide_timeout: if fault == Some(Fault::NeverDecides) { Duration::ZERO } else { Duration::from_secs(60) },
    };
    run(&options).await.expect("the run is made")
}

#[track_caller]
fn check_right(report: &Report) {
    assert!(report.is_right(), "{report}");
    assert_eq!((report.placed, report.approved, report.file.other_price_lines), (5, 5, 1));
    assert_eq!((report.total.as_str(), report.expected_total.as_str()), ("16.20 GBP", "16.20 GBP"));
    assert_eq!((report.accepted_in.count, report.decided_in.count, report.decided_by_server_in.count), (5, 5, 5));
}

#[tokio::test]
async fn a_replay_over_grpc_is_right() {
    check_right(&replay(None, Protocol::Grpc).await);
}

#[tokio::test]
async fn a_replay_over_rest_is_right() {
    check_right(&replay(None, Protocol::Rest).await);
}

#[tokio::test]
async fn an_order_is_tried_again_with_its_key() {
    for protocol in [Protocol::Grpc, Protocol::Rest] {
        let report = replay(Some(Fault::LosesFirstAnswers), protocol).await;

        assert_eq!(report.retried, 5, "{report}");
        check_right(&report);
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_is_made_up_for() {
    for protocol in [Protocol::Grpc, Protocol::Rest] {
        let report = replay(Some(Fault::RefusesWatches), protocol).await;

        assert_eq!(report.not_watched, 5);
        check_right(&report);
    }
}

#[tokio::test]
async fn a_rejected_order_is_wrong() {
    let report = replay(Some(Fault::Rejects), Protocol::Rest).await;

    assert!(!report.is_right());
    assert_eq!(report.rejected, 5);
    assert!(report.complaints[0].contains("was rejected: RESTAURANT_CLOSED: It is closed."), "{report}");
}

#[tokio::test]
async fn an_order_that_is_not_decided_in_time_is_wrong() {
    let report = replay(Some(Fault::NeverDecides), Protocol::Grpc).await;

    assert_eq!((report.undecided, report.is_right()), (5, false), "{report}");
}

#[tokio::test]
async fn a_refused_order_is_wrong() {
    for protocol in [Protocol::Grpc, Protocol::Rest] {
        let report = replay(Some(Fault::Refuses), protocol).await;

        assert_eq!((report.failed, report.retried, report.is_right()), (5, 0, false));
        assert!(report.complaints[0].contains("lines[0].menu_item_id is not on the menu"), "{report}");
    }
}

#[tokio::test]
async fn an_order_that_the_platform_forgot_is_missing() {
    let report = replay(Some(Fault::ForgetsOne), Protocol::Grpc).await;

    assert_eq!((report.missing, report.is_right()), (1, false), "{report}");
}

#[tokio::test]
async fn a_total_that_the_menu_does_not_give_is_wrong() {
    let report = replay(Some(Fault::Overcharges), Protocol::Grpc).await;

    assert_eq!((report.wrong_total, report.is_right()), (5, false), "{report}");
    assert_eq!(report.total, "16.25 GBP");
}

#[tokio::test]
async fn a_report_has_a_line_for_each_figure() {
    let report = replay(None, Protocol::Rest).await.to_string();

    let labels = report.lines().map(|line| line.split_whitespace().next().unwrap_or_default());
    // Stands there only when something was seen late, as it is on a busy machine.
    let labels: Vec<_> = labels.filter(|label| *label != "watched").collect();
    assert_eq!(labels, ["file", "placed", "ended", "listed", "total", "accepted", "decided", "by", "all"]);
    assert!(report.contains("5 approved, 0 rejected, 0 cancelled, 0 undecided"), "{report}");
}

#[tokio::test]
async fn acknowledged_ids_are_written_one_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let mut tasks = JoinSet::new();
    let target = Double::serve(Some(Fault::LosesFirstAnswers), &mut tasks).await;
    import_menu(folder.path(), &target).await;
    let options = orders::Options {
        target,
        protocol: Protocol::Rest,
        count: 20,
        concurrency: 4,
        retry_for: Duration::from_secs(30),
        restaurant_id: None,
        consumer_id: None,
        menu_item_id: None,
        ids: Some(ids.clone()),
    };

    let summary = orders::run(&options).await.unwrap();

    assert!(summary.is_right(), "{summary}");
    let written = std::fs::read_to_string(&ids).unwrap();
    let written: std::collections::HashSet<_> = written.lines().collect();
    assert_eq!((written.len(), summary.accepted, summary.retried), (20, 20, 20));
}

#[tokio::test]
async fn no_more_orders_are_begun_when_the_platform_stays_away() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for protocol in [Protocol::Grpc, Protocol::Rest] {
        let client = protocol.client(&format!("http://{nobody}"), 2, 0).unwrap();
        let is_away = Cell::new(false);
        let requests = std::iter::repeat_n(CreateOrderRequest::default(), 1000);

        let tried: Vec<_> = place::all(&client, requests, 2, Duration::ZERO, &is_away).collect().await;

        assert!(is_away.get() && tried.len() < 10, "{} were tried", tried.len());
        assert!(tried.iter().all(|tried| tried.outcome.as_ref().is_err_and(|failure| failure.is_transient)));
    }
}

async fn import_menu(folder: &Path, target: &str) {
    let file = folder.join("menu.csv");
    std::fs::write(&file, MENU).expect("the folder is writable");
    let options = import::menu::Options {
        file,
        restaurant_name: None,
        restaurant_id: None,
        currency: Currency::GBP,
        target: target.to_owned(),
        existing: import::platform::Existing::Ignore,
    };
    import::menu::run(&options).await.expect("the double takes a menu");
}
