//! Path templates as paths of OpenAPI, whose variables are segments.
//!
//! A client puts a value into a path with its slashes escaped, so a variable of several segments is one variable for each of its wildcards.

use crate::rule::{FieldPath, Route};
use crate::template::Segment;

/// What stands between two slashes.
#[derive(Debug)]
pub(crate) enum Piece<'r> {
    Literal(&'r str),
    /// The value of a field.
    Field(&'r FieldPath),
    /// A part of the value of a field, which is made of the template's segments.
    Part(&'r FieldPath, String),
    /// What no field takes.
    Unbound,
}

/// The pieces of a route's path.
pub(crate) fn pieces(route: &Route) -> Vec<Piece<'_>> {
    let template = &route.template;
    let mut pieces = Vec::new();
    for (at, segment) in template.segments.iter().enumerate() {
        let mut variables = template.variables.iter().zip(&route.variables);
        let variable = variables.find(|(variable, _)| variable.segments.contains(&at));
        pieces.push(match (segment, variable) {
            (Segment::Literal(literal), _) => Piece::Literal(literal),
            (_, None) => Piece::Unbound,
            (_, Some((variable, field))) if variable.segments.len() == 1 => Piece::Field(field),
            (_, Some((variable, field))) => Piece::Part(field, pattern(&template.segments[variable.segments.clone()])),
        });
    }
    pieces
}

fn pattern(segments: &[Segment]) -> String {
    let texts: Vec<&str> = segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(literal) => literal.as_str(),
            Segment::One => "*",
            Segment::Many => "**",
        })
        .collect();
    texts.join("/")
}

/// The names of the variables, in their order: of last fields, or whole paths where those are not enough; a number where a field has several.
pub(crate) fn names(pieces: &[Piece<'_>]) -> Vec<String> {
    let short = numbered(pieces, |path| path.last().map(|field| field.json_name().to_owned()).unwrap_or_default());
    let is_unique = short.iter().all(|name| short.iter().filter(|other| *other == name).count() == 1);
    if is_unique { short } else { numbered(pieces, dotted) }
}

/// A field path in JSON names.
pub(crate) fn dotted(path: &FieldPath) -> String {
    path.iter().map(prost_reflect::FieldDescriptor::json_name).collect::<Vec<_>>().join(".")
}

fn numbered(pieces: &[Piece<'_>], name: impl Fn(&FieldPath) -> String) -> Vec<String> {
    let parts_of = |field: &FieldPath| pieces.iter().filter(|piece| is_part_of(piece, field)).count();
    let mut names = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let before = &pieces[..at];
        match piece {
            Piece::Literal(_) => {}
            Piece::Field(field) => names.push(name(field)),
            Piece::Part(field, _) if parts_of(field) == 1 => names.push(name(field)),
            Piece::Part(field, _) => {
                let number = before.iter().filter(|piece| is_part_of(piece, field)).count() + 1;
                names.push(format!("{}{number}", name(field)));
            }
            Piece::Unbound => {
                let number = before.iter().filter(|piece| matches!(piece, Piece::Unbound)).count() + 1;
                names.push(format!("any{number}"));
            }
        }
    }
    names
}

fn is_part_of(piece: &Piece<'_>, field: &FieldPath) -> bool {
    matches!(piece, Piece::Part(other, _) if *other == field)
}

/// The path with these names of its variables.
pub(crate) fn text(route: &Route, pieces: &[Piece<'_>], names: &[String]) -> String {
    let mut names = names.iter();
    let mut path = String::new();
    for piece in pieces {
        path.push('/');
        match piece {
            Piece::Literal(literal) => path.push_str(literal),
            Piece::Field(_) | Piece::Part(..) | Piece::Unbound => {
                path.push_str(&format!("{{{}}}", names.next().map_or("", String::as_str)));
            }
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    if let Some(verb) = &route.template.verb {
        path.push(':');
        path.push_str(verb);
    }
    path
}
