//! A service that is found in Consul, replaced by another version and removed, under load.

use crate::library::{Library, contract, example, next_contract, require};
use serde_json::{Value as Json, json};
use servers::Consul;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::{Comanda, Http, Options, eventually};
use tokio::task::JoinSet;

/// How long a service that registers may take until it is served.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Callers that ask all the time.
const CALLERS: usize = 4;

/// What callers see while the service is there: the same book each time.
struct Load {
    callers: JoinSet<usize>,
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    fn begin(http: &Http) -> Load {
        let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (http, is_over, answered) = (http.clone(), is_over.clone(), answered.clone());
            callers.spawn(async move {
                let mut asked = 0;
                while !is_over.load(Ordering::Relaxed) {
                    ask(&http, (caller + asked) % 2 == 0).await;
                    asked += 1;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                asked
            });
        }
        Load { callers, is_over, answered }
    }

    /// Waits until this many more calls have been answered.
    async fn goes_on(&self, calls: usize) {
        let until = self.answered.load(Ordering::Relaxed) + calls;
        eventually(PATIENCE, async || match self.answered.load(Ordering::Relaxed) {
            answered if answered >= until => Ok(()),
            answered => Err(format!("{answered} of {until} calls are answered")),
        })
        .await;
    }

    /// Ends it; how many calls were made. Each of them was answered as it should be.
    async fn end(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.callers.join_all().await.into_iter().sum()
    }
}

/// Asks for a book or for all of them, and looks at the whole answer.
async fn ask(http: &Http, for_one: bool) {
    let is_branch = |book: &Json| matches!(book["branch"].as_str(), Some("old" | "new"));
    if for_one {
        let book = http.get("/v1/books/1").send().await.expect(200);
        assert!(is_branch(&book) && book["title"] == "Middlemarch" && book["bookId"] == "1", "{book}");
    } else {
        let books = http.get("/v1/books").header("accept", "application/json").send().await.expect(200);
        let titles: Vec<&Json> = books.as_array().unwrap().iter().map(|book| &book["title"]).collect();
        assert_eq!(titles, ["Middlemarch", "Bleak House"], "{books}");
        assert!(books.as_array().unwrap().iter().all(is_branch), "{books}");
    }
}

async fn gateway(consul: &Consul, config: PathBuf) -> Comanda {
    let env = [
        ("COMANDA_CONSUL__AGENTS", format!("[\"{}\"]", consul.url())),
        // What vanishes as the last is believed a second later, and its routes go two seconds after that.
        ("COMANDA_CONSUL__HOLD_DOWN_MS", "1000".to_owned()),
        ("COMANDA_GATEWAY__CATALOG__ABSENT_GRACE_MS", "2000".to_owned()),
    ];
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Comanda::start(Options { roles: vec!["gateway"], config: Some(config), env, ..Options::default() }).await
}

/// Which branch has answered a POST, or else its status. That all copies are lent is an answer of the old one.
async fn post(http: &Http, path: &str) -> Result<String, u16> {
    let answer = http.post(path, &json!({})).send().await;
    let status = answer.status.as_u16();
    match (status, answer.json()) {
        (200, json) => Ok(json["branch"].as_str().unwrap().to_owned()),
        (400, json) if json["message"] == "all copies of Middlemarch are lent" => Ok("old".to_owned()),
        (status, _) => Err(status),
    }
}

/// Waits until a POST is answered by a branch, or, without one, is not served any more.
async fn until_posted(http: &Http, path: &str, branch: Option<&str>) {
    eventually(PATIENCE, async || match (post(http, path).await, branch) {
        (Ok(by), Some(branch)) if by == branch => Ok(()),
        (Err(404 | 405), None) => Ok(()),
        (seen, _) => Err(format!("{path} is {seen:?}, not by {branch:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_found_replaced_and_removed_under_load_without_a_wrong_answer() {
    if !require() || !Consul::require() {
        return;
    }
    let consul = Consul::start().await;
    let gateway = gateway(&consul, example().join("gateway-consul.toml")).await;
    let http = gateway.http();
    let old = Library::open("old", &contract()).await;
    assert_eq!(http.get("/v1/books/1").send().await.status, 404);

    old.register(&consul).await;
    let registered = Instant::now();
    eventually(PATIENCE, async || match http.get("/v1/books/1").send().await.status.as_u16() {
        200 => Ok(()),
        status => Err(status.to_string()),
    })
    .await;
    let took = registered.elapsed();
    println!("served {took:?} after it was registered");
    assert!(took < SERVED_WITHIN, "it was served after {took:?}");

    // Replaced by a version with another method.
    let load = Load::begin(&http);
    load.goes_on(20).await;
    until_posted(&http, "/v1/books/1:lend", Some("old")).await;
    let new = Library::open("new", &next_contract()).await;
    new.register(&consul).await;
    until_posted(&http, "/v1/books/1:return", Some("new")).await;
    for _ in 0..10 {
        assert_eq!(post(&http, "/v1/books/1:lend").await.as_deref(), Ok("old"));
        assert_eq!(post(&http, "/v1/books/1:return").await.as_deref(), Ok("new"));
    }
    old.deregister(&consul).await;
    until_posted(&http, "/v1/books/1:lend", None).await;
    old.stop().await;
    load.goes_on(20).await;

    // Stopped while another is there, without a word to Consul.
    let second = Library::open("new", &next_contract()).await;
    second.register(&consul).await;
    eventually(PATIENCE, async || {
        let shown = gateway.admin_http().get("/admin/routes").send().await.expect(200);
        match shown["services"][0]["endpoints"].as_array().map(Vec::len) {
            Some(2) if shown["services"][0]["versions"][0]["endpoints"] == 2 => Ok(()),
            _ => Err(shown.to_string()),
        }
    })
    .await;
    new.stop().await;
    load.goes_on(20).await;
    let calls = load.end().await;
    println!("{calls} calls, each answered as it should be");

    // Removed: what is begun is finished, what comes is told that nobody is there, and at last that there is no such thing.
    second.deregister(&consul).await;
    second.stop().await;
    let mut seen = vec![http.get("/v1/books/1").send().await.status.as_u16()];
    eventually(PATIENCE, async || {
        let status = http.get("/v1/books/1").send().await.status.as_u16();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        if status == 404 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    seen.retain(|status| *status != 200);
    assert_eq!(seen, [503, 404]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_the_tag_gets_settings_of_its_own_and_loses_them_under_load() {
    if !require() || !Consul::require() {
        return;
    }
    let (consul, folder) = (Consul::start().await, TempDir::new().unwrap());
    let file = folder.path().join("gateway.toml");
    let by_tag = std::fs::read_to_string(example().join("gateway-consul.toml")).unwrap();
    let by_name = format!("{by_tag}\n[gateway.services.shelf]\nfrom = \"consul:library\"\nstrict = false\n");
    std::fs::write(&file, &by_tag).unwrap();
    let gateway = gateway(&consul, file.clone()).await;
    let http = gateway.http();
    let until = async |expected: u16| {
        eventually(PATIENCE, async || match http.get("/v1/books/1?colour=red").send().await.status.as_u16() {
            status if status == expected => Ok(()),
            status => Err(format!("a book of a colour is {status}, not {expected}: {}", gateway.log())),
        })
        .await;
    };
    let library = Library::open("old", &contract()).await;
    library.register(&consul).await;
    until(400).await;

    let load = Load::begin(&http);
    for _ in 0..3 {
        for (text, expected) in [(&by_name, 200), (&by_tag, 400)] {
            load.goes_on(20).await;
            std::fs::write(&file, text).unwrap();
            gateway.hang_up();
            until(expected).await;
        }
    }
    load.goes_on(20).await;

    println!("{} calls, each answered as it should be", load.end().await);
    library.stop().await;
}
