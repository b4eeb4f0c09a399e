//! A gateway without Consul, and without anything of Comanda.

use crate::library::{Library, contract, require};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dozen_lines_put_rest_in_front_of_a_service() {
    if !require() {
        return;
    }
    let library = Library::open("main", &contract()).await;
    let gateway = library.gateway().await;
    let http = gateway.http();

    let book = json!({"bookId": "1", "title": "Middlemarch", "copies": 3, "branch": "main"});
    assert_eq!(http.get("/v1/books/1").send().await.expect(200), book);
    assert_eq!(
        http.get("/v1/books").header("accept", "application/json").send().await.expect(200).as_array().unwrap().len(),
        2
    );
    let lent = http.post("/v1/books/2:lend", &json!({"reader": "ann"})).send().await.expect(200);
    assert_eq!(lent["copies"], 0);
    let none_left = http.post("/v1/books/2:lend", &json!({"reader": "ben"})).send().await.expect(400);
    assert_eq!((&none_left["code"], &none_left["message"]), (&json!(9), &json!("all copies of Bleak House are lent")));
    assert_eq!(http.get("/v1/orders").send().await.status, 404, "Comanda itself is not served");
    assert!(http.get("/openapi.json").send().await.expect(200)["paths"]["/v1/books/{bookId}:lend"]["post"].is_object());
    let shown = gateway.admin_http().get("/admin/routes").send().await.expect(200);
    assert_eq!((&shown["services"][0]["name"], &shown["services"][0]["state"]), (&json!("library"), &json!("served")));
    assert_eq!(http.get("/readyz").send().await.expect(200)["status"], "ready");
    assert!(!gateway.data_dir().exists(), "it keeps nothing");
}
