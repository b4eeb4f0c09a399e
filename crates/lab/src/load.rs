//! Orders at a steady rate, whatever comes of them.

use crate::schedule::Blocks;
use crate::shop::Shop;
use crate::statistics::Tally;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status};

/// Orders that may be on their way at once: each is given up after 5 s, so this is 800 a second that nobody answers. Beyond it orders come late.
const ON_THEIR_WAY_MAX: usize = 4_096;

/// What came of all orders.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// For each block.
    pub(crate) tallies: Vec<Tally>,
    /// The ids that were promised.
    pub(crate) accepted: Vec<String>,
    /// How long each promise took from when it was due, sorted.
    pub(crate) took: Vec<Duration>,
    /// A refusal, if there was one: every order is as it should be.
    pub(crate) refusal: Option<Status>,
}

/// What came of one order.
struct Answer {
    block: u32,
    took: Duration,
    result: Result<String, Status>,
}

/// Places `per_block` orders in each block, evenly, counted from `start`; returns when all of them are answered.
pub(crate) async fn place(shop: &Shop, blocks: Blocks, per_block: u32, start: Instant) -> Placed {
    let mut placed = Placed { tallies: vec![Tally::default(); blocks.count as usize], ..Placed::default() };
    let mut on_their_way = JoinSet::new();
    for block in 0..blocks.count {
        for number in 0..per_block {
            let due = start + blocks.each * block + blocks.each * (2 * number + 1) / (2 * per_block);
            while on_their_way.len() >= ON_THEIR_WAY_MAX {
                note(&mut placed, on_their_way.join_next().await);
            }
            sleep_until(due).await;
            let shop = shop.clone();
            on_their_way.spawn(async move {
                let result = shop.order().await;
                Answer { block, took: due.elapsed(), result }
            });
            while let Some(answer) = on_their_way.try_join_next() {
                note(&mut placed, Some(answer));
            }
        }
    }
    while let Some(answer) = on_their_way.join_next().await {
        note(&mut placed, Some(answer));
    }
    placed.took.sort_unstable();
    placed
}

fn note(placed: &mut Placed, answer: Option<Result<Answer, tokio::task::JoinError>>) {
    // A task that panicked is a bug of the lab.
    let Some(Answer { block, took, result }) = answer.map(|answer| answer.expect("a call does not panic")) else {
        return;
    };
    let tally = &mut placed.tallies[block as usize];
    tally.requests += 1;
    match result {
        Ok(order_id) => {
            tally.succeeded += 1;
            placed.accepted.push(order_id);
            placed.took.push(took);
        }
        Err(status) if is_refusal(status.code()) => placed.refusal = Some(status),
        Err(_unavailable) => {}
    }
}

/// Whether an answer says that something is wrong with the order, and not with the platform.
fn is_refusal(code: Code) -> bool {
    [Code::InvalidArgument, Code::NotFound, Code::FailedPrecondition, Code::AlreadyExists].contains(&code)
}
