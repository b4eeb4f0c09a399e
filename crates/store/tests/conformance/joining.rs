//! Inserts of one text that are done as one.

use crate::database::Database;
use crate::{change, insert, names, with_items};
use store::{Error, Statement};
use tokio::task::JoinSet;

pub(crate) async fn inserts_that_are_joined_keep_their_order_and_values(database: impl Database) {
    let store = database.open().await;
    let sqlite = "CREATE TABLE note (position INTEGER PRIMARY KEY, author INTEGER, line TEXT, proof BLOB)";
    let postgres =
        "CREATE TABLE note (position BIGINT GENERATED ALWAYS AS IDENTITY, author BIGINT, line TEXT, proof BYTEA)";
    store.commit(change([Statement::new(sqlite).on_postgres(postgres)])).await.unwrap();
    let note = |author: i64, line: Option<&str>| {
        let insert = Statement::new("INSERT INTO note (proof, line, author) VALUES (?3, ?2, ?1)");
        insert.bind(author).bind(line.map(str::to_owned)).bind(vec![1, 2])
    };

    let mut commits = JoinSet::new();
    for author in 0..100 {
        let mut notes = change([note(author, Some("first, {and} \"so\" on")), note(author, None)]);
        notes.push(note(author, Some("third")));
        notes.join_inserts();
        let store = store.clone();
        commits.spawn(async move { store.commit(notes).await.unwrap() });
    }
    for committed in commits.join_all().await {
        assert_eq!(committed.rows, [1, 1, 1]);
    }

    for author in 0..100 {
        let query = Statement::new("SELECT line, proof FROM note WHERE author = ?1 ORDER BY position").bind(author);
        let mut rows = store.query(query).await.unwrap();
        let lines: Vec<Option<String>> = rows.iter_mut().map(|row| row.take(0).unwrap()).collect();
        assert_eq!(lines, [Some("first, {and} \"so\" on".to_owned()), None, Some("third".to_owned())]);
        assert_eq!(rows[2].take::<Vec<u8>>(1).unwrap(), [1, 2]);
    }
}

pub(crate) async fn a_bad_change_does_not_hurt_those_whose_inserts_are_joined_with_its(database: impl Database) {
    let store = with_items(&database).await;
    store.commit(change([insert("taken", 1)])).await.unwrap();
    let once = |name: &str| {
        let sql = "INSERT INTO item (name, units) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        Statement::new(sql).bind(name).bind(1).expecting(1, "the name is new")
    };

    let mut commits = JoinSet::new();
    for number in 0..300_usize {
        let mut change = match number % 3 {
            0 => change([insert(&format!("bad {number}"), 1), insert("taken", 1)]),
            1 => change([insert(&format!("bad {number}"), 1), once("taken")]),
            _ => change([insert(&format!("good {number:03}"), 1), once(&format!("once {number:03}"))]),
        };
        change.join_inserts();
        let store = store.clone();
        commits.spawn(async move { (number, store.commit(change).await) });
    }
    let results = commits.join_all().await;

    for (number, result) in results {
        match number % 3 {
            0 => assert!(matches!(result, Err(Error::Statement { .. })), "{number}: {result:?}"),
            1 => assert!(matches!(result, Err(Error::Conflict { what: "the name is new" })), "{number}: {result:?}"),
            _ => assert_eq!(result.unwrap().rows, [1, 1], "{number}"),
        }
    }
    assert_eq!(names(&store).await.len(), 201);
}
