//! The public port behind TLS.

use crate::authority::{Authority, Signed};
use crate::harness::{Port, client, eventually, line};
use crate::parrot::{PARROT, Parrot, Perch, Perched};
use ::guard::CertificateRule;
use bytes::Bytes;
use gateway::{ClientCertificate, Config, TlsConfig};
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::ExtendedKeyUsagePurpose::ClientAuth;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::{Code, Request as Call, Status};
use tonic_prost::ProstCodec;

/// A port with a certificate, and a parrot that tells who calls.
struct Vault {
    port: Port,
    authority: Authority,
    _perched: Perched,
}

impl Vault {
    async fn open(change: impl FnOnce(&Authority, &mut TlsConfig)) -> Vault {
        Vault::guarded(::guard::Config::default(), change).await
    }

    async fn guarded(guard: ::guard::Config, change: impl FnOnce(&Authority, &mut TlsConfig)) -> Vault {
        let authority = Authority::new();
        let (certificate_file, key_file) = authority.put(&authority.server());
        let mut tls = TlsConfig::new(certificate_file, key_file);
        change(&authority, &mut tls);
        let (upstream, perched) = Perch::Here.put(Parrot::default()).await;
        let port = Port::start(Config { tls: Some(tls), guard, ..Config::default() }, [(PARROT, upstream)]).await;
        Vault { port, authority, _perched: perched }
    }

    async fn connect(&self, protocols: &[&str], signed: Option<&Signed>) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::new(self.authority.client(protocols, signed));
        let stream = TcpStream::connect(self.port.address).await.unwrap();
        TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// Who the parrot says is calling.
    async fn caller(&self, signed: Option<&Signed>) -> Result<String, Status> {
        let unknown = |error: &dyn std::error::Error| Status::unknown(error.to_string());
        let stream = self.connect(&["h2"], signed).await.map_err(|error| unknown(&error))?;
        let mut tasks = JoinSet::new();
        let mut client = client(line(stream, &mut tasks).await.map_err(|error| unknown(&error))?);
        client.ready().await.map_err(|error| unknown(&error))?;
        let path = format!("/{PARROT}/Say").parse().unwrap();
        let codec = ProstCodec::<String, String>::default();
        client.unary(Call::new("caller".to_owned()), path, codec).await.map(tonic::Response::into_inner)
    }
}

/// The certificate that the server has shown.
fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> io::Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[tokio::test]
async fn the_client_chooses_its_protocol() {
    let vault = Vault::open(|_, _| {}).await;

    let mut one = vault.connect(&["http/1.1"], None).await.unwrap();
    assert_eq!(one.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(ask(&mut one).await.unwrap().starts_with("HTTP/1.1 200"));
    let two = vault.connect(&["h2", "http/1.1"], None).await.unwrap();
    assert_eq!(two.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(two)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get("https://localhost/healthz").body(Full::new(Bytes::new())).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert_eq!(answer.collect().await.unwrap().to_bytes(), r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn a_client_without_tls_is_let_go() {
    let vault = Vault::open(|_, _| {}).await;
    let mut plain = TcpStream::connect(vault.port.address).await.unwrap();

    let answer = ask(&mut plain).await.unwrap_or_default();

    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_required_certificate_is_required_and_its_names_reach_the_service() {
    let vault = Vault::open(|authority, tls| tls.client_ca_file = Some(authority.ca_file())).await;
    let till = vault.authority.sign("till-7", &["till.example"], ClientAuth);
    let stranger = Authority::new().sign("till-7", &["till.example"], ClientAuth);

    let caller = vault.caller(Some(&till)).await.unwrap();
    assert!(caller.contains(r#"CN=till-7", names: ["till.example"]"#), "{caller}");
    assert!(caller.contains("address: 127.0.0.1"), "{caller}");
    assert!(vault.caller(None).await.is_err());
    assert!(vault.caller(Some(&stranger)).await.is_err());
}

#[tokio::test]
async fn a_certificate_says_who_calls() {
    let rule = |name: &str, role: &str| CertificateRule {
        name: name.to_owned(),
        roles: vec![role.to_owned()],
        claims: BTreeMap::new(),
    };
    let guard = ::guard::Config {
        certificates: vec![rule("till.example", "clerk"), rule("CN=boss", "operator")],
        ..::guard::Config::default()
    };
    let vault = Vault::guarded(guard, |authority, tls| {
        tls.client_ca_file = Some(authority.ca_file());
        tls.client_certificate = ClientCertificate::Optional;
    })
    .await;
    let [till, boss, other] = [("till-7", "till.example"), ("boss", "boss.example"), ("other", "other.example")]
        .map(|(subject, name)| vault.authority.sign(subject, &[name], ClientAuth));

    assert!(vault.caller(Some(&boss)).await.is_ok());
    assert_eq!(vault.caller(Some(&till)).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(vault.caller(Some(&other)).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(vault.caller(None).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_optional_certificate_may_lack_and_must_not_be_wrong() {
    let vault = Vault::open(|authority, tls| {
        tls.client_ca_file = Some(authority.ca_file());
        tls.client_certificate = ClientCertificate::Optional;
    })
    .await;
    let till = vault.authority.sign("till-7", &[], ClientAuth);
    let stranger = Authority::new().sign("till-7", &[], ClientAuth);

    assert!(vault.caller(None).await.unwrap().contains("certificate: None"));
    assert!(vault.caller(Some(&till)).await.unwrap().contains("CN=till-7"));
    assert!(vault.caller(Some(&stranger)).await.is_err());
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let vault = Vault::open(|_, tls| tls.reload_interval_ms = 10).await;
    let mut old = vault.connect(&["http/1.1"], None).await.unwrap();
    let first = shown(&old);
    assert!(ask(&mut old).await.unwrap().starts_with("HTTP/1.1 200"));

    // A file that is only half there changes nothing.
    vault.authority.write("server.key", "half a k");
    let during = vault.connect(&["http/1.1"], None).await.unwrap();
    assert!(shown(&during) == first);
    vault.authority.put(&vault.authority.server());

    let is_new = async || shown(&vault.connect(&["http/1.1"], None).await.unwrap()) != first;
    eventually("the new certificate is shown", is_new).await;
    assert!(ask(&mut old).await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_ended() {
    let vault = Vault::open(|_, tls| tls.handshake_timeout_ms = 50).await;
    // The beginning of a ClientHello, whose rest never comes; and nothing at all.
    for beginning in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b""] {
        let mut stream = TcpStream::connect(vault.port.address).await.unwrap();
        stream.write_all(beginning).await.unwrap();

        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;

        assert!(closed.is_ok(), "{beginning:?} kept its connection");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let (certificate, key) = authority.put(&authority.server());
    let other = authority.write("other.key", &authority.server().key);
    let empty = authority.write("empty.pem", "");
    let missing = authority.path().join("missing.pem");

    for (certificate, key, named) in
        [(&missing, &key, "missing.pem"), (&empty, &key, "empty.pem"), (&certificate, &other, "other.key")]
    {
        let tls = TlsConfig::new(certificate.clone(), key.clone());
        let refused = Port::refuse(Config { tls: Some(tls), ..Config::default() }).await;
        assert!(refused.contains(named) && refused.contains("for TLS"), "{refused}");
    }
}
