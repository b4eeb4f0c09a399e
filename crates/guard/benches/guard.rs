//! What a guard costs a call: nothing to check, a key, a token that is known already, a token that is new, a rate, a rule about fields.
//!
//! `cargo bench --package guard`. Rounds of all take turns, so that a busy machine slows all; the best round of each counts. What the service and
//! the request cost without a guard is taken off.

#![expect(clippy::unwrap_used, reason = "a program for measurements ends at what it does not expect")]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use guard::{Config, Defaults, Guard, Metrics, Peer};
use http::{HeaderValue, Request, Response};
use prost_reflect::DescriptorPool;
use serde_json::json;
use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tonic::body::Body;
use tower::{Layer, Service, service_fn};

/// Rounds of each; the best is what an idle machine would show.
const ROUNDS: u32 = 15;
/// Calls of a round: some milliseconds.
const CALLS: u32 = 2_000;

const RULES: &str = "[[rules]]\nmethods = [\"*\"]\nwho = \"authenticated\"\n";
const OWN: &str =
    "[[rules]]\nmethods = [\"*\"]\nwho = \"authenticated\"\nown = [{ claim = \"owner\", request = \"order_id\" }]\n";
const RATE: &str = "[[rates]]\nmethods = [\"*\"]\nper_second = 1e9\nburst = 4000000000\n";

fn main() {
    // `cargo test` runs this too, to see that it does not rot.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure(rounds));
}

async fn measure(rounds: u32) {
    let issuer = Issuer::new();
    let keys = keys(10);
    let (bearer, key) = (("authorization", issuer.token(0)), ("x-api-key", "key-0".to_owned()));
    let cases = [
        ("open", String::new(), None),
        ("API key, 1 of 10", format!("{keys}{RULES}"), Some(key.clone())),
        ("API key, 1 of 1,000", format!("{}{RULES}", self::keys(1_000)), Some(key.clone())),
        ("token known already", format!("{}{RULES}", issuer.config()), Some(bearer)),
        ("rate, by address", RATE.to_owned(), None),
        ("API key and rate", format!("{keys}{RULES}{RATE}"), Some(key.clone())),
        ("API key and a field of the request", format!("{keys}{OWN}"), Some(key)),
    ];
    let bare = service_fn(|request: Request<Body>| async move {
        drop(black_box(request));
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let mut best = vec![f64::MAX; cases.len() + 1];
    let mut services = Vec::new();
    for (_, config, _) in &cases {
        let config: Config = toml::from_str(config).unwrap();
        let guard = Guard::new(config, Defaults::default(), Metrics::default()).await.unwrap();
        services.push(guard.layer(guard::methods_of(&descriptors())).layer(bare));
    }
    for _ in 0..rounds {
        best[0] = best[0].min(nanoseconds(&mut bare.clone(), None).await);
        for (index, (service, (_, _, header))) in services.iter_mut().zip(&cases).enumerate() {
            best[index + 1] = best[index + 1].min(nanoseconds(service, header.as_ref()).await);
        }
    }
    println!("request and service alone: {:.0} ns", best[0]);
    for ((name, _, _), best_ns) in cases.iter().zip(&best[1..]) {
        println!("  {name}: {:.0} ns", best_ns - best[0]);
    }
    println!("  token that is new (Ed25519): {:.0} ns", issuer.new_tokens(bare, rounds).await - best[0]);
}

/// What a call costs.
async fn nanoseconds<S>(service: &mut S, header: Option<&(&'static str, String)>) -> f64
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let header = header.map(|(name, value)| (*name, HeaderValue::try_from(value).unwrap()));
    let begun = Instant::now();
    for _ in 0..CALLS {
        let mut request = request();
        if let Some((name, value)) = &header {
            request.headers_mut().insert(*name, value.clone());
        }
        black_box(service.call(request).await.unwrap());
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// As it comes from a client: a dozen headers, the address of the connection, and a message of seven bytes.
fn request() -> Request<Body> {
    let message: &'static [u8] = b"\0\0\0\0\x07\x0a\x05key-0";
    let mut request = Request::new(Body::new(http_body_util::Full::new(message.into())));
    *request.uri_mut() = http::Uri::from_static("/shop.Orders/Pay");
    for (name, value) in
        [("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "bench"), ("traceparent", "0")]
    {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request.extensions_mut().insert(Peer { address: [127, 0, 0, 1].into(), certificate: None });
    request
}

fn descriptors() -> DescriptorPool {
    let folders =
        [concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guard"), concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto")];
    let mut compiler = protox::Compiler::new(folders).unwrap();
    compiler.include_imports(true).open_file("shop.proto").unwrap().descriptor_pool()
}

fn keys(count: usize) -> String {
    let digest = |key: &str| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let key = |number| {
        let name = format!("key-{number}");
        format!("[[api_keys]]\nname = {name:?}\nsha256 = {:?}\nclaims = {{ owner = {name:?} }}\n", digest(&name))
    };
    (0..count).map(key).collect()
}

struct Issuer {
    key: Ed25519KeyPair,
    keys: tempfile::NamedTempFile,
}

impl Issuer {
    fn new() -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let jwk = json!({"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": base64(key.public_key().as_ref())});
        let keys = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(keys.path(), json!({"keys": [jwk]}).to_string()).unwrap();
        Issuer { key, keys }
    }

    fn config(&self) -> String {
        format!("[[issuers]]\nissuer = \"i\"\naudiences = [\"a\"]\njwks = {:?}\n", self.keys.path())
    }

    fn token(&self, number: u32) -> String {
        let exp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3_600;
        let claims = json!({"iss": "i", "aud": "a", "sub": "anna", "exp": exp, "jti": number, "roles": ["clerk"],
            "email": "anna@example.com", "name": "Anna Example", "scope": "openid profile email orders"});
        let header = json!({"alg": "EdDSA", "kid": "k", "typ": "JWT"});
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = base64(self.key.sign(message.as_bytes()));
        format!("Bearer {message}.{signature}")
    }

    async fn new_tokens<S>(&self, bare: S, rounds: u32) -> f64
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let config: Config = toml::from_str(&format!("{}{RULES}", self.config())).unwrap();
        let guard = Guard::new(config, Defaults::default(), Metrics::default()).await.unwrap();
        let mut service = guard.layer(guard::methods_of(&descriptors())).layer(bare);
        let mut best = f64::MAX;
        for round in 0..rounds {
            let tokens: Vec<String> = (0..200).map(|number| self.token(round * 200 + number)).collect();
            let begun = Instant::now();
            for token in tokens {
                let mut request = request();
                request.headers_mut().insert("authorization", HeaderValue::try_from(token).unwrap());
                black_box(service.call(request).await.unwrap());
            }
            best = best.min(begun.elapsed().as_secs_f64() * 1e9 / 200.0);
        }
        best
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
