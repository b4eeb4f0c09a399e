//! A scripted Consul agent, for what a real one cannot be made to do.

use lifecycle::Tasks;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// An agent that says what it is told to. It ends with its owner.
pub(crate) struct Fake {
    address: SocketAddr,
    script: watch::Sender<Script>,
    asked: watch::Sender<Vec<Asked>>,
    _tasks: Tasks,
}

/// What it answers from now on; queries that wait hear of a new index.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) index: u64,
    pub(crate) body: String,
    pub(crate) manner: Manner,
    /// Further headers.
    pub(crate) headers: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Answer,
    /// Answers every query at once, each with a higher index.
    Flood,
    Status(u16),
    ResetInMidBody,
    Hang,
    /// A body that never ends.
    Endless,
}

/// A request that it was asked for the health of a service.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) token: Option<String>,
}

impl Asked {
    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        query.split('&').find_map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key == name).then_some(value),
            None => (pair == name).then_some(""),
        })
    }
}

impl Fake {
    pub(crate) async fn start(index: u64, ports: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (script, seen) =
            watch::channel(Script { index, body: passing(ports), manner: Manner::Answer, headers: "" });
        let asked = watch::Sender::new(Vec::new());
        let mut tasks = Tasks::new();
        tasks.spawn("fake", accept(listener, seen, asked.clone()));
        Fake { address, script, asked, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn say(&self, index: u64, ports: &[u16]) {
        self.change(|script| *script = Script { index, body: passing(ports), manner: Manner::Answer, headers: "" });
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Script)) {
        self.script.send_modify(change);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Waits until a request that came after the first `before` is as `is_so` says.
    pub(crate) async fn until_asked(&self, before: usize, is_so: impl Fn(&Asked) -> bool) -> Asked {
        let mut asked = self.asked.subscribe();
        let found = |all: &Vec<Asked>| all.iter().skip(before).any(&is_so);
        let waited = tokio::time::timeout(super::support::PATIENCE, asked.wait_for(found)).await;
        let all = waited.unwrap_or_else(|_| panic!("it was not asked so: {:?}", self.asked())).unwrap();
        all.iter().skip(before).find(|it| is_so(it)).unwrap().clone()
    }
}

/// Members that are well.
pub(crate) fn passing(ports: &[u16]) -> String {
    let member = |port: &u16| {
        format!(
            r#"{{"Node":{{"Address":"127.0.0.1"}},"Service":{{"ID":"m{port}","Address":"127.0.0.1","Port":{port}}},
            "Checks":[{{"CheckID":"service:m{port}","Status":"passing","Output":"ok"}}]}}"#
        )
    };
    format!("[{}]", ports.iter().map(member).collect::<Vec<_>>().join(","))
}

async fn accept(listener: TcpListener, script: watch::Receiver<Script>, asked: watch::Sender<Vec<Asked>>) {
    let mut lines = JoinSet::new();
    while let Ok((line, _)) = listener.accept().await {
        lines.spawn(serve(line, script.clone(), asked.clone()));
    }
}

async fn serve(mut line: TcpStream, mut script: watch::Receiver<Script>, asked: watch::Sender<Vec<Asked>>) {
    while let Some(request) = read(&mut line).await {
        if request.path.starts_with("/v1/internal/acl/authorize") {
            // As without ACLs.
            respond(&mut line, 200, "", r#"[{"Allow":true}]"#).await;
            continue;
        }
        asked.send_modify(|all| all.push(request.clone()));
        wait(&request, &mut script).await;
        let now = script.borrow().clone();
        let head = format!("X-Consul-Index: {}\r\n{}", now.index, now.headers);
        match now.manner {
            Manner::Answer => respond(&mut line, 200, &head, &now.body).await,
            Manner::Flood => {
                let index = request.parameter("index").and_then(|it| it.parse().ok()).unwrap_or(now.index) + 1;
                respond(&mut line, 200, &format!("X-Consul-Index: {index}\r\n"), &now.body).await;
            }
            Manner::Status(status) => respond(&mut line, status, &head, "not now").await,
            Manner::ResetInMidBody => {
                let text = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n[", now.body.len());
                drop(line.write_all(text.as_bytes()).await);
                drop(line.set_zero_linger());
                return;
            }
            Manner::Hang => std::future::pending().await,
            Manner::Endless => {
                drop(line.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n[").as_bytes()).await);
                while line.write_all(&[b' '; 4096]).await.is_ok() {}
                return;
            }
        }
    }
}

/// As Consul does: an index that is ahead hears nothing until the end.
async fn wait(request: &Asked, script: &mut watch::Receiver<Script>) {
    let index = request.parameter("index").and_then(|index| index.parse::<u64>().ok());
    let milliseconds = request.parameter("wait").and_then(|wait| wait.strip_suffix("ms")?.parse().ok());
    if let (Some(index), Some(milliseconds)) = (index, milliseconds) {
        let is_news = |now: &Script| now.index != index || now.manner != Manner::Answer;
        // A real one compares with `>`; a test that lets the index go back wants the query that waits to hear of it.
        let news = script.wait_for(is_news);
        drop(tokio::time::timeout(Duration::from_millis(milliseconds), news).await);
    }
}

async fn read(line: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(line.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    line.read_exact(&mut body).await.ok()?;
    Some(Asked { path: head.split_whitespace().nth(1)?.to_owned(), token: header("x-consul-token") })
}

async fn respond(line: &mut TcpStream, status: u16, head: &str, body: &str) {
    let mut text = String::new();
    write!(text, "HTTP/1.1 {status} X\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    // Whoever has gone needs no answer.
    drop(line.write_all(text.as_bytes()).await);
}
