//! A whole measurement: both ways, each at each availability.

use crate::outages::{self, Realised};
use crate::platform::{Platform, TAKEN_AWAY};
use crate::report::{Report, Row, Way, millis};
use crate::schedule::{Blocks, Share, plan};
use crate::shop::Shop;
use crate::statistics::{Tally, interval, percentile};
use crate::{Error, Setup, load};
use std::time::Duration;
use tokio::time::Instant;

/// How much is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The availabilities of each service to measure at, in percent, above 0 to 100.
    pub availabilities: Vec<f64>,
    /// Orders for each way at each availability; rounded up to whole blocks.
    pub requests: u32,
    /// Orders per second.
    pub per_second: u32,
    /// How long a block is, in which each service is away once for its share.
    pub block: Duration,
    /// Decides when services are away.
    pub seed: u64,
}

/// What is measured of one way at one availability.
#[derive(Debug, Clone, Copy)]
struct Cell {
    share: Share,
    blocks: Blocks,
    per_block: u32,
    seed: u64,
}

impl Options {
    fn cells(&self) -> Result<Vec<Cell>, Error> {
        let per_block = f64::from(self.per_second) * self.block.as_secs_f64();
        if per_block < 1.0 || per_block > f64::from(u32::MAX / 4) {
            return Err(Error::Options(
                "a block must hold at least one order: lengthen it, or raise the rate".to_owned(),
            ));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at above")]
        let per_block = per_block.round() as u32;
        let blocks = Blocks { count: self.requests.max(1).div_ceil(per_block), each: self.block };
        let cell = |percent: &f64| {
            let share = Share::new(percent / 100.0).filter(|share| share.get() > 0.0);
            let share = share.ok_or_else(|| Error::Options(format!("{percent} % is no availability")))?;
            Ok(Cell { share, blocks, per_block, seed: self.seed })
        };
        self.availabilities.iter().map(cell).collect()
    }
}

/// Measures, and says through `tell` what is being done.
///
/// # Errors
/// When the platform cannot be started, or an order is refused that nobody could have reasons against. That orders fail, or are not decided, is
/// a figure and no error.
pub async fn run(setup: Setup, options: &Options, tell: impl Fn(&str)) -> Result<Report, Error> {
    let cells = options.cells()?;
    let mut platform = Platform::start(setup).await?;
    let mut rows = Vec::new();
    for way in [Way::Sync, Way::Async] {
        let order = platform.take_orders(way).await?;
        for cell in &cells {
            let shop = Shop::open(&mut platform, order).await?;
            let (requests, seconds) = (cell.blocks.count * cell.per_block, cell.blocks.total().as_secs_f64());
            tell(&format!("{way} at {:.0} %: {requests} orders in {seconds:.0} s", cell.share.get() * 100.0));
            rows.push(measure(&mut platform, &shop, way, *cell).await?);
        }
    }
    platform.stop().await?;
    Ok(Report::new(rows))
}

async fn measure(platform: &mut Platform, shop: &Shop, way: Way, cell: Cell) -> Result<Row, Error> {
    let Cell { share, blocks, per_block, seed } = cell;
    // The same for both ways.
    let switches = plan(TAKEN_AWAY, share, blocks, seed);
    let start = Instant::now();
    let (realised, placed) = tokio::join!(
        outages::carry_out(platform, &switches, start, blocks),
        load::place(shop, blocks, per_block, start),
    );
    platform.check()?;
    if let Some(refusal) = placed.refusal {
        return Err(Error::call("place an order")(refusal));
    }
    let approved = shop.approved().await?;
    let Realised { each, all } = realised;
    let (sum, interval) = (Tally::sum(&placed.tallies), interval(&placed.tallies));
    Ok(Row {
        availability: share.get(),
        services: TAKEN_AWAY,
        way,
        requests: sum.requests,
        succeeded: sum.succeeded,
        predicted: rounded(each.iter().map(|_| share.get()).product()),
        services_up: each.map(rounded).to_vec(),
        all_up: rounded(all),
        low: rounded(interval.low),
        high: rounded(interval.high),
        accept_p50_ms: millis(percentile(&placed.took, 50)),
        accept_p99_ms: millis(percentile(&placed.took, 99)),
        decided: placed.accepted.iter().filter(|order_id| approved.contains(*order_id)).count(),
    })
}

/// A share to six digits: no run is long enough for more.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let block = Duration::from_secs(10);
        Options { availabilities: vec![99.0, 90.0], requests: 10_001, per_second: 100, block, seed: 1 }
    }

    #[test]
    fn orders_are_rounded_up_to_whole_blocks() {
        let cells = options().cells().unwrap();

        assert_eq!(cells.len(), 2);
        assert_eq!((cells[1].blocks.count, cells[1].per_block, cells[1].share), (11, 1_000, Share::new(0.9).unwrap()));
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let refused = |options: Options| options.cells().is_err();

        assert!(refused(Options { availabilities: vec![101.0], ..options() }));
        assert!(refused(Options { availabilities: vec![0.0], ..options() }));
        assert!(refused(Options { availabilities: vec![f64::NAN], ..options() }));
        assert!(refused(Options { per_second: 0, ..options() }));
        assert!(refused(Options { block: Duration::ZERO, ..options() }));
    }
}
