//! An issuer of tokens, good ones and bad ones.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "shop";

/// A key of the issuer.
pub(crate) enum Signer {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding, &'static str),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

/// Making an RSA key takes a while.
pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("RS256"));
pub(crate) static ED: LazyLock<Signer> = LazyLock::new(|| Signer::Ed(Ed25519KeyPair::generate().unwrap()));

impl Signer {
    pub(crate) fn rsa(algorithm: &'static str) -> Signer {
        let encoding: &'static dyn RsaEncoding = match algorithm {
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            "PS256" => &RSA_PSS_SHA256,
            "PS384" => &RSA_PSS_SHA384,
            "PS512" => &RSA_PSS_SHA512,
            _ => &RSA_PKCS1_SHA256,
        };
        Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), encoding, algorithm)
    }

    pub(crate) fn ec(algorithm: &'static str) -> Signer {
        let curve =
            if algorithm == "ES256" { &ECDSA_P256_SHA256_FIXED_SIGNING } else { &ECDSA_P384_SHA384_FIXED_SIGNING };
        Signer::Ec(EcdsaKeyPair::generate(curve).unwrap(), algorithm)
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Signer::Rsa(_, _, algorithm) | Signer::Ec(_, algorithm) => algorithm,
            Signer::Ed(_) => "EdDSA",
        }
    }

    /// The public key as bytes that somebody could take for a secret.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Signer::Rsa(key, _, _) => key.public_key().as_ref().to_vec(),
            Signer::Ec(key, _) => key.public_key().as_ref().to_vec(),
            Signer::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn jwk(&self, id: &str) -> Value {
        let public = self.public();
        match self {
            // SEQUENCE { INTEGER of 257 bytes, the first one 0; INTEGER 65537 }.
            Signer::Rsa(_, _, algorithm) => {
                json!({"kty": "RSA", "kid": id, "alg": algorithm, "use": "sig", "n": base64(&public[9..265]), "e": "AQAB"})
            }
            Signer::Ec(_, algorithm) => {
                let (x, y) = public[1..].split_at(public.len() / 2);
                let curve = if *algorithm == "ES256" { "P-256" } else { "P-384" };
                json!({"kty": "EC", "kid": id, "crv": curve, "x": base64(x), "y": base64(y)})
            }
            Signer::Ed(_) => json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": base64(&public)}),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Rsa(key, encoding, _) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Signer::Ec(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with these claims.
    pub(crate) fn token(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": id, "typ": "JWT"});
        self.raw(&header.to_string(), &claims.to_string())
    }

    /// A token of any header and any claims, signed well.
    pub(crate) fn raw(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64(header), base64(claims));
        let signature = base64(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The claims of a good token.
pub(crate) fn claims(subject: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": now() + 600, "iat": now()})
}

/// A set of keys.
pub(crate) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Settings that trust the issuer by the keys in a file or at a URL, and let in whoever is known.
pub(crate) fn trusting(place: &str) -> String {
    format!(
        "refresh_ms = 3600000\n[[issuers]]\nissuer = {ISSUER:?}\naudiences = [{AUDIENCE:?}, \"till\"]\njwks = {place:?}\n\
         [[rules]]\nmethods = [\"*\"]\nwho = \"authenticated\"\n"
    )
}
