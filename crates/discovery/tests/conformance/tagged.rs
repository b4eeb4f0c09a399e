//! Which services carry a tag: the same rules as for the endpoints of a service.

use crate::fake::{Fake, Manner};
use crate::support::{Here, PATIENCE, chain, settings, unique};
use discovery::{ConsulConfig, Error, Listing, Tagged};
use servers::{Consul, ConsulSetup};
use std::time::Duration;
use tokio::time::timeout;

const TAG: &str = "grpc-gateway";

/// An agent that lists these services with the tag, and Consul itself.
async fn listing(index: u64, names: &[&str]) -> Fake {
    let fake = Fake::start(index, &[]).await;
    say(&fake, index, names);
    fake
}

fn say(fake: &Fake, index: u64, names: &[&str]) {
    let tagged = names.iter().map(|name| format!(r#""{name}":["v1","{TAG}"]"#));
    let untagged = [r#""consul":[]"#, r#""billing":["v1"]"#, r#""empty":null"#].map(str::to_owned);
    let services: Vec<String> = tagged.chain(untagged).collect();
    fake.change(|script| {
        script.index = index;
        script.body = format!("{{{}}}", services.join(","));
        script.manner = Manner::Answer;
        script.headers = "";
    });
}

async fn until(tagged: &mut Tagged, what: &str, is_so: impl Fn(&Listing) -> bool) -> Listing {
    let seen = timeout(PATIENCE, async {
        loop {
            let now = tagged.now();
            if is_so(&now) {
                return now;
            }
            tagged.changed().await.unwrap();
        }
    });
    seen.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}; what is known is {:?}", tagged.now()))
}

async fn until_fresh(tagged: &mut Tagged, names: &[&str]) -> Listing {
    let is_so = |now: &Listing| now.is_known && now.fault.is_none() && now.names.iter().eq(names);
    until(tagged, &format!("{names:?} are fresh"), is_so).await
}

async fn until_fault(tagged: &mut Tagged, words: &str) -> Listing {
    let has_words = |now: &Listing| now.fault.as_ref().is_some_and(|fault| chain(fault.as_ref()).contains(words));
    until(tagged, &format!("a fault says {words:?}"), has_words).await
}

#[tokio::test]
async fn services_with_the_tag_are_known_and_no_others() {
    let fake = listing(1, &["kitchen", "library"]).await;
    let mut here = Here::at(fake.url());

    let mut tagged = here.consul.tagged(&mut here.tasks, TAG);

    until_fresh(&mut tagged, &["kitchen", "library"]).await;
    fake.until_asked(0, |it| it.path.starts_with("/v1/catalog/services?stale") && it.parameter("index") == Some("1"))
        .await;
}

#[tokio::test]
async fn services_that_vanish_together_are_held_back_and_asked_for_at_the_leader() {
    let fake = listing(1, &["a", "b", "c"]).await;
    let mut here = Here::with(ConsulConfig { hold_down_ms: 500, ..settings(&[fake.url()]) });
    let mut tagged = here.consul.tagged(&mut here.tasks, TAG);
    until_fresh(&mut tagged, &["a", "b", "c"]).await;
    let before = fake.asked().len();

    say(&fake, 2, &[]);

    fake.until_asked(before, |it| it.parameter("consistent").is_some()).await;
    assert_eq!(tagged.now().names.len(), 3);
    until_fresh(&mut tagged, &[]).await;
}

#[tokio::test]
async fn a_service_that_vanishes_alone_is_gone_at_once() {
    let fake = listing(1, &["a", "b"]).await;
    let mut here = Here::at(fake.url());
    let mut tagged = here.consul.tagged(&mut here.tasks, TAG);
    until_fresh(&mut tagged, &["a", "b"]).await;

    say(&fake, 2, &["b"]);

    until_fresh(&mut tagged, &["b"]).await;
}

#[tokio::test]
async fn an_index_that_goes_back_begins_anew() {
    let fake = listing(50, &["a"]).await;
    let mut here = Here::at(fake.url());
    let mut tagged = here.consul.tagged(&mut here.tasks, TAG);
    until_fresh(&mut tagged, &["a"]).await;
    fake.until_asked(0, |it| it.parameter("index") == Some("50")).await;
    let before = fake.asked().len();

    say(&fake, 3, &["a", "b"]);

    until_fresh(&mut tagged, &["a", "b"]).await;
    let again = fake.until_asked(before, |_| true).await;
    assert_eq!(again.parameter("index"), None, "a query with an index that is ahead hears nothing");
}

#[tokio::test]
async fn the_last_list_stays_through_faults() {
    for (manner, words) in [(Manner::Status(500), "answered 500"), (Manner::ResetInMidBody, "failed to ask")] {
        let fake = listing(1, &["a"]).await;
        let mut here = Here::at(fake.url());
        let mut tagged = here.consul.tagged(&mut here.tasks, TAG);
        until_fresh(&mut tagged, &["a"]).await;

        fake.change(|script| script.manner = manner);

        assert_eq!(until_fault(&mut tagged, words).await.names.len(), 1);
        say(&fake, 2, &["a", "b"]);
        until_fresh(&mut tagged, &["a", "b"]).await;
    }
}

#[tokio::test]
async fn an_answer_of_a_server_that_has_lost_its_leader_is_not_believed() {
    let fake = listing(1, &["a", "b"]).await;
    let mut here = Here::at(fake.url());
    let mut tagged = here.consul.tagged(&mut here.tasks, TAG);
    until_fresh(&mut tagged, &["a", "b"]).await;

    fake.change(|script| {
        script.index = 2;
        script.body = "{\"consul\":[]}".to_owned();
        script.headers = "X-Consul-LastContact: 60000\r\n";
    });

    assert_eq!(until_fault(&mut tagged, "behind its leader").await.names.len(), 2);
}

#[tokio::test]
async fn a_start_without_consul_begins_with_what_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let config = |url: String| ConsulConfig { snapshot_folder: Some(folder.path().to_owned()), ..settings(&[url]) };
    let fake = listing(1, &["a"]).await;
    let mut here = Here::with(config(fake.url()));
    until_fresh(&mut here.consul.tagged(&mut here.tasks, TAG), &["a"]).await;
    let file = folder.path().join(format!("tag+{TAG}.json"));
    crate::support::eventually(async || if file.is_file() { Ok(()) } else { Err("there is no snapshot".to_owned()) })
        .await;
    here.tasks.drain(PATIENCE).await.unwrap();

    let mut later = Here::with(config("http://127.0.0.1:1".to_owned()));
    let mut tagged = later.consul.tagged(&mut later.tasks, TAG);

    let known = until(&mut tagged, "it begins with the snapshot", |now| now.is_known).await;
    assert!(known.names.contains("a") && known.fault.is_some(), "{known:?}");
}

/// Registers a service with these tags.
async fn register(consul: &Consul, name: &str, tags: &str) {
    let body = format!(r#"{{"ID":"{name}","Name":"{name}","Address":"127.0.0.1","Port":1,"Tags":[{tags}]}}"#);
    consul.put("/v1/agent/service/register", &body).await;
}

#[tokio::test]
async fn a_real_agent_tells_of_tags_as_they_come_and_go() {
    if !Consul::require() {
        return;
    }
    let (consul, tag) = (Consul::shared().await, unique("tag"));
    let names = [unique("a-kitchen"), unique("b-library")];
    let tags = format!("\"v1\",\"{tag}\"");
    register(consul, &names[0], &tags).await;
    let mut here = Here::at(consul.url());
    let mut tagged = here.consul.tagged(&mut here.tasks, &tag);
    until_fresh(&mut tagged, &[&names[0]]).await;

    register(consul, &names[1], &tags).await;
    until_fresh(&mut tagged, &[&names[0], &names[1]]).await;
    register(consul, &names[0], "\"v1\"").await;
    until_fresh(&mut tagged, &[&names[1]]).await;
    register(consul, &names[0], &tags).await;
    until_fresh(&mut tagged, &[&names[0], &names[1]]).await;
    consul.put(&format!("/v1/agent/service/deregister/{}", names[0]), "").await;
    until_fresh(&mut tagged, &[&names[1]]).await;
}

#[tokio::test]
async fn a_catalog_that_may_not_be_read_is_suspected_and_not_believed() {
    if !Consul::require() {
        return;
    }
    let consul = Consul::start_with(ConsulSetup { with_acls: true, ..ConsulSetup::default() }).await;
    register(&consul, "kitchen", &format!("\"{TAG}\"")).await;
    let file = consul.folder().join("token");
    std::fs::write(&file, consul.root_token().unwrap()).unwrap();
    let mut nobody = Here::at(consul.url());

    let suspected =
        until_fault(&mut nobody.consul.tagged(&mut nobody.tasks, TAG), "this program may not read them").await;

    assert!(!suspected.is_known);
    assert!(matches!(suspected.fault.as_deref(), Some(Error::CatalogAccessSuspected { tag }) if tag == TAG));
    let mut root = Here::with(ConsulConfig { token_file: Some(file), ..settings(&[consul.url()]) });
    until_fresh(&mut root.consul.tagged(&mut root.tasks, TAG), &["kitchen"]).await;
}

#[tokio::test]
async fn a_real_agent_that_is_restarted_loses_no_service() {
    if !Consul::require() {
        return;
    }
    let mut consul = Consul::start().await;
    register(&consul, "kitchen", &format!("\"{TAG}\"")).await;
    let mut here = Here::with(ConsulConfig { wait_ms: 2_000, ..settings(&[consul.url()]) });
    let mut tagged = here.consul.tagged(&mut here.tasks, TAG);
    until_fresh(&mut tagged, &["kitchen"]).await;

    consul.kill9();
    until_fault(&mut tagged, "failed to ask").await;
    consul.restart().await;

    let kept = until(&mut tagged, "it is fresh again", |now| now.fault.is_none()).await;
    assert!(kept.names.contains("kitchen"), "{kept:?}");
    until_fresh(&mut tagged, &["kitchen"]).await;
    assert!(timeout(Duration::from_millis(500), until_fresh(&mut tagged, &[])).await.is_err());
}
