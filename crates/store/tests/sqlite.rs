//! What is particular to the SQLite store: its file, its limits, and readers beside the writer.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use std::fs;
use std::path::PathBuf;
use store::{Change, Committed, Config, Error, Migration, Statement, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;

const ITEMS: &[Migration] = &[Migration {
    version: 1,
    name: "items",
    sqlite: "CREATE TABLE item (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
    postgres: None,
}];
/// Holds some 16 of the rows below.
const SMALL: Config = Config { pages_max: Some(40) };

struct File {
    directory: TempDir,
}

impl File {
    fn new() -> Self {
        File { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    async fn open(&self, config: &Config) -> Store {
        let store = Store::open_sqlite(&self.path(), config).unwrap();
        store.migrate("items", ITEMS).await.unwrap();
        store
    }

    /// Transactions in the write-ahead log: its frames that carry a database size (sqlite.org/fileformat2.html#walformat).
    fn transactions(&self) -> usize {
        let (header, frame_header, page) = (32, 24, 4096);
        let log = fs::read(self.directory.path().join("store.db-wal")).unwrap();
        log[header..].chunks(frame_header + page).filter(|frame| frame[4..8] != [0; 4]).count()
    }
}

fn insert(number: i64) -> Change {
    insert_of_size(number, 8 * 1024)
}

/// Never fits into a small database.
fn too_big(number: i64) -> Change {
    insert_of_size(number, 1024 * 1024)
}

fn insert_of_size(number: i64, size: usize) -> Change {
    let mut change = Change::new();
    let sql = "INSERT INTO item (number, content) VALUES (?1, ?2)";
    change.push(Statement::new(sql).bind(number).bind(vec![7; size]));
    change
}

/// Commits many changes at once. Returns their results in the same order.
async fn at_once(store: &Store, changes: impl IntoIterator<Item = Change>) -> Vec<Result<Committed, Error>> {
    let mut commits = JoinSet::new();
    for (number, change) in changes.into_iter().enumerate() {
        let store = store.clone();
        commits.spawn(async move { (number, store.commit(change).await) });
    }
    let mut results = commits.join_all().await;
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

fn delete(number: i64) -> Change {
    let mut change = Change::new();
    change.push(Statement::new("DELETE FROM item WHERE number = ?1").bind(number).expecting(1, "the row is there"));
    change
}

async fn numbers(store: &Store) -> Vec<i64> {
    let rows = store.query(Statement::new("SELECT number FROM item ORDER BY number")).await.unwrap();
    rows.into_iter().map(|mut row| row.take(0).unwrap()).collect()
}

/// Inserts until the database is full, many at once. Returns what was acknowledged, and the errors.
async fn fill(store: &Store) -> (Vec<i64>, Vec<Error>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (number, result) in (0..).zip(at_once(store, (0..100).map(insert)).await) {
        match result {
            Ok(_) => done.push(number),
            Err(error) => failed.push(error),
        }
    }
    (done, failed)
}

#[tokio::test]
async fn a_full_database_refuses_for_now_and_loses_nothing() {
    let file = File::new();
    let store = file.open(&SMALL).await;

    let (done, failed) = fill(&store).await;

    assert!(!done.is_empty() && !failed.is_empty());
    assert!(failed.iter().all(Error::is_transient), "{failed:?}");
    assert_eq!(numbers(&store).await, done);
    drop(store);
    assert_eq!(numbers(&file.open(&SMALL).await).await, done);
}

#[tokio::test]
async fn a_change_that_does_not_fit_does_not_hurt_those_that_come_with_it() {
    let file = File::new();
    let store = file.open(&SMALL).await;

    let results =
        at_once(&store, (0..60).map(|number| if number % 6 == 0 { insert(number) } else { too_big(number) })).await;

    let fitted: Vec<usize> = (0..60).filter(|number| results[*number].is_ok()).collect();
    assert_eq!(fitted, (0..60).step_by(6).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_database_works_again_when_there_is_room() {
    let file = File::new();
    let store = file.open(&SMALL).await;
    let (done, _) = fill(&store).await;

    store.commit(delete(done[0])).await.unwrap();

    store.commit(insert(1_000)).await.unwrap();
}

#[tokio::test]
async fn a_change_that_makes_room_is_done_amid_changes_that_do_not_fit() {
    let file = File::new();
    let store = file.open(&SMALL).await;
    let (done, _) = fill(&store).await;

    let changes = done.iter().flat_map(|number| [delete(*number), too_big(1_000 + number), too_big(2_000 + number)]);
    let results = at_once(&store, changes).await;

    assert!(results.iter().step_by(3).all(Result::is_ok), "{results:?}");
    assert!(numbers(&store).await.is_empty());
}

#[tokio::test]
async fn changes_that_come_together_share_transactions() {
    let file = File::new();
    let store = file.open(&Config::default()).await;
    let before = file.transactions();

    assert!(at_once(&store, (0..100).map(insert)).await.iter().all(Result::is_ok));

    let transactions = file.transactions() - before;
    assert!((1..=10).contains(&transactions), "{transactions} transactions");
}

#[tokio::test]
async fn an_inspector_reads_beside_the_writer_and_changes_nothing() {
    let file = File::new();
    let store = file.open(&Config::default()).await;
    store.commit(insert(1)).await.unwrap();

    let inspector = Store::inspect_sqlite(&file.path()).unwrap();
    let before = numbers(&inspector).await;
    store.commit(insert(2)).await.unwrap();
    let after = numbers(&inspector).await;
    let refused = inspector.commit(insert(3)).await;
    let migration = inspector.migrate("items", ITEMS).await;
    let taken = inspector.submit(insert(4));

    assert_eq!((before, after), (vec![1], vec![1, 2]));
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
    assert!(matches!(migration, Err(Error::Closed)), "{migration:?}");
    assert!(!taken);
    assert_eq!(numbers(&store).await, [1, 2]);
}

#[tokio::test]
async fn an_inspector_reads_what_a_writer_has_left_behind() {
    let file = File::new();
    let store = file.open(&Config::default()).await;
    store.commit(insert(1)).await.unwrap();
    drop(store);

    let inspector = Store::inspect_sqlite(&file.path()).unwrap();

    assert_eq!(numbers(&inspector).await, [1]);
}

#[test]
fn a_file_that_is_not_there_cannot_be_inspected() {
    let file = File::new();

    let refused = Store::inspect_sqlite(&file.path()).unwrap_err();

    assert!(matches!(refused, Error::Open { .. }), "{refused:?}");
    assert!(!file.path().exists());
}

#[test]
fn a_database_without_a_write_ahead_log_is_refused() {
    let refused = Store::open_sqlite(":memory:".as_ref(), &Config::default()).unwrap_err();

    assert!(matches!(refused, Error::Open { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let file = File::new();
    fs::write(file.path(), [b'x'; 8192]).unwrap();

    let refused = Store::open_sqlite(&file.path(), &Config::default()).unwrap_err();

    assert!(matches!(refused, Error::Open { .. }) && !refused.is_transient(), "{refused:?}");
}

#[test]
fn the_durability_names_the_version_and_the_flush() {
    let file = File::new();
    let store = Store::open_sqlite(&file.path(), &Config::default()).unwrap();

    let words = store.durability();

    assert!(words.starts_with("SQLite 3.") && words.ends_with("WAL, synchronous=FULL"), "{words}");
}
