//! The settings and the certificates that agents are started with.

use programs::Program;
use std::path::Path;
use std::process::{Command, Stdio};

/// Nobody may do anything without a token, and one token everything.
pub(super) fn acl(master: &str, agent: &str) -> String {
    format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ master = \"{master}\" agent = \"{agent}\" }} }}\n"
    )
}

/// Lines are encrypted, with certificates on both sides.
pub(super) fn encryption(folder: &Path, name: &str) -> String {
    let file = |name: &str| folder.join(name);
    let (ca, certificate, key) =
        (file("consul-agent-ca.pem"), file(&format!("{name}.pem")), file(&format!("{name}-key.pem")));
    format!("ca_file = {ca:?}\ncert_file = {certificate:?}\nkey_file = {key:?}\nverify_incoming = true\n")
}

/// Makes an authority and the certificates of a server and a client, by Consul's own hand, so that keys and names are as its users have
/// them.
pub(super) fn make_certificates(folder: &Path) {
    std::fs::create_dir(folder).expect("a temporary folder can be written");
    for words in ["ca create", "cert create -server -additional-ipaddress=127.0.0.1", "cert create -client"] {
        let mut command = Command::new(Program::Consul.path());
        command.arg("tls").args(words.split(' ')).current_dir(folder).stdout(Stdio::null());
        let made = command.status().expect("consul can be run");
        assert!(made.success(), "consul tls {words}: {made}");
    }
}

/// A policy as Consul takes it.
pub(super) fn policy(name: &str, rules: &str) -> String {
    let rules = rules.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{\"Name\":\"{name}\",\"Rules\":\"{rules}\"}}")
}
