//! Which version of each method is served while endpoints of several versions stand side by side. Pure.
//!
//! A method is served as the description says that most of the endpoints can serve, and only those are called for it. So a method that
//! comes is served as soon as one endpoint has it, by that one; one that goes is served while an endpoint has it; one that is extended is
//! served as it was by old and new endpoints, until the last old one has gone; and one whose meaning changes is served as it was until as
//! many endpoints have it otherwise. Where the numbers are equal, what is served stays; at a start it is what has the smaller fingerprint,
//! so that several gateways serve the same.

use super::description::{Described, Description};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A version, and how many endpoints are of it.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) description: Arc<Description>,
    pub(crate) endpoints: usize,
}

/// What is served of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agreed {
    /// By path.
    pub(crate) methods: BTreeMap<Arc<str>, Chosen>,
    /// Where endpoints differ, in words.
    pub(crate) differences: Vec<String>,
}

/// As what a method is served.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) description: Arc<Description>,
    pub(crate) face: u64,
    /// Endpoints that can serve it so.
    pub(crate) able: usize,
    /// Endpoints that there are.
    pub(crate) of: usize,
}

/// One way in which a method is described.
struct Candidate<'v> {
    version: &'v Version,
    described: &'v Described,
    able: usize,
}

/// Chooses for each method that some endpoint has. `before`: what was served until now.
pub(crate) fn agree(versions: &[Version], before: &Agreed) -> Agreed {
    let all: usize = versions.iter().map(|version| version.endpoints).sum();
    let mut agreed = Agreed::default();
    let mut paths: Vec<&Arc<str>> = versions.iter().flat_map(|version| version.description.methods.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let candidates = candidates(versions, path);
        let served = before.methods.get(path).map(|chosen| chosen.face);
        // More endpoints, then what is served already, then the smaller fingerprint.
        let rank = |it: &&Candidate<'_>| {
            let face = it.described.face;
            (it.able, served == Some(face), std::cmp::Reverse((face, it.version.description.id)))
        };
        let Some(best) = candidates.iter().max_by_key(rank) else { continue };
        if best.able < all || candidates.len() > 1 {
            agreed.differences.push(told(path, &candidates, best.able, all));
        }
        let description = best.version.description.clone();
        let chosen = Chosen { description, face: best.described.face, able: best.able, of: all };
        agreed.methods.insert(path.clone(), chosen);
    }
    agreed
}

/// The ways in which a method is described, each once.
fn candidates<'v>(versions: &'v [Version], path: &str) -> Vec<Candidate<'v>> {
    let with_it = || versions.iter().filter_map(|it| Some((it, it.description.methods.get(path)?)));
    let mut candidates: Vec<Candidate<'v>> = Vec::new();
    for (version, described) in with_it() {
        if candidates.iter().any(|other| other.described.face == described.face) {
            continue;
        }
        let able = with_it().filter(|(_, own)| own.shape.includes(&described.shape));
        let able = able.map(|(version, _)| version.endpoints).sum();
        candidates.push(Candidate { version, described, able });
    }
    candidates
}

fn told(path: &str, candidates: &[Candidate<'_>], able: usize, all: usize) -> String {
    let name = path.trim_start_matches('/');
    let ways = match candidates.len() {
        1 => String::new(),
        count => format!(" and is described in {count} ways"),
    };
    format!("{name} can be served by {able} of {all} endpoints{ways}")
}

impl Chosen {
    /// What is said of the method.
    pub(crate) fn described(&self, path: &str) -> Option<&Described> {
        self.description.methods.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples;

    const COOK: &str = "rpc Cook(Dish) returns (Dish);";
    const DISH: &str = "message Dish { string name = 1; }";
    const LARGER: &str = "message Dish { string name = 1; int32 portions = 2; }";
    const OTHER: &str = "message Dish { int32 name = 1; }";

    fn version(methods: &str, messages: &str, endpoints: usize) -> Version {
        let file = format!("service Kitchen {{ {methods} }} {messages}");
        Version { description: Arc::new(samples::description("kitchen.v1", &file)), endpoints }
    }

    /// What is served: each method with the number of its version in the list, and of the endpoints that can serve it.
    fn served(versions: &[Version], before: &Agreed) -> Vec<(String, usize, usize)> {
        let agreed = agree(versions, before);
        let place = |chosen: &Chosen| versions.iter().position(|it| Arc::ptr_eq(&it.description, &chosen.description));
        let told = |(path, chosen): (&Arc<str>, &Chosen)| {
            (path.rsplit('/').next().unwrap().to_owned(), place(chosen).unwrap(), chosen.able)
        };
        agreed.methods.iter().map(told).collect()
    }

    #[track_caller]
    fn check(versions: &[Version], before: &[Version], expected: &[(&str, usize, usize)]) {
        let before = agree(before, &Agreed::default());
        let expected: Vec<_> = expected.iter().map(|(name, place, able)| ((*name).to_owned(), *place, *able)).collect();
        assert_eq!(served(versions, &before), expected);
    }

    #[test]
    fn a_method_that_comes_is_served_by_those_that_have_it() {
        let with_serve = format!("{COOK} rpc Serve(Dish) returns (Dish);");
        let [old, new] = [version(COOK, DISH, 2), version(&with_serve, DISH, 1)];

        check(&[old.clone(), new], &[old], &[("Cook", 0, 3), ("Serve", 1, 1)]);
    }

    #[test]
    fn a_method_that_goes_is_served_while_somebody_has_it() {
        let with_serve = format!("{COOK} rpc Serve(Dish) returns (Dish);");
        let [old, new] = [version(&with_serve, DISH, 1), version(COOK, DISH, 2)];

        check(&[old.clone(), new.clone()], std::slice::from_ref(&old), &[("Cook", 0, 3), ("Serve", 0, 1)]);
        check(&[new], &[old], &[("Cook", 0, 2)]);
    }

    #[test]
    fn an_extended_method_is_served_as_it_was_by_all_until_the_last_old_endpoint_has_gone() {
        let [old, new] = [version(COOK, DISH, 1), version(COOK, LARGER, 5)];

        check(&[old.clone(), new.clone()], std::slice::from_ref(&old), &[("Cook", 0, 6)]);
        check(&[new], &[old], &[("Cook", 0, 5)]);
    }

    #[test]
    fn a_method_that_means_something_else_changes_when_most_endpoints_have_it_so() {
        let [old, new] = [version(COOK, DISH, 2), version(COOK, OTHER, 1)];
        check(&[old.clone(), new], std::slice::from_ref(&old), &[("Cook", 0, 2)]);

        let as_many = version(COOK, OTHER, 2);
        check(&[old.clone(), as_many.clone()], std::slice::from_ref(&old), &[("Cook", 0, 2)]);
        check(&[as_many.clone(), old.clone()], std::slice::from_ref(&as_many), &[("Cook", 0, 2)]);

        let more = version(COOK, OTHER, 3);
        check(&[old.clone(), more], &[old], &[("Cook", 1, 3)]);
    }

    #[test]
    fn gateways_that_start_choose_the_same_whatever_they_hear_first() {
        let [one, other] = [version(COOK, DISH, 1), version(COOK, OTHER, 1)];
        let choice =
            |versions: &[Version]| agree(versions, &Agreed::default()).methods["/kitchen.v1.Kitchen/Cook"].face;

        assert_eq!(choice(&[one.clone(), other.clone()]), choice(&[other, one]));
    }

    #[test]
    fn where_endpoints_differ_it_is_said() {
        let with_serve = format!("{COOK} rpc Serve(Dish) returns (Dish);");
        let versions = [version(COOK, DISH, 2), version(&with_serve, OTHER, 1)];

        assert_eq!(
            agree(&versions, &Agreed::default()).differences,
            [
                "kitchen.v1.Kitchen/Cook can be served by 2 of 3 endpoints and is described in 2 ways",
                "kitchen.v1.Kitchen/Serve can be served by 1 of 3 endpoints",
            ]
        );
        assert!(agree(&versions[..1], &Agreed::default()).differences.is_empty());
    }
}
