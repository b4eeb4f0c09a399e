//! A browser without a screen, spoken to by the DevTools protocol over a pipe.

use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long the browser may take for one answer; it starts in half a second on an idle machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long the page may take to show something, in milliseconds.
const SHOWN_WITHIN_MS: u32 = 30_000;

/// A browser with one page. It is killed when it is dropped.
pub(crate) struct Browser {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: u64,
    session: Option<String>,
    /// What it told without being asked, as it came.
    events: Vec<Json>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty page, and listens to all that the page does.
    pub(crate) async fn start(program: &Path) -> Self {
        let profile = TempDir::new().expect("a temporary folder");
        // It speaks over the descriptors 3 and 4.
        let script = "exec \"$0\" \"$@\" --remote-debugging-pipe 3<&0 4>&1 0</dev/null 1>&2";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(program).arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("a shell");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut browser = Browser {
            _child: child,
            input,
            output: BufReader::new(output),
            last_id: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Goes to a page.
    pub(crate) async fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({"url": url})).await;
        assert!(answer.get("errorText").is_none(), "{url} could not be opened: {answer}");
    }

    /// The value of an expression of JavaScript, once it is true.
    pub(crate) async fn eventually(&mut self, expression: &str) -> Json {
        let text = json!(expression);
        let promise = format!(
            "new Promise((resolve, reject) => {{
                const end = Date.now() + {SHOWN_WITHIN_MS};
                const look = () => {{
                    const value = {expression};
                    if (value) resolve(value);
                    else if (Date.now() > end) reject(new Error({text} + ' did not become true'));
                    else setTimeout(look, 50);
                }};
                look();
            }})"
        );
        let evaluate = json!({"expression": promise, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", evaluate).await;
        assert!(answer.get("exceptionDetails").is_none(), "{}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Clicks an element, once it is there.
    pub(crate) async fn click(&mut self, element: &str) {
        self.eventually(&format!("(() => {{ const it = {element}; it?.click(); return !!it }})()")).await;
    }

    /// What the page was told of under this name.
    pub(crate) fn events<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Json> {
        self.events.iter().filter(move |event| event["method"] == name).map(|event| &event["params"])
    }

    async fn call(&mut self, method: &str, params: Json) -> Json {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).await.expect("the browser listens");
        let answer = timeout(ANSWER_WITHIN, self.answer(method)).await;
        answer.unwrap_or_else(|_elapsed| panic!("the browser did not answer {method} within {ANSWER_WITHIN:?}"))
    }

    async fn answer(&mut self, method: &str) -> Json {
        loop {
            let mut bytes = Vec::new();
            self.output.read_until(0, &mut bytes).await.expect("the browser speaks");
            assert!(bytes.pop() == Some(0), "the browser ended");
            let message: Json = serde_json::from_slice(&bytes).expect("the browser speaks JSON");
            match message["id"].as_u64() {
                Some(id) if id == self.last_id => {
                    assert!(message.get("error").is_none(), "{method} failed: {}", message["error"]);
                    return message["result"].clone();
                }
                Some(_) => {}
                None => self.events.push(message),
            }
        }
    }
}
