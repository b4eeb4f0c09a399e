//! What operators and tools see: readiness, metrics, the API's description, roles, the lock of the data directory.

use e2e::{DECIDED_WITHIN, Shop, place, place_and_wait};
use serde_json::json;
use testkit::{Comanda, Http, command_line, eventually};

#[tokio::test]
async fn a_platform_that_misses_a_service_is_degraded_and_one_without_orders_is_not_ready() {
    let comanda = Comanda::empty().await;
    for http in [comanda.http(), comanda.admin_http()] {
        assert_eq!(http.get("/readyz").send().await.expect(200)["status"], "ready");
        comanda.roles_stop("consumer").await;
        let degraded = http.get("/readyz").send().await.expect(200);
        comanda.roles_stop("order").await;
        let unavailable = http.get("/readyz").send().await.expect(503);
        assert_eq!(http.get("/healthz").send().await.expect(200), json!({"status": "ok"}));
        comanda.roles_start("order").await;
        comanda.roles_start("consumer").await;

        assert_eq!(degraded["status"], "degraded", "{degraded}");
        let consumer = degraded["checks"].as_array().and_then(|all| all.iter().find(|it| it["name"] == "consumer"));
        assert_eq!(consumer.map(|check| &check["status"]), Some(&json!("degraded")), "{degraded}");
        assert_eq!(unavailable["status"], "unavailable", "{unavailable}");
        assert_eq!(http.get("/readyz").send().await.expect(200)["status"], "ready");
    }
}

/// The sum of all samples of a metric; `None` without one.
async fn metric(http: &Http, name: &str) -> Option<f64> {
    let text = http.get("/metrics").send().await.text();
    let samples = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    samples.map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn metrics_tell_of_orders_on_both_ports() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("consumer").await;
    place(&comanda.http(), &shop.order()).await;
    for http in [comanda.http(), comanda.admin_http()] {
        let answer = http.get("/metrics").send().await;
        assert!(answer.header("content-type").starts_with("application/openmetrics-text"), "{answer:?}");
        assert!(answer.text().ends_with("# EOF\n"));

        eventually(DECIDED_WITHIN, async || match metric(&http, "comanda_orders_undecided").await {
            Some(1.0) => Ok(()),
            other => Err(format!("{other:?} undecided orders: {}", http.get("/metrics").send().await.text())),
        })
        .await;
    }
}

#[tokio::test]
async fn the_api_describes_itself() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();

    let api = http.get("/openapi.json").send().await.expect(200);

    assert!(api["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", api["openapi"]);
    let paths: Vec<&str> = api["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    for path in ["/v1/orders", "/v1/orders/{orderId}", "/v1/orders/{orderId}:cancel", "/v1/consumers"] {
        let spelled = [path.to_owned(), path.replace("orderId", "order_id")];
        assert!(spelled.iter().any(|path| paths.contains(&path.as_str())), "{path} is not among {paths:?}");
    }
    assert_eq!(http.get("/").send().await.status, 200);
    let head = http.call(http::Method::HEAD, "/healthz").send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn operators_see_which_roles_run() {
    let comanda = Comanda::empty().await;
    comanda.roles_stop("consumer").await;
    comanda.roles_stop("consumer").await;

    let list = command_line(&["roles", "list", "--admin", comanda.admin_url()]).await;
    let unknown = command_line(&["roles", "stop", "kitchen", "--admin", comanda.admin_url()]).await;

    let lines: Vec<Vec<&str>> = list.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [["consumer", "stopped"], ["restaurant", "running"], ["order", "running"], ["gateway", "running"]];
    assert_eq!(lines, expected);
    assert_ne!(unknown.code, Some(0));
    assert!(unknown.stderr.contains("there is no role kitchen"), "{}", unknown.stderr);
}

#[tokio::test]
async fn a_role_that_the_process_does_not_have_cannot_be_started() {
    let mut comanda = Comanda::empty().await;
    comanda.restart_with_roles(&["gateway", "order"]).await;

    let refused = command_line(&["roles", "start", "consumer", "--admin", comanda.admin_url()]).await;

    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("without the consumer role"), "{}", refused.stderr);
}

#[tokio::test]
async fn nobody_serves_the_admin_service_to_the_public() {
    let comanda = Comanda::empty().await;

    let through_the_public_port = command_line(&["roles", "list", "--admin", comanda.url()]).await;

    assert_eq!(through_the_public_port.code, Some(1), "{through_the_public_port:?}");
}

#[tokio::test]
async fn the_settings_can_be_printed_and_checked() {
    let good = command_line(&["config", "check"]).await;
    let printed = command_line(&["config", "print", "--roles", "order,gateway"]).await;

    assert_eq!((good.code, good.stdout.trim()), (Some(0), "the configuration is valid"));
    assert!(printed.stdout.contains(r#"roles = ["#) && printed.stdout.contains("admin_listen"), "{}", printed.stdout);
}

#[tokio::test]
async fn a_port_that_would_be_open_to_everybody_by_chance_is_found_before_the_start() {
    let open = command_line(&["config", "check", "--listen", "0.0.0.0:8080"]).await;
    let elsewhere = command_line(&["config", "check", "--listen", "0.0.0.0:8080", "--roles", "order"]).await;

    assert_eq!(open.code, Some(1), "{open:?}");
    assert!(open.stderr.contains("0.0.0.0:8080") && open.stderr.contains("access"), "{}", open.stderr);
    assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
}

#[tokio::test]
async fn verify_finds_tickets_that_are_gone() {
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let order = place_and_wait(&comanda.http(), &shop.order()).await;
    comanda.terminate().await;
    let files = std::fs::read_dir(comanda.data_dir()).expect("the data directory is there").filter_map(Result::ok);
    let of_restaurants = files.filter(|file| file.file_name().to_string_lossy().starts_with("restaurant.db"));
    of_restaurants.for_each(|file| std::fs::remove_file(file.path()).expect("the file can be removed"));

    let (code, report) = comanda.verify().await;

    assert_eq!((code, &report["tickets"]), (Some(1), &json!(0)), "{report}");
    let subjects = report["disagreements"].as_array().into_iter().flatten().map(|it| &it["subject"]);
    assert!(subjects.into_iter().any(|subject| *subject == order["orderId"]), "{report}");
}

#[tokio::test]
async fn verify_finds_nothing_in_an_empty_directory_and_in_a_running_platform() {
    let comanda = Comanda::empty().await;
    assert_eq!(e2e::verified(&comanda).await["orders"], 0);
    let shop = Shop::open(&comanda).await;
    for _ in 0..3 {
        place_and_wait(&comanda.http(), &shop.order()).await;
    }

    let report = e2e::verified(&comanda).await;

    assert_eq!(
        (&report["orders"], &report["tickets"], &report["by_state"]),
        (&json!(3), &json!(3), &json!({"APPROVED": 3}))
    );
}
