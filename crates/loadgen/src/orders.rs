//! `loadgen orders`: places equal orders as fast as the platform takes them, and follows none.

use crate::client::delivery_address;
use crate::error::Error;
use crate::latency::Percentiles;
use crate::place::{self, Placed};
use crate::progress::Progress;
use crate::replay::Protocol;
use crate::report::per_second;
use crate::setup::Platform;
use futures_util::StreamExt;
use proto::comanda::order::v1::{CreateOrderLine, CreateOrderRequest};
use serde::Serialize;
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to place, and whereto.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform's address.
    pub target: String,
    /// What to speak.
    pub protocol: Protocol,
    /// How many orders.
    pub count: usize,
    /// Orders that are placed at once.
    pub concurrency: usize,
    /// How long an order is tried again while the platform is away.
    pub retry_for: Duration,
    /// Whom to order from; the newest restaurant that takes orders when it is not given.
    pub restaurant_id: Option<String>,
    /// Who orders; the newest active consumer when it is not given.
    pub consumer_id: Option<String>,
    /// What to order; any item that is available when it is not given.
    pub menu_item_id: Option<String>,
    /// Where the ids of acknowledged orders go, one a line.
    pub ids: Option<PathBuf>,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Orders that were acknowledged.
    pub accepted: u64,
    /// Orders that were refused or given up.
    pub failed: u64,
    /// Orders that were not begun, since the platform stayed away.
    pub not_begun: u64,
    /// Attempts after the first of an order.
    pub retried: u64,
    /// From sending an order until it was acknowledged.
    pub accepted_in: Percentiles,
    /// Acknowledged orders per second.
    pub accepted_per_second: f64,
    /// Why the first order failed that did.
    pub first_failure: Option<String>,
}

impl Summary {
    /// Whether every order was acknowledged.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.failed == 0 && self.not_begun == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { accepted, failed, not_begun, retried, .. } = self;
        writeln!(f, "placed      {accepted}; {failed} failed, {not_begun} not begun, {retried} retried")?;
        writeln!(f, "accepted    {}; {:.0}/s", self.accepted_in, self.accepted_per_second)?;
        match &self.first_failure {
            Some(failure) => writeln!(f, "note        {failure}"),
            None => Ok(()),
        }
    }
}

/// Places orders.
///
/// # Errors
/// When there is nothing to order, or the file of ids cannot be written.
pub async fn run(options: &Options) -> Result<Summary, Error> {
    let request = request(options).await?;
    let client = options.protocol.client(&options.target, options.concurrency, 0)?;
    let mut ids = options.ids.as_deref().map(Ids::create).transpose()?;
    let run = uuid::Uuid::now_v7().simple();
    let requests =
        (0..options.count).map(|index| CreateOrderRequest { request_id: format!("{run}-{index}"), ..request.clone() });
    let progress = Progress::of_one(options.count as u64);
    let is_away = Cell::new(false);
    let mut first_failure = None;
    let mut placed = Placed::begin();
    let mut tries = std::pin::pin!(place::all(&client, requests, options.concurrency, options.retry_for, &is_away));
    while let Some(tried) = tries.next().await {
        placed.count(&tried);
        progress.placed();
        match (tried.outcome, &mut ids) {
            (Ok(seen), Some(ids)) => ids.add(&seen.order_id)?,
            (Ok(_), None) => {}
            (Err(failure), _) => {
                first_failure.get_or_insert(failure.text);
            }
        }
    }
    progress.finish();
    Ok(Summary {
        accepted: placed.accepted,
        failed: placed.failed,
        not_begun: (options.count as u64).saturating_sub(placed.accepted + placed.failed),
        retried: placed.retried,
        accepted_in: placed.latencies.percentiles(),
        accepted_per_second: per_second(placed.accepted, placed.took),
        first_failure,
    })
}

/// One order of one item, still without a key.
async fn request(options: &Options) -> Result<CreateOrderRequest, Error> {
    let platform = Platform::connect(&options.target)?;
    let restaurant_id = match &options.restaurant_id {
        Some(id) => id.clone(),
        None => platform.any_restaurant().await?,
    };
    let consumer_id = match &options.consumer_id {
        Some(id) => id.clone(),
        None => platform.any_consumer().await?,
    };
    let menu_item_id = match &options.menu_item_id {
        Some(id) => id.clone(),
        None => platform.any_item(&restaurant_id).await?,
    };
    let line = CreateOrderLine { menu_item_id, quantity: 1 };
    Ok(CreateOrderRequest {
        consumer_id,
        restaurant_id,
        lines: vec![line],
        delivery_address: Some(delivery_address()),
        request_id: String::new(),
        validate_by: None,
    })
}

/// The file of acknowledged ids. Each line is one write and no buffer, so that a reader sees it whatever happens next.
struct Ids {
    file: File,
    path: PathBuf,
}

impl Ids {
    fn create(path: &Path) -> Result<Self, Error> {
        match File::create(path) {
            Ok(file) => Ok(Ids { file, path: path.to_owned() }),
            Err(source) => Err(Error::Write { path: path.to_owned(), source }),
        }
    }

    fn add(&mut self, order_id: &str) -> Result<(), Error> {
        let written = self.file.write_all(format!("{order_id}\n").as_bytes());
        written.map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}
