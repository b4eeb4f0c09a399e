//! A service that is not of the contract: somebody else's, found where the configuration or Consul says.

use super::agree::{Agreed, Chosen, agree};
use super::asker::{Asker, Heard, versions};
use super::description::Description;
use discovery::{Endpoints, Snapshot, Standing};
use rpc::Upstream;
use rpc::client::Reached;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Who says that there is such a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The configuration.
    Configured,
    /// Consul, by its tag.
    Found,
}

/// Where its descriptors come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file, for all of its endpoints.
    File(PathBuf, Arc<Description>),
    /// Each endpoint, asked.
    Reflection(Asker),
}

/// A foreign service.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) name: Arc<str>,
    pub(crate) origin: Origin,
    pub(crate) source: Source,
    pub(crate) endpoints: Endpoints,
    pub(crate) upstream: Upstream,
    pub(crate) agreed: Agreed,
    /// Versions among its endpoints now.
    pub(crate) versions: usize,
    /// Endpoints that are not described, and why.
    pub(crate) undescribed: Vec<String>,
    /// Whether whoever found it still sees it.
    pub(crate) is_listed: bool,
    /// Since when nobody is there.
    pub(crate) absent_since: Option<Instant>,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Origin::Configured => "configuration",
            Origin::Found => "consul",
        }
    }
}

impl Foreign {
    pub(crate) fn new(
        name: Arc<str>,
        origin: Origin,
        source: Source,
        endpoints: Endpoints,
        upstream: Upstream,
    ) -> Self {
        Foreign {
            name,
            origin,
            source,
            endpoints,
            upstream,
            agreed: Agreed::default(),
            versions: 0,
            undescribed: Vec::new(),
            is_listed: true,
            absent_since: None,
        }
    }

    /// Its methods, and what they look like.
    pub(crate) fn faces(&self) -> Vec<(Arc<str>, u64)> {
        self.agreed.methods.iter().map(|(path, chosen)| (path.clone(), chosen.face)).collect()
    }

    /// Whether its endpoints are there and none has the tag any more: somebody wants it not to be served.
    pub(crate) fn is_withdrawn(&self, tag: &str) -> bool {
        let listed = self.endpoints.now();
        let is_there = listed.endpoints.iter().any(|endpoint| endpoint.standing != Standing::Unknown);
        is_there && listed.endpoints.iter().all(|endpoint| endpoint.tags.iter().all(|it| it != tag))
    }

    /// Looks at its endpoints, and decides what of it is served. What is served stays for `grace` when all of them have gone.
    pub(crate) fn look(&mut self, now: Instant, grace: Duration) {
        let listed = self.endpoints.now();
        let is_absent = !self.is_listed || (listed.is_known && listed.endpoints.is_empty());
        self.absent_since = is_absent.then(|| self.absent_since.unwrap_or(now));
        if self.absent_since.is_some_and(|since| now >= since + grace) {
            self.agreed = Agreed::default();
            self.versions = 0;
            return;
        }
        match &self.source {
            Source::File(_, description) => {
                self.versions = 1;
                self.agreed = whole(description, listed.endpoints.len());
            }
            Source::Reflection(asker) => {
                let asker = asker.clone();
                self.hear(&asker, &listed);
            }
        }
    }

    fn hear(&mut self, asker: &Asker, listed: &Snapshot) {
        let addresses: BTreeSet<SocketAddr> = listed.endpoints.iter().map(|endpoint| endpoint.address).collect();
        let heard = asker.heard(|address| addresses.contains(address));
        self.undescribed = undescribed(&heard);
        // Who cannot be reached decides nothing, unless nobody can be reached.
        let reached = self.reached();
        let is_reached = |address: &SocketAddr| reached.contains(address.to_string().as_str());
        let live = heard.iter().filter(|(address, _)| is_reached(address)).map(|(_, heard)| heard);
        let mut versions_now = versions(live);
        if versions_now.is_empty() {
            versions_now = versions(heard.values());
        }
        self.versions = versions_now.len();
        if versions_now.is_empty() {
            return;
        }
        let agreed = agree(&versions_now, &self.agreed);
        let before = self.faces();
        self.agreed = agreed;
        if self.faces() != before {
            asker.serve(&self.agreed);
        }
    }

    /// Whether somebody can be called, and it is known what for.
    pub(crate) fn can_be_called(&self) -> bool {
        !self.agreed.methods.is_empty() && !self.reached().is_empty()
    }

    fn reached(&self) -> BTreeSet<Arc<str>> {
        let endpoints = self.upstream.view().endpoints.into_iter();
        endpoints.filter(|endpoint| endpoint.reached == Reached::Up).map(|endpoint| endpoint.name).collect()
    }

    /// What was heard of its endpoints, for operators.
    pub(crate) fn heard(&self) -> BTreeMap<SocketAddr, Heard> {
        match &self.source {
            Source::File(..) => BTreeMap::new(),
            Source::Reflection(asker) => asker.heard(|_| true),
        }
    }

    /// When it has to be looked at again although nothing happens.
    pub(crate) fn due(&self, grace: Duration) -> Option<Instant> {
        self.absent_since.map(|since| since + grace).filter(|_| !self.agreed.methods.is_empty() || !self.is_listed)
    }
}

/// All of a description, as every endpoint has it.
fn whole(description: &Arc<Description>, endpoints: usize) -> Agreed {
    let chosen = |face| Chosen { description: description.clone(), face, able: endpoints, of: endpoints };
    let methods = description.methods.iter();
    Agreed {
        methods: methods.map(|(path, described)| (path.clone(), chosen(described.face))).collect(),
        differences: Vec::new(),
    }
}

fn undescribed(heard: &BTreeMap<SocketAddr, Heard>) -> Vec<String> {
    let told = |(address, heard): (&SocketAddr, &Heard)| {
        let fault = heard.fault.as_ref()?;
        Some(format!("the endpoint {address} is not described: {fault}"))
    };
    heard.iter().filter_map(told).collect()
}
