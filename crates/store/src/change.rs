//! A transaction as a value.

use crate::value::Value;

/// One SQL statement with its parameters, `?1`, `?2` and so on.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) sql: &'static str,
    /// What PostgreSQL is told instead, where one text cannot serve both.
    pub(crate) postgres: Option<&'static str>,
    pub(crate) parameters: Vec<Value>,
    pub(crate) expectation: Option<Expectation>,
}

/// How many rows a statement must touch, and what it means if it does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expectation {
    pub(crate) rows: usize,
    pub(crate) what: &'static str,
}

impl Statement {
    /// A statement without parameters. The text is a constant, so nothing a client sends becomes SQL.
    #[must_use]
    pub fn new(sql: &'static str) -> Self {
        Statement { sql, postgres: None, parameters: Vec::new(), expectation: None }
    }

    /// Gives the text for PostgreSQL, with the same parameters, where one text cannot serve both databases.
    #[must_use]
    pub fn on_postgres(mut self, sql: &'static str) -> Self {
        self.postgres = Some(sql);
        self
    }

    /// What PostgreSQL is told.
    pub(crate) fn text(&self) -> &'static str {
        self.postgres.unwrap_or(self.sql)
    }

    /// Gives the next parameter.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// Demands that exactly this many rows are touched; otherwise the whole change is refused with [`crate::Error::Conflict`]
    /// that says `what`.
    #[must_use]
    pub fn expecting(mut self, rows: usize, what: &'static str) -> Self {
        self.expectation = Some(Expectation { rows, what });
        self
    }
}

/// Statements that are done together or not at all, in order.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub(crate) statements: Vec<Statement>,
    pub(crate) wakes: bool,
    pub(crate) is_alone: bool,
    pub(crate) joins_inserts: bool,
}

impl Change {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Change::default()
    }

    /// Adds a statement.
    pub fn push(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    /// Wakes whoever waits on [`crate::Store::woken`] once the change is committed.
    pub fn wake(&mut self) {
        self.wakes = true;
    }

    /// Keeps the change in a transaction of its own. For one that takes locks which others would wait for; it pays a whole commit.
    pub fn keep_alone(&mut self) {
        self.is_alone = true;
    }

    /// Lets inserts of one text, of this change and of others, be done as one, which is several times cheaper on PostgreSQL. Rows of one
    /// text keep their order; those of different texts do not. For a change whose statements do not depend on each other.
    pub fn join_inserts(&mut self) {
        self.joins_inserts = true;
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Rows touched, per statement.
    pub rows: Vec<usize>,
}
