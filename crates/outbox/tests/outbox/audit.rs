//! What an audit tells, and whether a probe notices that nothing can be written.

use crate::world::{World, message, on_every_store};
use outbox::{Audit, audit, probe};
use store::{Change, Config, Store};

on_every_store! {
    an_audit_tells_what_is_owed_and_what_is_not_published,
    a_probe_changes_nothing,
}

async fn an_audit_tells_what_is_owed_and_what_is_not_published(world: World) {
    world.append(&[message("a", "1")]).await;
    let mut change = Change::new();
    outbox::oblige(&mut change, &message("b", "2"), &world.config);
    world.store.commit(change).await.unwrap();

    let found = audit(&world.store).await.unwrap();

    let obligations = vec![("2".to_owned(), "b".to_owned())];
    assert_eq!(found, Audit { obligations, unpublished: 2, ..Audit::default() });
}

async fn a_probe_changes_nothing(world: World) {
    let before = audit(&world.store).await.unwrap();

    probe(&world.store).await.unwrap();

    assert_eq!(audit(&world.store).await.unwrap(), before);
}

#[tokio::test]
async fn a_probe_fails_for_now_when_the_database_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("full.db"), &Config { pages_max: Some(60) }).unwrap();
    outbox::migrate(&store).await.unwrap();
    let mut filled = 0;
    loop {
        let mut change = Change::new();
        outbox::append(&mut change, &messaging::Message { payload: vec![7; 8 * 1024], ..message("order", "filler") });
        if store.commit(change).await.is_err() {
            break;
        }
        filled += 1;
        assert!(filled < 60);
    }

    let refused = probe(&store).await.unwrap_err();

    assert!(refused.is_transient(), "{refused:?}");
}
