//! What stands in the tables, for those who compare it with what else they know.

use store::{Change, Error, Row, Statement, Store};

/// More than a page of any database.
const PROBE_BYTES: usize = 16 * 1024;

/// The state of one service's outbox, obligations, inbox and parking, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Effect ids of the commands that wait for a reply, with their keys.
    pub obligations: Vec<(String, String)>,
    /// Effect ids of the commands that were handled, with the kinds of the replies.
    pub inbox: Vec<(String, String)>,
    /// Messages that are not published yet.
    pub unpublished: u64,
    /// Messages that could not be handled.
    pub parked: Vec<ParkedMessage>,
}

/// A message that could not be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Who could not.
    pub consumer: String,
    /// What it is about.
    pub key: String,
    /// What it is.
    pub kind: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads the tables.
///
/// # Errors
/// When they cannot be read.
pub async fn audit(store: &Store) -> Result<Audit, Error> {
    let queries = vec![
        Statement::new("SELECT effect_id, key FROM obligation"),
        Statement::new("SELECT effect_id, reply_kind FROM inbox"),
        // Reads everything, unlike the metrics: an audit must be exact.
        Statement::new(
            "SELECT count(*) FROM outbox WHERE position > (SELECT position FROM outbox_cursor WHERE lane = 0)",
        )
        .on_postgres(
            "SELECT count(*) FROM outbox o, outbox_cursor c
             WHERE c.lane = 0 AND NOT pg_visible_in_snapshot(o.xid, c.from_snapshot::pg_snapshot)
             AND (c.to_snapshot IS NULL OR o.position > c.position OR NOT pg_visible_in_snapshot(o.xid, c.to_snapshot::pg_snapshot))",
        ),
        Statement::new("SELECT consumer, key, kind, why FROM parked ORDER BY number"),
    ];
    let mut results = store.snapshot(queries).await?.into_iter();
    let mut next = || results.next().unwrap_or_default();
    Ok(Audit {
        obligations: next().into_iter().map(pair).collect::<Result<_, _>>()?,
        inbox: next().into_iter().map(pair).collect::<Result<_, _>>()?,
        unpublished: next().first_mut().map_or(Ok(0), |row| row.take::<i64>(0))?.unsigned_abs(),
        parked: next().into_iter().map(parked).collect::<Result<_, _>>()?,
    })
}

/// Writes a row, deletes it and flushes, which changes nothing: succeeds when a state and its messages could be written now. The row takes
/// pages of its own, as writing over what is there would succeed in a database that is full.
///
/// # Errors
/// When the store cannot be written: the disk is full, or the file is locked.
pub async fn probe(store: &Store) -> Result<(), Error> {
    let mut change = Change::new();
    let insert = Statement::new(
        "INSERT INTO inbox (effect_id, reply_effect_id, reply_channel, reply_key, reply_kind, reply_payload, handled_us)
         VALUES ('probe', '', '', '', '', ?1, 0)",
    );
    change.push(insert.bind(vec![0; PROBE_BYTES]));
    change.push(Statement::new("DELETE FROM inbox WHERE effect_id = 'probe'"));
    store.commit(change).await.map(|_| ())
}

fn pair(mut row: Row) -> Result<(String, String), Error> {
    Ok((row.take(0)?, row.take(1)?))
}

fn parked(mut row: Row) -> Result<ParkedMessage, Error> {
    Ok(ParkedMessage { consumer: row.take(0)?, key: row.take(1)?, kind: row.take(2)?, why: row.take(3)? })
}
