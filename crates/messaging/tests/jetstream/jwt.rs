//! The JWTs of an operator, an account and a user, as `nsc` makes them (NATS ADR-14, version 2).

use nkeys::KeyPair;
use serde_json::{Value, json};

/// A server's settings with one account that may use JetStream, and its account's keys.
pub(crate) struct Operator {
    pub(crate) settings: String,
    account: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Self {
        let (operator, account, system) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        let (account_id, system_id) = (account.public_key(), system.public_key());
        let without_limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let of_operator = json!({ "type": "operator", "version": 2, "system_account": system_id });
        let of_account = json!({ "type": "account", "version": 2, "limits": without_limits });
        let of_system = json!({ "type": "account", "version": 2 });
        let settings = format!(
            "operator: {}\nsystem_account: {system_id}\nresolver: MEMORY\nresolver_preload: {{ {account_id}: {}, {system_id}: {} }}\n",
            signed(&operator, &operator.public_key(), &of_operator),
            signed(&operator, &account_id, &of_account),
            signed(&operator, &system_id, &of_system),
        );
        Operator { settings, account }
    }

    /// A file with the credentials of a new user of the account.
    pub(crate) fn credentials(&self) -> String {
        let user = KeyPair::new_user();
        let of_user = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\nNKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            signed(&self.account, &user.public_key(), &of_user),
            user.seed().unwrap(),
        )
    }
}

fn signed(issuer: &KeyPair, subject: &str, nats: &Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims =
        json!({ "jti": subject, "iat": 1, "iss": issuer.public_key(), "sub": subject, "name": "test", "nats": nats });
    let text = format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", base64(&signature))
}

/// RFC 4648 5, without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let letter = word >> (18 - 6 * place) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}
