//! The page of the API, as a browser shows it.

use crate::browser::Browser;
use serde_json::Value as Json;
use testkit::{Comanda, Options, require_tool};

fn operations(openapi: &Json) -> usize {
    let items = openapi["paths"].as_object().expect("paths").values();
    items.map(|item| item.as_object().map_or(0, serde_json::Map::len)).sum()
}

#[tokio::test]
async fn the_page_shows_every_operation_calls_one_and_asks_nobody_else() {
    let Some(program) = require_tool("chromium/run") else { return };
    let comanda = Comanda::start(Options { sample_data: true, ..Options::default() }).await;
    let operations = operations(&comanda.http().get("/openapi.json").send().await.expect(200));
    let mut browser = Browser::start(&program).await;

    browser.open(&format!("{}/docs", comanda.url())).await;
    browser.eventually(&format!("document.querySelectorAll('.opblock').length === {operations}")).await;
    let list = "document.querySelector('[data-path=\"/v1/consumers\"]')?.closest('.opblock-get')";
    for element in ["button", ".try-out__btn", ".execute"] {
        browser.click(&format!("{list}?.querySelector('{element}')")).await;
    }
    let status = browser
        .eventually(&format!("{list}.querySelector('.live-responses-table tbody .response-col_status')?.innerText"))
        .await;
    let body =
        browser.eventually(&format!("{list}.querySelector('.live-responses-table .highlight-code')?.innerText")).await;

    assert!(status.as_str().is_some_and(|status| status.starts_with("200")), "{status}");
    assert!(body.as_str().is_some_and(|body| body.contains("Ada")), "{body}");
    let errors: Vec<&Json> = browser
        .events("Log.entryAdded")
        .filter(|params| params["entry"]["level"] == "error")
        .chain(browser.events("Runtime.exceptionThrown"))
        .chain(browser.events("Runtime.consoleAPICalled").filter(|params| params["type"] == "error"))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let asked = browser.events("Network.requestWillBeSent").filter_map(|params| params["request"]["url"].as_str());
    let asked: Vec<&str> = asked.filter(|url| !url.starts_with("data:")).collect();
    assert!(asked.len() > 4 && asked.iter().all(|url| url.starts_with(comanda.url())), "{asked:#?}");
}
