//! A table of refusals. All rows are tried before the test fails, and afterwards the platform must be as well as before.

use e2e::{Shop, place_and_wait};
use serde_json::Value as Json;
use std::fmt::Write;
use testkit::{Answer, Call, Comanda, Http};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What a client need not know: how the platform is built.
const INTERNALS: [&str; 14] = [
    "serde", "prost", "tonic", "hyper", "rusqlite", "sqlite", "SELECT", "INSERT", "::", "Option<", "Vec<", "Some(",
    "panicked", "unwrap",
];

/// A platform with a shop, and what was found wrong so far.
pub(crate) struct Table {
    pub(crate) comanda: Comanda,
    pub(crate) http: Http,
    pub(crate) shop: Shop,
    rows: usize,
    wrong: String,
}

impl Table {
    pub(crate) async fn open() -> Self {
        let comanda = Comanda::empty().await;
        let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
        Table { comanda, http, shop, rows: 0, wrong: String::new() }
    }

    fn complain(&mut self, what: &str, complaint: &str) {
        writeln!(self.wrong, "{what}: {complaint}").expect("a string can be written");
    }

    /// A request must be answered with this status, and name this field if one is given.
    pub(crate) async fn refused(&mut self, what: &str, call: Call, status: u16, field: &str) -> Option<Answer> {
        self.rows += 1;
        let answer = match call.try_send().await {
            Ok(answer) => answer,
            Err(complaint) => {
                self.complain(what, &complaint);
                return None;
            }
        };
        let json: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status.as_u16() != status {
            self.complain(what, &format!("{} instead of {status}: {}", answer.status, answer.text()));
        } else if answer.header("content-type") != "application/json" || json["code"].as_i64().is_none_or(|it| it == 0)
        {
            self.complain(what, &format!("the answer is no status in JSON: {}", answer.text()));
        } else {
            let described = json["details"].as_array().into_iter().flatten();
            let described = described.filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
            let sentences = described.map(|violation| &violation["description"]).chain([&json["message"]]);
            for sentence in sentences.map(|sentence| sentence.as_str().unwrap_or_default()) {
                self.check_sentence(what, sentence);
            }
            let fields = answer.fields();
            if !field.is_empty() && !fields.iter().any(|named| named == field) {
                self.complain(what, &format!("{field} is not among the fields {fields:?}: {}", json["message"]));
            }
        }
        Some(answer)
    }

    /// Each body must be refused by `POST path` with 400, and the field be named.
    pub(crate) async fn all_refused(&mut self, path: &str, rows: &[(&str, Json)]) {
        for (field, body) in rows {
            let shown: String = body.to_string().chars().take(300).collect();
            let call = self.http.post(path, body);
            self.refused(&format!("POST {path} ({field}) {shown}"), call, 400, field).await;
        }
    }

    /// A call over gRPC must have ended with this code, and name this field if one is given.
    pub(crate) fn refused_call<T>(&mut self, what: &str, ended: Result<T, Status>, code: Code, field: &str) {
        self.rows += 1;
        let Err(status) = ended else { return self.complain(what, "the call went through") };
        if status.code() != code {
            return self.complain(what, &format!("{:?} instead of {code:?}: {}", status.code(), status.message()));
        }
        self.check_sentence(what, status.message());
        let violations = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
        let fields: Vec<String> = violations.into_iter().map(|violation| violation.field).collect();
        if !field.is_empty() && !fields.iter().any(|named| named == field) {
            self.complain(what, &format!("{field} is not among the fields {fields:?}: {}", status.message()));
        }
    }

    fn check_sentence(&mut self, what: &str, sentence: &str) {
        if sentence.split_whitespace().count() < 2 {
            self.complain(what, &format!("{sentence:?} is no sentence"));
        }
        let internals = INTERNALS.iter().filter(|word| sentence.contains(**word));
        for word in internals {
            self.complain(what, &format!("the message tells of {word:?}: {sentence}"));
        }
    }

    /// A request must be taken, since what is odd about it is to be ignored.
    pub(crate) async fn taken(&mut self, what: &str, call: Call, status: u16) {
        self.rows += 1;
        match call.try_send().await {
            Ok(answer) if answer.status.as_u16() == status => {}
            Ok(answer) => self.complain(what, &format!("{} instead of {status}: {}", answer.status, answer.text())),
            Err(complaint) => self.complain(what, &complaint),
        }
    }

    /// Nothing was wrong, an order still goes through, and the log tells of no panic and no fault.
    pub(crate) async fn finish(self) {
        assert!(self.wrong.is_empty(), "of {} rows these are wrong:\n{}", self.rows, self.wrong);
        let order = place_and_wait(&self.http, &self.shop.order()).await;
        assert_eq!(order["state"], "APPROVED", "{order}");
        let log = self.comanda.log();
        let faults: Vec<&str> = log.lines().filter(|line| line.contains("panic") || line.contains("ERROR")).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        println!("{} rows", self.rows);
    }
}
