//! Which tokens are taken, and which never.

use crate::shop::{Shop, reason};
use crate::signing::{ED, ISSUER, RSA, Signer, base64, claims, now, set, trusting};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tonic::Code;

/// A shop that trusts the keys `rsa` and `ed`.
struct Trusting {
    shop: Shop,
    _keys: NamedTempFile,
}

async fn trusting_shop(keys: &[Value]) -> Trusting {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), set(keys)).unwrap();
    Trusting { shop: Shop::open(&trusting(file.path().to_str().unwrap())).await, _keys: file }
}

async fn usual() -> Trusting {
    trusting_shop(&[RSA.jwk("rsa"), ED.jwk("ed")]).await
}

impl Trusting {
    /// Whose token it is, or how it was refused.
    async fn who(&self, token: &str) -> Result<String, (Code, String)> {
        let called = self.shop.get("anna-1", &[("authorization", &format!("Bearer {token}"))]).await;
        match called {
            Ok(_) => Ok(self.shop.seen().pop().unwrap().subject.unwrap()),
            Err(status) => {
                assert!(self.shop.seen().is_empty(), "a refused call reached the service");
                Err((status.code(), reason(&status)))
            }
        }
    }

    async fn check_refused(&self, what: &str, token: &str) {
        let refused = Err((Code::Unauthenticated, "CREDENTIALS_INVALID".to_owned()));
        assert_eq!(self.who(token).await, refused, "{what}: {token:.200}");
    }
}

fn with(changes: &Value) -> Value {
    let mut claims = claims("anna");
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[tokio::test]
async fn every_algorithm_of_the_list_is_taken() {
    let signers = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(Signer::rsa);
    let signers = signers.into_iter().chain(["ES256", "ES384"].map(Signer::ec));
    for signer in signers {
        let trusting = trusting_shop(&[signer.jwk("one"), ED.jwk("ed")]).await;

        assert_eq!(
            trusting.who(&signer.token("one", &claims("anna"))).await.as_deref(),
            Ok("anna"),
            "{}",
            signer.algorithm()
        );
        assert_eq!(trusting.who(&ED.token("ed", &claims("ben"))).await.as_deref(), Ok("ben"));
    }
}

#[tokio::test]
async fn a_token_is_known_again() {
    let trusting = usual().await;
    let token = RSA.token("rsa", &claims("anna"));

    for _ in 0..3 {
        assert_eq!(trusting.who(&token).await.as_deref(), Ok("anna"));
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_told_to_show_one() {
    let status = usual().await.shop.get("anna-1", &[]).await.unwrap_err();

    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "CREDENTIALS_MISSING"));
    assert_eq!(status.metadata().get("www-authenticate").unwrap(), "Bearer");
}

#[tokio::test]
async fn a_token_that_is_not_signed_is_refused() {
    let trusting = usual().await;
    let payload = base64(claims("anna").to_string());
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        for header in [json!({"alg": algorithm}), json!({"alg": algorithm, "kid": "rsa"})] {
            let message = format!("{}.{payload}", base64(header.to_string()));
            trusting.check_refused("no signature", &format!("{message}.")).await;
            trusting.check_refused("no third part", &message).await;
            trusting.check_refused("some signature", &format!("{message}.{}", base64("signature"))).await;
            trusting.check_refused("signed", &RSA.raw(&header.to_string(), &claims("anna").to_string())).await;
        }
    }
    let good = RSA.token("rsa", &claims("anna"));
    let message = good.rsplit_once('.').unwrap().0;
    trusting.check_refused("empty signature", &format!("{message}.")).await;
    trusting.check_refused("another signature", &format!("{message}.{}", base64(RSA.sign(b"other")))).await;
    trusting.check_refused("no signature at all", message).await;
}

#[tokio::test]
async fn a_public_key_is_never_a_secret() {
    let trusting = usual().await;
    for (id, signer) in [("rsa", &*RSA), ("ed", &*ED)] {
        let public = signer.public();
        let jwk = signer.jwk(id).to_string();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&public));
        for secret in [public.as_slice(), jwk.as_bytes(), pem.as_bytes(), b""] {
            for (name, algorithm) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
            {
                let header = json!({"alg": name, "kid": id});
                let message = format!("{}.{}", base64(header.to_string()), base64(claims("anna").to_string()));
                let signature = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
                trusting.check_refused(name, &format!("{message}.{}", base64(signature))).await;
            }
        }
    }
}

#[tokio::test]
async fn the_key_says_the_algorithm_and_not_the_token() {
    let trusting = usual().await;
    let claims = claims("anna").to_string();

    for algorithm in ["RS384", "PS256", "ES256", "EdDSA", "rs256", "RS256 "] {
        let header = json!({"alg": algorithm, "kid": "rsa"}).to_string();
        trusting.check_refused(algorithm, &RSA.raw(&header, &claims)).await;
    }
    trusting.check_refused("another's key", &RSA.raw(r#"{"alg":"RS256","kid":"ed"}"#, &claims)).await;
    let other = Signer::rsa("RS256");
    trusting.check_refused("a stranger's key", &other.token("rsa", &crate::signing::claims("anna"))).await;
}

#[tokio::test]
async fn an_id_of_a_key_is_a_name_and_no_place() {
    let trusting = usual().await;
    let claims = claims("anna").to_string();
    for id in
        ["../../../../dev/null", "/etc/passwd", "rsa' OR '1'='1", "http://127.0.0.1:1/jwks", "rsa\u{0}", "", "RSA"]
    {
        let header = json!({"alg": "RS256", "kid": id}).to_string();
        trusting.check_refused(id, &RSA.raw(&header, &claims)).await;
    }
    for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"RS256","kid":7}"#, r#"{"alg":"RS256","kid":["rsa"]}"#] {
        trusting.check_refused("there are two keys to choose from", &RSA.raw(header, &claims)).await;
    }
}

#[tokio::test]
async fn keys_that_a_token_brings_along_are_ignored() {
    let trusting = usual().await;
    let evil = Signer::rsa("RS256");
    let claims = claims("anna").to_string();
    for (name, value) in [
        ("jku", json!("http://127.0.0.1:1/evil.json")),
        ("x5u", json!("http://127.0.0.1:1/evil.pem")),
        ("jwk", evil.jwk("rsa")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = json!({"alg": "RS256", "kid": "rsa"});
        header[name] = value.clone();
        trusting.check_refused(name, &evil.raw(&header.to_string(), &claims)).await;
        header["kid"] = json!("evil");
        trusting.check_refused(name, &evil.raw(&header.to_string(), &claims)).await;
    }
    let header = json!({"alg": "RS256", "kid": "rsa", "jku": "http://127.0.0.1:1/evil.json"}).to_string();
    assert_eq!(trusting.who(&RSA.raw(&header, &claims)).await.as_deref(), Ok("anna"), "a good token stays good");
}

#[tokio::test]
async fn what_must_be_understood_and_is_not_is_refused() {
    let trusting = usual().await;
    for header in
        [r#"{"alg":"RS256","kid":"rsa","crit":["b64"],"b64":false}"#, r#"{"alg":"RS256","kid":"rsa","crit":[]}"#]
    {
        trusting.check_refused("crit", &RSA.raw(header, &claims("anna").to_string())).await;
    }
}

#[tokio::test]
async fn the_claims_must_be_there_and_right() {
    let trusting = usual().await;
    for changes in [
        json!({"exp": null}),
        json!({"exp": now() - 61}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": "9999999999"}),
        json!({"exp": [9_999_999_999_u64]}),
        json!({"exp": 1e300}),
        json!({"nbf": now() + 120}),
        json!({"nbf": "soon"}),
        json!({"iat": now() + 3600}),
        json!({"aud": null}),
        json!({"aud": ""}),
        json!({"aud": "shops"}),
        json!({"aud": ["bank", "sho"]}),
        json!({"aud": {"shop": true}}),
        json!({"iss": null}),
        json!({"iss": "https://issuer.example/"}),
        json!({"iss": [ISSUER]}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
    ] {
        trusting.check_refused(&changes.to_string(), &RSA.token("rsa", &with(&changes))).await;
    }
}

#[tokio::test]
async fn clocks_may_be_a_little_apart_and_an_audience_one_of_several() {
    let trusting = usual().await;
    for changes in [
        json!({"exp": now() - 30}),
        json!({"nbf": now() + 30, "iat": now() + 30}),
        json!({"exp": (now() + 60) as f64 + 0.5}),
        json!({"aud": ["bank", "till"]}),
    ] {
        let who = trusting.who(&RSA.token("rsa", &with(&changes))).await;
        assert_eq!(who.as_deref(), Ok("anna"), "{changes}");
    }
}

#[tokio::test]
async fn a_name_that_stands_twice_is_refused() {
    let trusting = usual().await;
    let good = claims("anna").to_string();
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;

    for twice in
        [r#""sub":"ben""#, r#""exp":99999999999"#, r#""aud":"shop""#, r#""x":{"y":1,"y":2}"#, r#""\u0073ub":"ben""#]
    {
        let claims = format!("{},{twice}}}", good.trim_end_matches('}'));
        trusting.check_refused(twice, &RSA.raw(header, &claims)).await;
    }
    let header = r#"{"alg":"none","kid":"rsa","alg":"RS256"}"#;
    trusting.check_refused("header", &RSA.raw(header, &good)).await;
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let trusting = usual().await;
    let good = RSA.token("rsa", &claims("anna"));
    let long = RSA.token("rsa", &with(&json!({"x": "x".repeat(1 << 20)})));
    let mut parts: Vec<&str> = good.split('.').collect();
    parts.insert(1, "");
    let parts = parts.join(".");
    for token in
        ["", ".", "..", "...", "a.b.c", "null", &long, &parts, &format!("{good}."), &format!("{good}=="), &good[1..]]
    {
        trusting.check_refused("no token", token).await;
    }
    let padded = good.replace('.', "=.");
    trusting.check_refused("padded", &padded).await;
}

#[tokio::test]
async fn services_are_told_who_calls_and_nobody_else_can_say_so() {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), set(&[ED.jwk("ed")])).unwrap();
    let config = format!("claims = [\"shop\"]\n{}", trusting(file.path().to_str().unwrap()));
    let shop = Shop::open(&config).await;
    let token = ED.token("ed", &with(&json!({"roles": ["clerk", "cook"], "shop": ["s1", "s2"], "secret": "x"})));
    let authorization = format!("bearer {token}");
    let forged = [("x-guard-roles", "operator"), ("x-guard-else", "x"), ("authorization", authorization.as_str())];

    shop.get("anna-1", &forged).await.unwrap();

    let seen = shop.seen().pop().unwrap();
    let told: Vec<(&str, &str)> = seen
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-guard-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(told, [("x-guard-subject", "anna"), ("x-guard-roles", "clerk,cook"), ("x-guard-claim-shop", "s1,s2")]);
    assert_eq!(seen.headers["authorization"], authorization, "a service may want to see the token itself");
}
