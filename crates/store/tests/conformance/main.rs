//! What every store does, whichever database is behind it: one suite for all adapters.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod database;
mod joining;

use database::{Database, PostgresDatabase, SqliteFile, step};
use joining::{
    a_bad_change_does_not_hurt_those_whose_inserts_are_joined_with_its,
    inserts_that_are_joined_keep_their_order_and_values,
};
use store::{Change, Error, Migration, Row, Statement, Store, Value};
use tokio::task::{JoinSet, yield_now};

/// Expands to one test per behaviour; a further adapter is one further line.
macro_rules! conformance {
    ($adapter:ident => $database:expr) => {
        conformance! { $adapter => $database;
            a_change_is_done_as_a_whole,
            a_failing_statement_undoes_the_whole_change,
            an_unmet_expectation_writes_nothing_and_says_which,
            an_unmet_expectation_is_told_before_what_fails_because_of_it,
            an_expectation_counts_the_rows_that_were_touched,
            a_bad_change_does_not_hurt_those_that_come_with_it,
            inserts_that_are_joined_keep_their_order_and_values,
            a_bad_change_does_not_hurt_those_whose_inserts_are_joined_with_its,
            of_two_changes_that_expect_the_same_version_one_wins,
            who_hears_of_a_conflict_finds_what_it_lost_against,
            what_is_committed_survives_reopening,
            what_is_handed_in_without_waiting_is_done_before_the_store_closes,
            a_snapshot_sees_one_moment,
            a_query_sees_what_was_committed_before_it,
            a_wake_reaches_who_waits_and_only_after_the_commit,
            a_change_that_fails_wakes_nobody,
            migrations_apply_once_and_in_order,
            a_failed_migration_leaves_the_steps_before_it_and_names_itself,
            components_that_open_at_once_do_not_disturb_each_other,
            changes_and_migrations_at_once_do_not_disturb_each_other,
            a_dropped_commit_is_done_or_not_done_as_a_whole,
            abandoned_queries_do_not_hold_up_others,
            values_of_each_kind_survive,
            a_column_of_another_kind_is_an_error,
            a_wrong_statement_is_an_error_for_good,
        }
    };
    ($adapter:ident => $database:expr; $($behaviour:ident,)+) => {
        mod $adapter {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    if let Some(database) = $database {
                        super::$behaviour(database).await;
                    }
                }
            )+
        }
    };
}

conformance!(sqlite => Some(SqliteFile::new()));
conformance!(postgres => PostgresDatabase::new().await);

const ITEMS: &[Migration] = &[step(1, "items", "CREATE TABLE item (name TEXT PRIMARY KEY, units INTEGER NOT NULL)")];

async fn with_items(database: &impl Database) -> Store {
    let store = database.open().await;
    store.migrate("items", ITEMS).await.unwrap();
    store
}

fn insert(name: &str, units: i64) -> Statement {
    Statement::new("INSERT INTO item (name, units) VALUES (?1, ?2)").bind(name).bind(units)
}

fn change(statements: impl IntoIterator<Item = Statement>) -> Change {
    let mut change = Change::new();
    for statement in statements {
        change.push(statement);
    }
    change
}

fn no_such_table() -> Statement {
    Statement::new("INSERT INTO nowhere VALUES (1)")
}

/// Fails by its expectation.
fn overtaken() -> Statement {
    Statement::new("UPDATE item SET units = 0 WHERE name = 'nobody'").expecting(1, "nobody is there")
}

async fn names(store: &Store) -> Vec<String> {
    let rows = store.query(Statement::new("SELECT name FROM item ORDER BY name")).await.unwrap();
    rows.into_iter().map(|mut row| row.take(0).unwrap()).collect()
}

fn count(rows: &mut [Row]) -> i64 {
    rows[0].take(0).unwrap()
}

async fn a_change_is_done_as_a_whole(database: impl Database) {
    let store = with_items(&database).await;

    let all = Statement::new("UPDATE item SET units = units + 1");
    let committed = store.commit(change([insert("a", 1), insert("b", 2), all])).await.unwrap();

    assert_eq!(committed.rows, [1, 1, 2]);
    assert_eq!(names(&store).await, ["a", "b"]);
}

async fn a_failing_statement_undoes_the_whole_change(database: impl Database) {
    let store = with_items(&database).await;

    let failed = store.commit(change([insert("a", 1), no_such_table(), insert("b", 2)])).await.unwrap_err();

    assert!(matches!(failed, Error::Statement { sql: "INSERT INTO nowhere VALUES (1)", .. }), "{failed:?}");
    assert!(names(&store).await.is_empty());
}

async fn an_unmet_expectation_writes_nothing_and_says_which(database: impl Database) {
    let store = with_items(&database).await;
    let met = insert("a", 1).expecting(1, "a is new");

    let failed = store.commit(change([met, overtaken(), insert("b", 1)])).await.unwrap_err();

    assert!(matches!(failed, Error::Conflict { what: "nobody is there" }), "{failed:?}");
    assert!(!failed.is_transient());
    assert!(names(&store).await.is_empty());
}

/// A revision of a menu that came second was reported as a fault of the service: its row for the new version was there already.
async fn an_unmet_expectation_is_told_before_what_fails_because_of_it(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 1)])).await.unwrap();

    let failed = store.commit(change([overtaken(), insert("a", 1)])).await.unwrap_err();

    assert!(matches!(failed, Error::Conflict { what: "nobody is there" }), "{failed:?}");
}

async fn an_expectation_counts_the_rows_that_were_touched(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 1), insert("b", 1), insert("c", 2)])).await.unwrap();
    let pairs = |rows| Statement::new("UPDATE item SET units = 3 WHERE units = 1").expecting(rows, "two are ones");

    let too_many = store.commit(change([pairs(1)])).await;
    let nothing_done = Statement::new("INSERT INTO item VALUES ('a', 9) ON CONFLICT DO NOTHING");
    let repeated = store.commit(change([nothing_done.expecting(1, "a is new")])).await;
    let exact = store.commit(change([pairs(2)])).await;

    assert!(matches!(too_many, Err(Error::Conflict { .. })), "{too_many:?}");
    assert!(matches!(repeated, Err(Error::Conflict { what: "a is new" })), "{repeated:?}");
    assert_eq!(exact.unwrap().rows, [2]);
}

async fn a_bad_change_does_not_hurt_those_that_come_with_it(database: impl Database) {
    let store = with_items(&database).await;

    let mut commits = JoinSet::new();
    for number in 0..300_usize {
        let change = match number % 3 {
            0 => change([insert(&format!("bad {number}"), 1), no_such_table()]),
            1 => change([insert(&format!("bad {number}"), 1), overtaken()]),
            _ => change([insert(&format!("good {number:03}"), 1)]),
        };
        let store = store.clone();
        commits.spawn(async move { (number, store.commit(change).await.is_ok()) });
    }
    let results = commits.join_all().await;

    assert!(results.iter().all(|(number, is_done)| *is_done == (number % 3 == 2)), "{results:?}");
    let good: Vec<String> = (2..300).step_by(3).map(|number| format!("good {number:03}")).collect();
    assert_eq!(names(&store).await, good);
}

async fn of_two_changes_that_expect_the_same_version_one_wins(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 0)])).await.unwrap();

    let mut commits = JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        let step = Statement::new("UPDATE item SET units = 1 WHERE name = 'a' AND units = 0").expecting(1, "a is at 0");
        commits.spawn(async move { store.commit(change([step])).await });
    }
    let results = commits.join_all().await;

    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|result| matches!(result, Err(Error::Conflict { .. }))).count(), 49);
}

async fn who_hears_of_a_conflict_finds_what_it_lost_against(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 0)])).await.unwrap();

    let mut counting = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        counting.spawn(async move {
            let read = || Statement::new("SELECT units FROM item WHERE name = 'a'");
            let mut seen = count(&mut store.query(read()).await.unwrap());
            loop {
                let step = "UPDATE item SET units = units + 1 WHERE name = 'a' AND units = ?1";
                let step = Statement::new(step).bind(seen).expecting(1, "a is as it was seen");
                match store.commit(change([step])).await {
                    Ok(_) => return,
                    Err(conflict) => assert!(matches!(conflict, Error::Conflict { .. }), "{conflict:?}"),
                }
                let now = count(&mut store.query(read()).await.unwrap());
                assert!(now > seen, "still at {seen}");
                seen = now;
            }
        });
    }
    counting.join_all().await;

    assert_eq!(count(&mut store.query(Statement::new("SELECT units FROM item")).await.unwrap()), 20);
}

async fn what_is_committed_survives_reopening(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 1)])).await.unwrap();

    drop(store);
    let store = with_items(&database).await;

    assert_eq!(names(&store).await, ["a"]);
}

async fn what_is_handed_in_without_waiting_is_done_before_the_store_closes(database: impl Database) {
    let store = with_items(&database).await;

    let taken = [insert("a", 1), overtaken(), insert("b", 1)].map(|statement| store.submit(change([statement])));
    drop(store);
    let store = with_items(&database).await;

    assert_eq!(taken, [true; 3]);
    assert_eq!(names(&store).await, ["a", "b"]);
}

async fn a_snapshot_sees_one_moment(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 0), insert("b", 0)])).await.unwrap();
    let mut writing = JoinSet::new();
    let writer = store.clone();
    writing.spawn(async move {
        for _ in 0..300 {
            writer.commit(change([Statement::new("UPDATE item SET units = units + 1")])).await.unwrap();
        }
    });

    let of = |sql: &'static str| Statement::new(sql);
    let mut moments = 0;
    while writing.try_join_next().is_none() {
        let queries = vec![
            of("SELECT units FROM item WHERE name = 'a'"),
            of("SELECT count(*) FROM item AS x, item AS y, item AS z, item AS u, item AS v"),
            of("SELECT units FROM item WHERE name = 'b'"),
        ];
        let mut results = store.snapshot(queries).await.unwrap();
        assert_eq!(count(&mut results[0]), count(&mut results[2]));
        moments += 1;
    }

    assert!(moments > 1);
}

async fn a_query_sees_what_was_committed_before_it(database: impl Database) {
    let store = with_items(&database).await;

    let mut both = JoinSet::new();
    for number in 0..100_i64 {
        let store = store.clone();
        both.spawn(async move {
            store.commit(change([insert(&number.to_string(), number)])).await.unwrap();
            let own = Statement::new("SELECT units FROM item WHERE units = ?1").bind(number);
            store.query(own).await.unwrap().len()
        });
    }

    assert_eq!(both.join_all().await, [1; 100]);
}

async fn a_wake_reaches_who_waits_and_only_after_the_commit(database: impl Database) {
    let store = with_items(&database).await;
    let mut woken = store.woken();
    let (reader, mut waiting) = (store.clone(), JoinSet::new());
    waiting.spawn(async move {
        woken.changed().await.unwrap();
        names(&reader).await
    });

    store.commit(change([insert("silent", 1)])).await.unwrap();
    let mut loud = change([insert("loud", 1)]);
    loud.wake();
    store.commit(loud).await.unwrap();

    assert_eq!(waiting.join_next().await.unwrap().unwrap(), ["loud", "silent"]);
}

async fn a_change_that_fails_wakes_nobody(database: impl Database) {
    let store = with_items(&database).await;
    let woken = store.woken();

    let mut failing = change([overtaken()]);
    failing.wake();
    store.commit(failing).await.unwrap_err();

    assert!(!woken.has_changed().unwrap());
}

const FIRST: Migration = step(1, "table", "CREATE TABLE step (number INTEGER)");
const SECOND: Migration =
    step(2, "column and rows", "ALTER TABLE step ADD COLUMN name TEXT; INSERT INTO step VALUES (2, 'second')");
const WRONG: Migration = step(3, "half right", "INSERT INTO step VALUES (3, 'third'); INSERT INTO nowhere VALUES (1)");
const THIRD: Migration = step(3, "row", "INSERT INTO step VALUES (3, 'third')");

async fn steps(store: &Store) -> i64 {
    count(&mut store.query(Statement::new("SELECT count(*) FROM step")).await.unwrap())
}

async fn migrations_apply_once_and_in_order(database: impl Database) {
    let store = database.open().await;
    store.migrate("steps", &[FIRST]).await.unwrap();

    store.migrate("steps", &[FIRST, SECOND]).await.unwrap();
    drop(store);
    let store = database.open().await;
    store.migrate("steps", &[FIRST, SECOND]).await.unwrap();

    assert_eq!(steps(&store).await, 1);
}

async fn a_failed_migration_leaves_the_steps_before_it_and_names_itself(database: impl Database) {
    let store = database.open().await;

    let failed = store.migrate("steps", &[FIRST, SECOND, WRONG]).await.unwrap_err();
    let after_failure = steps(&store).await;
    store.migrate("steps", &[FIRST, SECOND, THIRD]).await.unwrap();

    assert!(matches!(failed, Error::Migrate { component: "steps", version: 3, .. }), "{failed:?}");
    assert_eq!(after_failure, 1);
    assert_eq!(steps(&store).await, 2);
}

async fn components_that_open_at_once_do_not_disturb_each_other(database: impl Database) {
    const TABLES: [(&str, &[Migration]); 3] = [
        ("one", &[step(1, "one", "CREATE TABLE one (number INTEGER)")]),
        ("two", &[step(1, "two", "CREATE TABLE two (number INTEGER)")]),
        ("three", &[step(1, "three", "CREATE TABLE three (number INTEGER)")]),
    ];
    let store = database.open().await;

    let mut opening = JoinSet::new();
    for (component, migrations) in TABLES.into_iter().chain(TABLES) {
        let store = store.clone();
        opening.spawn(async move { store.migrate(component, migrations).await });
    }
    let results = opening.join_all().await;

    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let all =
        Statement::new("SELECT (SELECT count(*) FROM one) + (SELECT count(*) FROM two) + (SELECT count(*) FROM three)");
    assert_eq!(count(&mut store.query(all).await.unwrap()), 0);
}

async fn changes_and_migrations_at_once_do_not_disturb_each_other(database: impl Database) {
    let store = with_items(&database).await;

    let mut commits = JoinSet::new();
    let mut migrations = JoinSet::new();
    for number in 0..200 {
        let store = store.clone();
        if number % 20 == 0 {
            migrations.spawn(async move { store.migrate("steps", &[FIRST, SECOND]).await });
        } else {
            commits.spawn(async move { store.commit(change([insert(&number.to_string(), 1)])).await });
        }
    }

    assert!(commits.join_all().await.iter().all(Result::is_ok));
    assert!(migrations.join_all().await.iter().all(Result::is_ok));
    assert_eq!((names(&store).await.len(), steps(&store).await), (190, 1));
}

async fn a_dropped_commit_is_done_or_not_done_as_a_whole(database: impl Database) {
    let store = with_items(&database).await;

    for number in 0..1_500 {
        let name = |part| format!("{number} {part}");
        let commit = store.commit(change([insert(&name("a"), number), insert(&name("b"), number)]));
        tokio::select! {
            biased;
            _ = commit => {}
            () = yield_now() => {}
        }
    }
    store.commit(change([insert("last", -1)])).await.unwrap();

    let halves = Statement::new("SELECT units FROM item WHERE units >= 0 GROUP BY units HAVING count(*) <> 2");
    assert!(store.query(halves).await.unwrap().is_empty());
}

async fn abandoned_queries_do_not_hold_up_others(database: impl Database) {
    let store = with_items(&database).await;

    for _ in 0..500 {
        tokio::select! {
            biased;
            _ = store.query(Statement::new("SELECT count(*) FROM item")) => {}
            () = yield_now() => {}
        }
    }

    assert!(names(&store).await.is_empty());
}

async fn values_of_each_kind_survive(database: impl Database) {
    let store = database.open().await;
    let sql = "CREATE TABLE kind (least INTEGER, most INTEGER, text TEXT, bytes BLOB, absent TEXT, empty BLOB)";
    let postgres = "CREATE TABLE kind (least BIGINT, most BIGINT, text TEXT, bytes BYTEA, absent TEXT, empty BYTEA)";
    store.commit(change([Statement::new(sql).on_postgres(postgres)])).await.unwrap();
    let (text, bytes) = ("naïve \t \u{1F355} 'quoted' ?1".to_owned(), (0..=255).collect::<Vec<u8>>());
    let row = Statement::new("INSERT INTO kind VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(i64::MIN)
        .bind(i64::MAX)
        .bind(text.clone())
        .bind(bytes.clone())
        .bind(None::<String>)
        .bind(Vec::new());
    store.commit(change([row])).await.unwrap();

    let mut rows = store.query(Statement::new("SELECT * FROM kind")).await.unwrap();

    let row = &mut rows[0];
    assert_eq!((row.take::<i64>(0).unwrap(), row.take::<Option<i64>>(1).unwrap()), (i64::MIN, Some(i64::MAX)));
    assert_eq!((row.take::<String>(2).unwrap(), row.take::<Vec<u8>>(3).unwrap()), (text, bytes));
    assert_eq!((row.take::<Option<String>>(4).unwrap(), row.take::<Vec<u8>>(5).unwrap()), (None, Vec::new()));
}

async fn a_column_of_another_kind_is_an_error(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 1)])).await.unwrap();
    let all = || Statement::new("SELECT name, units FROM item");

    let mut row = store.query(all()).await.unwrap().remove(0);
    let not_a_number = row.take::<i64>(0).unwrap_err();
    let not_there = row.take::<i64>(2).unwrap_err();
    let not_null = store.query(Statement::new("SELECT NULL")).await.unwrap()[0].take::<String>(0).unwrap_err();
    let not_whole = store.query(Statement::new("SELECT 0.5")).await.unwrap_err();

    assert!(matches!(not_a_number, Error::Column { column: 0, expected: "a whole number" }), "{not_a_number:?}");
    assert!(matches!(not_there, Error::Column { column: 2, .. }), "{not_there:?}");
    assert!(matches!(not_null, Error::Column { column: 0, expected: "text" }), "{not_null:?}");
    assert!(matches!(not_whole, Error::Column { column: 0, .. }) && !not_whole.is_transient(), "{not_whole:?}");
}

async fn a_wrong_statement_is_an_error_for_good(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("a", 1)])).await.unwrap();

    let unknown = store.query(Statement::new("SELECT * FROM nowhere")).await.unwrap_err();
    let repeated = store.commit(change([insert("a", 1)])).await.unwrap_err();
    let unbound =
        store.commit(change([Statement::new("INSERT INTO item VALUES (?1, ?2)").bind("b")])).await.unwrap_err();
    let wrong_kind =
        store.commit(change([Statement::new("INSERT INTO item VALUES (?1, ?2)").bind("c").bind(Value::Null)]));

    assert!(!unknown.is_transient(), "{unknown:?}");
    assert!(!repeated.is_transient(), "{repeated:?}");
    assert!(!unbound.is_transient(), "{unbound:?}");
    assert!(!wrong_kind.await.unwrap_err().is_transient());
    assert_eq!(names(&store).await, ["a"]);
}
