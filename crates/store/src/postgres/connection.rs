//! One line to the server: how it is opened, what it has prepared, and how much can be on its way over it at once.

use super::target::Target;
use super::{parts, value};
use crate::error::Source;
use crate::value::Columns;
use crate::{Error, Row, Statement, Value};
use futures_util::TryStreamExt;
use futures_util::future::{MaybeDone, maybe_done};
use futures_util::poll;
use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// How long opening a line may take, with everything that is asked first.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// The oldest server that is tested.
const VERSION_MIN: i32 = 150_000;

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reads.
    Read,
    /// Changes. Whoever waits for a lock longer than others should wait behind it gives up, and what takes longer than any change of ours
    /// is ended.
    Write,
    /// Schema changes, which take as long as they take.
    Migrate,
}

impl Purpose {
    /// Plans are kept, also those that were made while a table was empty and reading all of it was best; so a line that serves calls goes
    /// by an index wherever there is one. One that reads goes by the order of the index as well, since a page of a large table is what it asks
    /// for: to collect and sort everything first would cost the table and not the page.
    fn settings(self) -> &'static str {
        match self {
            Purpose::Read => {
                "SET default_transaction_read_only = on; SET statement_timeout = '10s';
                 SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off"
            }
            Purpose::Write => {
                "SET lock_timeout = '2s'; SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s';
                 SET enable_seqscan = off; SET jit = off"
            }
            Purpose::Migrate => "SET client_min_messages = warning",
        }
    }
}

/// A line to the server. The task that moves its bytes ends with it.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    prepared: HashMap<Text, tokio_postgres::Statement>,
    joined: HashMap<Text, tokio_postgres::Statement>,
    /// How durable a commit is on this server.
    pub(super) durability: String,
    /// When the server was started. One that was started again after a crash may give ids of transactions that it gave before.
    pub(super) incarnation: String,
    _driver: JoinSet<()>,
}

/// A constant text, told from others by where it stands: that is cheaper than by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Text(usize, usize);

impl Text {
    fn of(statement: &Statement) -> Self {
        Text(statement.sql.as_ptr().addr(), statement.sql.len())
    }
}

/// A request that is on its way.
pub(super) type Sent<F> = Pin<Box<MaybeDone<F>>>;

impl Connection {
    /// Opens a line, and looks whether the server keeps what it acknowledges.
    pub(super) async fn open(target: &Target, purpose: Purpose) -> Result<Self, Error> {
        let away = |source: Source| Error::Connect { to: target.to_string(), is_transient: true, source };
        match timeout(OPEN_WITHIN, Connection::try_open(target, purpose)).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(away(format!("no answer within {OPEN_WITHIN:?}").into())),
        }
    }

    async fn try_open(target: &Target, purpose: Purpose) -> Result<Self, Error> {
        let failed = |source: tokio_postgres::Error| Error::Connect {
            to: target.to_string(),
            is_transient: is_transient(&source),
            source: Box::new(source),
        };
        let mut driver = JoinSet::new();
        let client = match &target.tls {
            None => {
                let (client, line) = target.config.connect(NoTls).await.map_err(failed)?;
                driver.spawn(async { drop(line.await) });
                client
            }
            Some(tls) => {
                let (client, line) = target.config.connect(tls.clone()).await.map_err(failed)?;
                driver.spawn(async { drop(line.await) });
                client
            }
        };
        client.batch_execute(purpose.settings()).await.map_err(failed)?;
        let (durability, incarnation) = look(&client, target).await?;
        let (prepared, joined) = (HashMap::new(), HashMap::new());
        Ok(Connection { client, prepared, joined, durability, incarnation, _driver: driver })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Makes a statement ready, once for this line.
    pub(super) async fn prepare(&mut self, statement: &Statement) -> Result<(), Error> {
        if !self.prepared.contains_key(&Text::of(statement)) {
            let prepared = self.prepare_text(statement, &with_dollars(statement.text())).await?;
            self.prepared.insert(Text::of(statement), prepared);
        }
        Ok(())
    }

    /// Makes a statement ready, as it is and as the one insert for many rows.
    pub(super) async fn prepare_joined(&mut self, statement: &Statement) -> Result<(), Error> {
        self.prepare(statement).await?;
        if self.joined.contains_key(&Text::of(statement)) {
            return Ok(());
        }
        let types = self.prepared.get(&Text::of(statement)).map(tokio_postgres::Statement::params);
        let text = types.and_then(|types| parts::joined(statement.text(), types)).ok_or(Error::Closed)?;
        let joined = self.prepare_text(statement, &text).await?;
        self.joined.insert(Text::of(statement), joined);
        Ok(())
    }

    async fn prepare_text(&self, statement: &Statement, text: &str) -> Result<tokio_postgres::Statement, Error> {
        self.client.prepare(text).await.map_err(|source| statement_error(statement.sql, source))
    }

    /// Sends a statement that was prepared; its answer is how many rows it touched.
    pub(super) async fn execute<'a>(
        &'a self,
        statement: &'a Statement,
    ) -> Sent<impl Future<Output = Result<u64, Error>> + 'a> {
        sent(async move {
            let prepared = self.prepared.get(&Text::of(statement)).ok_or(Error::Closed)?;
            let done = self.client.execute_raw(prepared, &statement.parameters).await;
            done.map_err(|source| statement_error(statement.sql, source))
        })
        .await
    }

    /// Sends inserts of one text, at least one, as one.
    pub(super) async fn execute_joined<'a>(
        &'a self,
        statements: &'a [&'a Statement],
    ) -> Sent<impl Future<Output = Result<u64, Error>> + 'a> {
        sent(async move {
            let first = statements.first().ok_or(Error::Closed)?;
            let joined = self.joined.get(&Text::of(first)).ok_or(Error::Closed)?;
            let column = |number: usize| statements.iter().map(move |statement| &statement.parameters[number]);
            let columns: Vec<Vec<&Value>> =
                (0..first.parameters.len()).map(|number| column(number).collect()).collect();
            let done = self.client.execute_raw(joined, &columns).await;
            done.map_err(|source| statement_error(first.sql, source))
        })
        .await
    }

    /// Sends a query that was prepared; its answer is the rows.
    pub(super) async fn query<'a>(
        &'a self,
        query: &'a Statement,
    ) -> Sent<impl Future<Output = Result<Vec<Row>, Error>> + 'a> {
        sent(async move {
            let failed = |source| statement_error(query.sql, source);
            let prepared = self.prepared.get(&Text::of(query)).ok_or(Error::Closed)?;
            value::check(prepared.columns())?;
            let rows = self.client.query_raw(prepared, &query.parameters).await.map_err(failed)?;
            let mut rows = pin!(rows);
            let mut read = Vec::new();
            while let Some(row) = rows.try_next().await.map_err(failed)? {
                read.push(Row(Columns::Postgres(row)));
            }
            Ok(read)
        })
        .await
    }

    /// Sends SQL without parameters or result.
    pub(super) async fn say<'a>(&'a self, sql: &'static str) -> Sent<impl Future<Output = Result<(), Error>> + 'a> {
        sent(async move { self.client.batch_execute(sql).await.map_err(|source| statement_error(sql, source)) }).await
    }

    /// Does what a migration consists of.
    pub(super) async fn run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }
}

/// Sends a request now and lets its answer be taken later, so that many are on their way at once, in the order in which they were sent.
async fn sent<F: Future>(request: F) -> Sent<F> {
    let mut request = Box::pin(maybe_done(request));
    let _may_be_done_already = poll!(request.as_mut());
    request
}

/// Takes the answer to a request.
pub(super) async fn answer<T, F: Future<Output = Result<T, Error>>>(mut request: Sent<F>) -> Result<T, Error> {
    request.as_mut().await;
    request.as_mut().take_output().unwrap_or(Err(Error::Closed))
}

/// How durable a commit is, and since when the server runs.
async fn look(client: &Client, target: &Target) -> Result<(String, String), Error> {
    let failed = |is_transient, source| Error::Connect { to: target.to_string(), is_transient, source };
    let sql = "SELECT current_setting('server_version'), current_setting('server_version_num')::INT,
        current_setting('fsync'), current_setting('synchronous_commit'), pg_postmaster_start_time()::TEXT";
    let row = client.query_one(sql, &[]).await.map_err(|error| failed(is_transient(&error), Box::new(error)))?;
    let text = |column| row.try_get::<_, String>(column).unwrap_or_default();
    let (version, fsync, commit) = (text(0), text(2), text(3));
    if row.try_get::<_, i32>(1).unwrap_or_default() < VERSION_MIN {
        return Err(failed(false, format!("PostgreSQL {version} is too old; at least 15 is needed").into()));
    }
    for (setting, value) in [("fsync", &fsync), ("synchronous_commit", &commit)] {
        if value == "off" {
            return Err(Error::Forgetful { setting, value: value.clone() });
        }
    }
    Ok((format!("PostgreSQL {version}, fsync={fsync}, synchronous_commit={commit}"), text(4)))
}

/// `?1` as PostgreSQL writes it.
fn with_dollars(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        let is_parameter = character == '?' && characters.peek().is_some_and(char::is_ascii_digit);
        text.push(if is_parameter { '$' } else { character });
    }
    text
}

pub(super) fn statement_error(sql: &'static str, source: tokio_postgres::Error) -> Error {
    Error::Statement { sql, is_transient: is_transient(&source), source: Box::new(source) }
}

/// Whether the cause lies outside the program and may go away: the server, the line to it, its disk, a lock.
fn is_transient(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    match error.code() {
        Some(code) => is_of_the_server(code) || is_of_the_moment(code),
        None => error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>),
    }
}

/// Whether every change would meet with this error now, whatever it wants.
pub(super) fn is_everybodys(error: &Error) -> bool {
    let Error::Statement { source, .. } = error else { return false };
    source.downcast_ref().and_then(tokio_postgres::Error::code).is_some_and(is_of_the_server)
}

/// The classes, as in appendix A of the PostgreSQL manual: connections, resources such as the disk, an operator, the system.
fn is_of_the_server(code: &SqlState) -> bool {
    let of_the_server = matches!(code.code().get(..2), Some("08" | "53" | "57" | "58"));
    *code == SqlState::READ_ONLY_SQL_TRANSACTION || (of_the_server && *code != SqlState::QUERY_CANCELED)
}

/// Locks and deadlocks, a limit of time, and a statement that was prepared before the schema changed, which a new line prepares anew.
fn is_of_the_moment(code: &SqlState) -> bool {
    let of_the_moment = matches!(code.code().get(..2), Some("40" | "55"));
    of_the_moment || *code == SqlState::QUERY_CANCELED || *code == SqlState::FEATURE_NOT_SUPPORTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_as_postgresql_numbers_them() {
        assert_eq!(
            with_dollars("SELECT '?' WHERE a = ?1 AND b ?| c AND d = ?12"),
            "SELECT '?' WHERE a = $1 AND b ?| c AND d = $12"
        );
    }
}
