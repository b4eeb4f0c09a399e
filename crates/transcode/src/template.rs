//! Path templates of `google.api.http`: parsed, and rendered back with values.
//!
//! Grammar: `google/api/http.proto`, "Path template syntax". A `**` may stand before other segments, as in
//! grpc-httpjson-transcoding, and only once.

use std::ops::Range;

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// Exactly this text.
    Literal(String),
    /// `*`: one segment.
    One,
    /// `**`: any number of segments.
    Many,
}

/// A variable, and the segments that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The field path, in the names of the `.proto` file.
    pub(crate) field: Vec<String>,
    /// The segments of the template that it covers.
    pub(crate) segments: Range<usize>,
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    pub(crate) verb: Option<String>,
    pub(crate) variables: Vec<Variable>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or("does not start with a slash")?;
        let mut template = Template { segments: Vec::new(), verb: None, variables: Vec::new() };
        if path.is_empty() {
            return Ok(template);
        }
        let (path, verb) = split_verb(path)?;
        template.verb = verb.map(str::to_owned);
        let mut rest = path;
        loop {
            rest = template.segment(rest)?;
            match rest.strip_prefix('/') {
                Some(next) => rest = next,
                None if rest.is_empty() => break,
                None => return Err("has text between a variable and the next slash"),
            }
        }
        if template.segments.iter().filter(|segment| **segment == Segment::Many).count() > 1 {
            return Err("has more than one **");
        }
        Ok(template)
    }

    /// Takes one segment, or one variable, off the front of `rest`.
    fn segment<'t>(&mut self, rest: &'t str) -> Result<&'t str, &'static str> {
        let Some(variable) = rest.strip_prefix('{') else {
            let end = rest.find('/').unwrap_or(rest.len());
            self.segments.push(plain(&rest[..end])?);
            return Ok(&rest[end..]);
        };
        let (inside, after) = variable.split_once('}').ok_or("has a { without a }")?;
        let (field, pattern) = inside.split_once('=').unwrap_or((inside, "*"));
        let field = field.split('.').map(identifier).collect::<Result<Vec<_>, _>>()?;
        let start = self.segments.len();
        for segment in pattern.split('/') {
            self.segments.push(plain(segment)?);
        }
        self.variables.push(Variable { field, segments: start..self.segments.len() });
        Ok(after)
    }

    /// The segments of a request path that a variable covers, when the whole path has `path_segments` of them.
    pub(crate) fn covered(&self, variable: &Variable, path_segments: usize) -> Range<usize> {
        let many = self.segments.iter().position(|segment| *segment == Segment::Many);
        // A `**` before a bound moves it by the segments that it took beyond the one it stands for.
        let moved = |bound: usize| match many {
            Some(many) if many < bound => bound + path_segments - self.segments.len(),
            _ => bound,
        };
        moved(variable.segments.start)..moved(variable.segments.end)
    }

    /// Whether a variable can hold several segments; then an encoded slash in it stays encoded.
    pub(crate) fn is_multi(&self, variable: &Variable) -> bool {
        self.segments[variable.segments.clone()] != [Segment::One]
    }

    /// The path with values for its variables; `None` when a value is missing or a wildcard has no variable.
    pub(crate) fn render(&self, mut value: impl FnMut(&[String]) -> Option<String>) -> Option<String> {
        let mut path = String::new();
        let mut at = 0;
        while at < self.segments.len() {
            path.push('/');
            if let Some(variable) = self.variables.iter().find(|variable| variable.segments.start == at) {
                let value = value(&variable.field).filter(|value| !value.is_empty())?;
                path.push_str(&crate::percent::encode(&value, self.is_multi(variable)));
                at = variable.segments.end;
            } else {
                let Segment::Literal(literal) = &self.segments[at] else { return None };
                path.push_str(literal);
                at += 1;
            }
        }
        if let Some(verb) = &self.verb {
            path.push(':');
            path.push_str(verb);
        }
        Some(path)
    }
}

/// Splits `:verb` off the last segment.
fn split_verb(path: &str) -> Result<(&str, Option<&str>), &'static str> {
    let last = path.rfind(['/', '}']).map_or(0, |at| at + 1);
    let Some(colon) = path[last..].find(':') else { return Ok((path, None)) };
    let (path, verb) = path.split_at(last + colon);
    match &verb[1..] {
        verb if is_literal(verb) => Ok((path, Some(verb))),
        _ => Err("has a : without a verb"),
    }
}

fn plain(text: &str) -> Result<Segment, &'static str> {
    match text {
        "*" => Ok(Segment::One),
        "**" => Ok(Segment::Many),
        "" => Err("has an empty segment"),
        literal if is_literal(literal) => Ok(Segment::Literal(literal.to_owned())),
        _ => Err("has a segment that is neither a literal, *, ** nor a variable"),
    }
}

fn is_literal(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '{', '}', '=', '*', ':'])
}

fn identifier(text: &str) -> Result<String, &'static str> {
    let is_word = |at: usize, byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (at > 0 && byte.is_ascii_digit());
    if text.is_empty() || !text.bytes().enumerate().all(|(at, byte)| is_word(at, byte)) {
        return Err("has a variable that is no field path");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The case says how far from the end a variable ends when a `**` precedes that end: -1 is the very end.
    fn expected_end(template: &Template, variable: &Variable) -> i64 {
        let is_moved = template.segments[..variable.segments.end].contains(&Segment::Many);
        let end = i64::try_from(variable.segments.end).unwrap();
        if is_moved { end - i64::try_from(template.segments.len()).unwrap() - 1 } else { end }
    }

    fn check(case: &Value) {
        let text = case["template"].as_str().unwrap();
        let template = Template::parse(text);
        assert_eq!(template.is_ok(), case["valid"].as_bool().unwrap(), "{text}: {template:?}");
        let Ok(template) = template else { return };

        let name = |segment: &Segment| match segment {
            Segment::Literal(literal) => literal.clone(),
            Segment::One => "*".to_owned(),
            Segment::Many => "**".to_owned(),
        };
        let segments: Vec<Value> = template.segments.iter().map(|segment| name(segment).into()).collect();
        assert_eq!(Value::from(segments), case["segments"], "{text}");
        // The source of these cases looks at no verb in CustomVerbTests.
        if case["test"] != "CustomVerbTests" {
            assert_eq!(template.verb.as_deref().unwrap_or(""), case["verb"], "{text}");
        }
        for (variable, expected) in template.variables.iter().zip(case["variables"].as_array().unwrap()) {
            assert_eq!(serde_json::json!(variable.field), expected["field"], "{text}");
            assert_eq!(variable.segments.start, expected["start"], "{text}");
            assert_eq!(expected_end(&template, variable), expected["end"], "{text}");
        }
    }

    #[test]
    fn the_public_cases_hold() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/gateway/http_template_cases.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            assert!(std::env::var_os("COMANDA_TEST_FORBID_SKIP").is_none(), "{path} is absent and no skip is allowed");
            eprintln!("skipped: {path} is absent");
            return;
        };
        let file: Value = serde_json::from_str(&text).unwrap();
        let cases = file["cases"].as_array().unwrap();

        assert_eq!(cases.len(), 93);
        cases.iter().for_each(check);
    }

    #[test]
    fn a_second_double_star_is_refused() {
        assert_eq!(Template::parse("/a/**/b/**"), Err("has more than one **"));
    }

    #[test]
    fn values_are_rendered_into_the_path() {
        let render = |text: &str, value: &str| Template::parse(text).unwrap().render(|_| Some(value.to_owned()));

        assert_eq!(render("/v1/orders/{order_id}", "a/b c"), Some("/v1/orders/a%2Fb%20c".to_owned()));
        assert_eq!(render("/v1/{name=shelves/*}:peek", "shelves/ä"), Some("/v1/shelves/%C3%A4:peek".to_owned()));
        assert_eq!(render("/v1/*", "a"), None);
        assert_eq!(render("/v1/{a}", ""), None);
    }
}
