//! A full disk: orders are refused as unavailable, nothing is lost, and all goes on when there is room again.
//!
//! The data directory is on a small file system in memory, which only root may mount; elsewhere the test says that it was skipped.

use e2e::{Shop, all_in_state, verified};
use std::path::Path;
use std::process::Command;
use testkit::{Answer, Comanda, Options, eventually};

/// Room for the files of an empty platform and some hundred orders.
const MIB: usize = 8;
/// The file that takes what is left.
const FILLER: &str = "filler";

/// A mounted file system, until it is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` when this user may not mount.
    fn mount(at: &'a Path) -> Option<Self> {
        let size = format!("size={MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "comanda-test"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then_some(Small(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Lazy, since a process that was killed a moment ago may hold it; what fails here, the end of the machine cleans up.
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

/// A place for the data that can be filled. `None`, and a line on standard output, when this user may not mount.
fn place_to_fill(folder: &Path) -> Option<Small<'_>> {
    let small = Small::mount(folder);
    if small.is_none() {
        let is_forbidden = std::env::var_os("COMANDA_TEST_FORBID_SKIP").is_some_and(|value| value == "1");
        assert!(!is_forbidden, "this user may not mount a file system, and COMANDA_TEST_FORBID_SKIP is 1");
        println!("skipped: this user may not mount a file system");
    }
    small
}

/// Starts a platform, fills its disk and places orders until one is refused. Returns that answer, and how many were taken.
async fn fill_up(folder: &Path) -> (Comanda, Shop, Answer, usize) {
    let data_dir = Some(folder.join("data"));
    let comanda = Comanda::start(Options { data_dir, ..Options::default() }).await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    e2e::place_and_wait(&http, &shop.order()).await;
    let mut taken = 1;
    fill(&folder.join(FILLER));
    let refused = eventually(e2e::DECIDED_WITHIN, async || {
        let answer = http.post("/v1/orders", &shop.order()).send().await;
        if answer.status != 201 {
            return Ok(answer);
        }
        taken += 1;
        Err(format!("{taken} orders were taken"))
    })
    .await;
    (comanda, shop, refused, taken)
}

#[tokio::test]
async fn a_full_disk_refuses_orders_and_loses_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(_mounted) = place_to_fill(folder.path()) else { return };
    let (comanda, shop, refused, taken) = fill_up(folder.path()).await;
    let http = comanda.http();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    assert_eq!(http.get("/readyz").send().await.expect(503)["status"], "unavailable");

    std::fs::remove_file(folder.path().join(FILLER)).expect("the filler is there");
    eventually(e2e::DECIDED_WITHIN, async || {
        let answer = http.post("/v1/orders", &shop.order()).send().await;
        if answer.status == 201 { Ok(()) } else { Err(answer.text()) }
    })
    .await;

    all_in_state(&http, "APPROVED", taken + 1).await;
    verified(&comanda).await;
}

#[tokio::test]
async fn a_kill_while_the_disk_is_full_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(_mounted) = place_to_fill(folder.path()) else { return };
    let (mut comanda, _, refused, taken) = fill_up(folder.path()).await;
    assert_eq!(refused.status, 503, "{}", refused.text());

    comanda.kill9();
    std::fs::remove_file(folder.path().join(FILLER)).expect("the filler is there");
    comanda.restart().await;

    all_in_state(&comanda.http(), "APPROVED", taken).await;
    verified(&comanda).await;
}

/// Fills the file system to the last byte.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("the filler can be made");
    let block = [0; 512];
    while file.write_all(&block).is_ok() {}
}
