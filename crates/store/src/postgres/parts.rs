//! What a transaction sends: statements as they are, and equal inserts as one.
//!
//! A statement costs both sides more than a row does, so of changes that allow it all `INSERT ... VALUES (?1, ?2)` of one text go as one
//! `INSERT ... SELECT ... FROM UNNEST($1, $2)`. That tells how many rows were inserted, and not which: when one was not, or the statement
//! failed, the transaction is done again with every statement apart.

use crate::queue::Member;
use crate::{Error, Statement};
use tokio_postgres::types::Type;

/// Whether equal inserts are sent as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserts {
    Joined,
    Apart,
}

/// Statements that are sent as one, each with the number of its change and its place there.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) statements: Vec<&'a Statement>,
    places: Vec<(usize, usize)>,
}

impl Part<'_> {
    pub(super) fn is_joined(&self) -> bool {
        self.statements.len() > 1
    }

    /// The change that the first statement is of.
    pub(super) fn member(&self) -> usize {
        self.places[0].0
    }
}

/// What has to be sent for these changes, in order.
pub(super) fn plan(members: &[Member], inserts: Inserts) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    // The texts of one transaction are few, so a search through them costs less than a map.
    let mut open: Vec<(&'static str, usize)> = Vec::new();
    for (member, Member { change, .. }) in members.iter().enumerate() {
        let is_joinable = change.joins_inserts && inserts == Inserts::Joined;
        for (index, statement) in change.statements.iter().enumerate() {
            let text = statement.sql;
            let same = open.iter().find(|(other, _)| std::ptr::eq(*other, text)).filter(|_| is_joinable);
            if let Some((_, part)) = same {
                parts[*part].statements.push(statement);
                parts[*part].places.push((member, index));
                continue;
            }
            if is_joinable && is_insert_of_values(statement) {
                open.push((text, parts.len()));
            }
            parts.push(Part { statements: vec![statement], places: vec![(member, index)] });
        }
    }
    parts
}

/// Rows touched, per change and statement; `None` when that cannot be told from what the parts touched.
pub(super) fn spread(
    members: &[Member],
    parts: &[Part<'_>],
    touched: Vec<Result<u64, Error>>,
) -> Option<Vec<Vec<Result<u64, Error>>>> {
    let mut spread: Vec<Vec<_>> =
        members.iter().map(|Member { change, .. }| change.statements.iter().map(|_| Ok(1)).collect()).collect();
    for (part, rows) in parts.iter().zip(touched) {
        if !part.is_joined() {
            let (member, index) = part.places[0];
            spread[member][index] = rows;
        } else if rows.ok()? != part.places.len() as u64 {
            return None;
        }
    }
    Some(spread)
}

fn is_insert_of_values(statement: &Statement) -> bool {
    Insert::parse(statement.text()).is_some()
}

/// The text that inserts many rows at once, where `text` inserts one with parameters of these types.
pub(super) fn joined(text: &str, types: &[Type]) -> Option<String> {
    let Insert { into, values, rest } = Insert::parse(text)?;
    let arrays: Vec<String> = types.iter().zip(1..).map(|(ty, number)| format!("${number}::{}[]", ty.name())).collect();
    let columns: Vec<String> = (1..=types.len()).map(|number| format!("p{number}")).collect();
    let (arrays, columns) = (arrays.join(", "), columns.join(", "));
    let values = values.replace('?', "p");
    Some(format!("{into}SELECT {values} FROM UNNEST({arrays}) AS parameters({columns}) {rest}"))
}

/// The pieces of `INSERT INTO table (columns) VALUES (values) ON CONFLICT DO NOTHING`.
struct Insert<'a> {
    into: &'a str,
    values: &'a str,
    rest: &'a str,
}

impl<'a> Insert<'a> {
    /// `None` for all other statements, and for those with a literal, in which anything could stand.
    fn parse(text: &'a str) -> Option<Self> {
        if !text.starts_with("INSERT INTO ") || text.contains('\'') {
            return None;
        }
        let (into, after) = text.split_once("VALUES")?;
        let after = after.trim_start().strip_prefix('(')?;
        let mut depth = 1_u32;
        let end = after.find(|character| {
            depth = match character {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            };
            depth == 0
        })?;
        let (values, rest) = (&after[..end], after[end + 1..].trim());
        // An update on conflict must not meet a row twice in one statement.
        (rest.is_empty() || rest == "ON CONFLICT DO NOTHING").then_some(Insert { into, values, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_what_is_selected_from_arrays() {
        let text =
            "INSERT INTO outbox (slot, id, number) VALUES ((SELECT current FROM turn), ?1, ?2) ON CONFLICT DO NOTHING";

        assert_eq!(
            joined(text, &[Type::TEXT, Type::INT8]).as_deref(),
            Some(
                "INSERT INTO outbox (slot, id, number) SELECT (SELECT current FROM turn), p1, p2 \
                 FROM UNNEST($1::text[], $2::int8[]) AS parameters(p1, p2) ON CONFLICT DO NOTHING"
            )
        );
    }

    #[test]
    fn only_an_insert_of_values_is_joined() {
        for text in [
            "UPDATE a SET b = ?1",
            "INSERT INTO a SELECT b FROM c",
            "INSERT INTO a (b) VALUES ('), (', ?1)",
            "INSERT INTO a (b) VALUES (?1), (?2)",
            "INSERT INTO a (b) VALUES (?1) ON CONFLICT (b) DO UPDATE SET b = 1",
            "INSERT INTO a (b) VALUES (?1",
        ] {
            assert_eq!(joined(text, &[Type::TEXT]), None, "{text}");
        }
    }
}
