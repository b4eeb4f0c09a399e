//! Finds the route of a request: literal segments before `*`, `*` before `**`, and a verb before no verb.

use crate::percent::{self, Keep};
use crate::template::{Segment, Template};
use http::Method;
use std::collections::BTreeMap;

/// Segments of a request path at most. 64 is four times the deepest template seen, and bounds the search.
const SEGMENTS_MAX: usize = 64;

/// Routes by method and path. `T` is what a route leads to.
#[derive(Debug)]
pub(crate) struct Router<T> {
    root: Node,
    routes: Vec<(Template, T)>,
}

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<String, Node>,
    one: Option<Box<Node>>,
    many: Option<Box<Node>>,
    /// What ends here: by verb (empty for none) and method, the index of the route.
    ends: BTreeMap<String, BTreeMap<String, usize>>,
}

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Found<'r, T> {
    /// A route, with the decoded values of its template's variables, in their order.
    Route(&'r T, Vec<String>),
    /// The path is known, with these methods.
    OtherMethods(Vec<String>),
    /// The path is not known.
    Nothing,
    /// The path has a broken escape, or one that is not UTF-8.
    Malformed,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router { root: Node::default(), routes: Vec::new() }
    }
}

impl<T> Router<T> {
    /// Adds a route.
    ///
    /// # Errors
    /// When a route of the same method matches the very same paths: that route's target. It stays.
    pub(crate) fn add(&mut self, method: &Method, template: Template, target: T) -> Result<(), &T> {
        let mut node = &mut self.root;
        for segment in &template.segments {
            node = match segment {
                Segment::Literal(literal) => node.literals.entry(literal.clone()).or_default(),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Many => node.many.get_or_insert_default(),
            };
        }
        let methods = node.ends.entry(template.verb.clone().unwrap_or_default()).or_default();
        if let Some(other) = methods.get(method.as_str()) {
            return Err(&self.routes[*other].1);
        }
        methods.insert(method.to_string(), self.routes.len());
        self.routes.push((template, target));
        Ok(())
    }

    /// Every route's target, in the order of addition.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &T> {
        self.routes.iter().map(|(_, target)| target)
    }

    /// Finds the route of a request. `path` is as it was sent, without its query.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_, T> {
        let Some(path) = path.strip_prefix('/') else { return Found::Nothing };
        let raw: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        if raw.len() > SEGMENTS_MAX || raw.iter().any(|segment| segment.is_empty()) {
            return Found::Nothing;
        }
        // A verb that some route has on this path is a verb; any other is a part of the value.
        if let Some((last, verb)) =
            raw.last().and_then(|last| last.rsplit_once(':')).filter(|(last, _)| !last.is_empty())
        {
            let mut cut = raw.clone();
            cut.pop();
            cut.push(last);
            match self.search(method, &cut, verb) {
                Found::Nothing => {}
                found => return found,
            }
        }
        self.search(method, &raw, "")
    }

    fn search(&self, method: &Method, raw: &[&str], verb: &str) -> Found<'_, T> {
        if !raw.iter().any(|segment| segment.contains('%')) {
            return self.search_decoded(method, (raw, raw), verb);
        }
        let decoded = raw.iter().map(|segment| percent::decode(segment, Keep::Nothing));
        let Some(decoded) = decoded.collect::<Option<Vec<_>>>() else { return Found::Malformed };
        let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        self.search_decoded(method, (raw, &segments), verb)
    }

    fn search_decoded(&self, method: &Method, (raw, decoded): (&[&str], &[&str]), verb: &str) -> Found<'_, T> {
        let mut allowed = Vec::new();
        match self.root.search(decoded, &mut |node| node.end(verb, method, &mut allowed)) {
            Some(route) => {
                let (template, target) = &self.routes[route];
                values(template, raw).map_or(Found::Malformed, |values| Found::Route(target, values))
            }
            None if allowed.is_empty() => Found::Nothing,
            None => {
                allowed.sort();
                allowed.dedup();
                Found::OtherMethods(allowed)
            }
        }
    }
}

impl Node {
    /// Visits the ends of the templates that match, the most specific first, until one is taken.
    fn search(&self, segments: &[&str], take: &mut impl FnMut(&Node) -> Option<usize>) -> Option<usize> {
        let inner = match segments.split_first() {
            None => take(self),
            Some((first, rest)) => self
                .literals
                .get(*first)
                .and_then(|node| node.search(rest, take))
                .or_else(|| self.one.as_ref().and_then(|node| node.search(rest, take))),
        };
        // At most one `**` lies on each way down, so that this loop is not entered again below it.
        inner.or_else(|| {
            let many = self.many.as_ref()?;
            (0..=segments.len()).find_map(|taken| many.search(&segments[taken..], take))
        })
    }

    fn end(&self, verb: &str, method: &Method, allowed: &mut Vec<String>) -> Option<usize> {
        let methods = self.ends.get(verb)?;
        let route = methods.get(method.as_str()).copied();
        if route.is_none() {
            allowed.extend(methods.keys().cloned());
        }
        route
    }
}

fn values(template: &Template, raw: &[&str]) -> Option<Vec<String>> {
    let mut values = Vec::with_capacity(template.variables.len());
    for variable in &template.variables {
        let keep = if template.is_multi(variable) { Keep::Slash } else { Keep::Nothing };
        let covered = &raw[template.covered(variable, raw.len())];
        if let [one] = covered {
            values.push(percent::decode(one, keep)?.into_owned());
            continue;
        }
        let decoded = covered.iter().map(|segment| percent::decode(segment, keep)).collect::<Option<Vec<_>>>()?;
        values.push(decoded.join("/"));
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<&'static str> {
        let mut router = Router::default();
        for (method, template) in [
            (Method::GET, "/v1/k/{name}"),
            (Method::POST, "/v1/k/{name}:cancel"),
            (Method::POST, "/v1/k/special"),
            (Method::GET, "/v1/m/{name=shelves/*/books/*}"),
            (Method::GET, "/v1/d/{name=**}"),
            (Method::GET, "/v1/d/exact/{name}"),
            (Method::GET, "/v1/dv/{name=files/**}:peek"),
            (Method::GET, "/v1/mid/{a=x/**/y}/{b}"),
            (Method::GET, "/"),
        ] {
            router.add(&method, Template::parse(template).unwrap(), template).unwrap();
        }
        router
    }

    #[track_caller]
    fn check(method: &Method, path: &str, expected: &str) {
        let router = router();
        let found = match router.find(method, path) {
            Found::Route(target, values) => format!("{target} {values:?}"),
            Found::OtherMethods(methods) => format!("allow {}", methods.join(", ")),
            Found::Nothing => "nothing".to_owned(),
            Found::Malformed => "malformed".to_owned(),
        };
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn variables_get_their_decoded_values() {
        check(&Method::GET, "/v1/k/bob", r#"/v1/k/{name} ["bob"]"#);
        check(&Method::GET, "/v1/k/a%2Fb%3Ac", r#"/v1/k/{name} ["a/b:c"]"#);
        check(
            &Method::GET,
            "/v1/m/shelves/a%2Fb/books/2%20",
            r#"/v1/m/{name=shelves/*/books/*} ["shelves/a%2Fb/books/2 "]"#,
        );
        check(&Method::GET, "/v1/d/a/../b", r#"/v1/d/{name=**} ["a/../b"]"#);
        check(&Method::GET, "/v1/d", r#"/v1/d/{name=**} [""]"#);
        check(&Method::GET, "/v1/dv/files/a/b:peek", r#"/v1/dv/{name=files/**}:peek ["files/a/b"]"#);
        check(&Method::GET, "/v1/mid/x/1/2/y/z", r#"/v1/mid/{a=x/**/y}/{b} ["x/1/2/y", "z"]"#);
        check(&Method::GET, "/v1/mid/x/y/z", r#"/v1/mid/{a=x/**/y}/{b} ["x/y", "z"]"#);
        check(&Method::GET, "/", "/ []");
    }

    #[test]
    fn a_verb_without_a_route_stays_in_the_value() {
        check(&Method::POST, "/v1/k/bob:cancel", r#"/v1/k/{name}:cancel ["bob"]"#);
        check(&Method::GET, "/v1/k/a:zzz", r#"/v1/k/{name} ["a:zzz"]"#);
        check(&Method::GET, "/v1/k/a%3Acancel", r#"/v1/k/{name} ["a:cancel"]"#);
    }

    #[test]
    fn the_most_specific_template_wins() {
        check(&Method::GET, "/v1/d/exact/a", r#"/v1/d/exact/{name} ["a"]"#);
        check(&Method::POST, "/v1/k/special", "/v1/k/special []");
        check(&Method::GET, "/v1/k/special", r#"/v1/k/{name} ["special"]"#);
    }

    #[test]
    fn another_method_is_told_which_are_allowed() {
        check(&Method::DELETE, "/v1/k/bob", "allow GET");
        check(&Method::DELETE, "/v1/k/special", "allow GET, POST");
        check(&Method::GET, "/v1/k/bob:cancel", "allow POST");
    }

    #[test]
    fn empty_segments_and_other_paths_match_nothing() {
        for path in ["/nope", "/v1/k/", "/v1//k", "//", "", "*", "/v1/k/a/b", "/V1/k/a", "/v1/m/shelves/a/books"] {
            check(&Method::GET, path, "nothing");
        }
        check(&Method::GET, &"/a".repeat(SEGMENTS_MAX + 1), "nothing");
    }

    #[test]
    fn broken_escapes_are_malformed() {
        for path in ["/v1/k/%", "/v1/k/%zz", "/v1/k/%ff"] {
            check(&Method::GET, path, "malformed");
        }
    }

    #[test]
    fn two_routes_of_the_same_paths_are_refused() {
        let mut router = router();

        let other = router.add(&Method::GET, Template::parse("/v1/k/{other}").unwrap(), "");

        assert_eq!(other, Err(&"/v1/k/{name}"));
    }
}
