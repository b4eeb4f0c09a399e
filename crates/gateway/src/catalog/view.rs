//! What operators see of the catalog: what is served, from where, and what is wrong with it.

use super::Part;
use super::agree::Agreed;
use super::asker::Heard;
use super::change::Change;
use super::foreign::{Foreign, Source};
use crate::{Check, State};
use arc_swap::ArcSwap;
use rpc::Upstream;
use rpc::client::Reached;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;
use transcode::Rule;

/// The foreign services of a gateway, as operators see them. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<ArcSwap<Shows>>);

#[derive(Debug, Default)]
struct Shows {
    builtin: Vec<(String, String, String)>,
    services: Vec<Shown>,
}

/// How it is with a service now.
#[derive(Debug)]
pub(super) struct Moment {
    /// Method, template and RPC of each route.
    pub(super) routes: Vec<(String, String, String)>,
    pub(super) wrong: BTreeSet<String>,
    pub(super) last_change: Option<(SystemTime, Change)>,
    pub(super) agreed: Agreed,
    pub(super) absent_since: Option<Instant>,
}

/// A service that is shown.
#[derive(Debug)]
pub(super) struct Shown {
    name: Arc<str>,
    origin: &'static str,
    descriptors: String,
    heard: BTreeMap<SocketAddr, Heard>,
    upstream: Upstream,
    moment: Moment,
}

impl Directory {
    /// All of it, as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let shows = self.0.load();
        json!({
            "builtin": {"routes": routes(&shows.builtin)},
            "services": shows.services.iter().map(Shown::to_json).collect::<Vec<_>>(),
        })
    }

    /// How ready each service is.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        self.0.load().services.iter().map(Shown::check).collect()
    }

    pub(super) fn show(&self, services: Vec<Shown>) {
        let builtin = self.0.load().builtin.clone();
        self.0.store(Arc::new(Shows { builtin, services }));
    }

    /// Shows what is always there.
    pub(crate) fn show_builtin(&self, part: &Part) {
        let builtin = part.rules.iter().map(route).collect();
        self.0.store(Arc::new(Shows { builtin, services: Vec::new() }));
    }
}

impl Shown {
    pub(super) fn of(foreign: &Foreign, moment: Moment) -> Self {
        let descriptors = match &foreign.source {
            Source::File(path, _) => path.display().to_string(),
            Source::Reflection(_) => "reflection".to_owned(),
        };
        Shown {
            name: foreign.name.clone(),
            origin: foreign.origin.name(),
            descriptors,
            heard: foreign.heard(),
            upstream: foreign.upstream.clone(),
            moment,
        }
    }

    fn state(&self) -> &'static str {
        match (self.moment.agreed.methods.is_empty(), self.moment.absent_since) {
            (false, None) => "served",
            (false, Some(_)) => "absent; its routes stay for a while",
            (true, Some(_)) => "absent",
            (true, None) => "not described yet",
        }
    }

    fn check(&self) -> Check {
        let is_well = self.moment.absent_since.is_none() && self.upstream.is_up();
        let status = if is_well { State::Ready } else { State::Degraded };
        let detail = if is_well { self.state().to_owned() } else { format!("{}; cannot be reached", self.state()) };
        Check { name: self.name.to_string(), status, detail }
    }

    fn to_json(&self) -> Json {
        let rpcs = self.moment.agreed.methods.iter().map(|(path, chosen)| {
            json!({
                "rpc": path.trim_start_matches('/'),
                "version": chosen.description.version(),
                "endpoints": chosen.able,
                "endpointsOf": chosen.of,
            })
        });
        json!({
            "name": &*self.name,
            "source": self.origin,
            "descriptors": self.descriptors,
            "state": self.state(),
            "endpoints": self.endpoints(),
            "versions": self.versions(),
            "rpcs": rpcs.collect::<Vec<_>>(),
            "routes": routes(&self.moment.routes),
            "conflicts": self.moment.wrong,
            "lastChange": self.moment.last_change.as_ref().map(|(at, change)| json!({
                "at": prost_types::Timestamp::from(*at).to_string(),
                "added": change.added,
                "changed": change.changed,
                "removed": change.removed,
            })),
        })
    }

    fn endpoints(&self) -> Vec<Json> {
        let view = self.upstream.view();
        let shown = view.endpoints.iter().map(|endpoint| {
            let heard = endpoint.name.parse().ok().and_then(|address: SocketAddr| self.heard.get(&address));
            let version = heard.and_then(|heard| heard.description.as_ref()).map(|it| it.version());
            json!({
                "address": &*endpoint.name,
                "isConnected": endpoint.reached == Reached::Up,
                "breaker": endpoint.breaker.state.as_str(),
                "version": version,
                "fault": heard.and_then(|heard| heard.fault.clone()),
            })
        });
        shown.collect()
    }

    /// The versions that endpoints have described, and how many have each.
    fn versions(&self) -> Vec<Json> {
        let mut versions: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for description in self.heard.values().filter_map(|heard| heard.description.as_ref()) {
            let methods = description.methods.len();
            versions.entry(description.version()).or_insert((0, methods)).0 += 1;
        }
        let told = |(version, (endpoints, rpcs)): (String, (usize, usize))| json!({"version": version, "endpoints": endpoints, "rpcs": rpcs});
        versions.into_iter().map(told).collect()
    }
}

/// Method, template and RPC.
pub(super) fn route(rule: &Rule) -> (String, String, String) {
    (rule.http_method().to_string(), rule.template().to_owned(), rule.rpc().to_owned())
}

fn routes(routes: &[(String, String, String)]) -> Vec<Json> {
    let told = |(method, template, rpc): &(String, String, String)| json!({"method": method, "template": template, "rpc": rpc});
    routes.iter().map(told).collect()
}
