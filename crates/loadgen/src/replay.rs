//! `loadgen replay`: places every order of a file and follows each to its end.

use crate::check::Findings;
use crate::client::{Client, delivery_address, grpc, rest};
use crate::error::Error;
use crate::follow::{self, Accepted, WATCHES_MAX};
use crate::orders_csv::{self, Menu, Order};
use crate::place::{self, Placed};
use crate::progress::Progress;
use crate::report::Report;
use crate::setup::Platform;
use futures_util::StreamExt;
use import::platform::Existing;
use iso_currency::Currency;
use proto::comanda::order::v1::CreateOrderRequest;
use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What to replay, and whereto.
#[derive(Debug, Clone)]
pub struct Options {
    /// The menu's file.
    pub menu: PathBuf,
    /// The orders' file.
    pub orders: PathBuf,
    /// The platform's address.
    pub target: String,
    /// What to speak.
    pub protocol: Protocol,
    /// Orders that are placed at once.
    pub concurrency: usize,
    /// How long an order is tried again while the platform is away.
    pub retry_for: Duration,
    /// Places only so many orders, the first of the file.
    pub limit: Option<usize>,
    /// The currency of menu and orders.
    pub currency: Currency,
    /// How many consumers order, in turn.
    pub consumers: usize,
    /// How long an order may take from its acknowledgement to its decision.
    pub decide_timeout: Duration,
}

/// What orders are placed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and JSON.
    Rest,
    /// gRPC.
    Grpc,
}

impl Protocol {
    /// A client that speaks it, for `concurrency` orders and `watches` streams at once.
    ///
    /// # Errors
    /// When the address is not `http://host:port`.
    pub fn client(self, target: &str, concurrency: usize, watches: usize) -> Result<Client, Error> {
        Ok(match self {
            Protocol::Rest => Client::Rest(rest::Client::new(target, concurrency + watches)?),
            Protocol::Grpc => Client::Grpc(grpc::Client::new(target, watches)?),
        })
    }
}

/// Replays a file.
///
/// # Errors
/// When a file cannot be used, or the platform does not take the menu or the consumers, or does not list the orders afterwards. What
/// goes wrong with single orders is in the report.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let menu = Menu::read(&options.menu, options.currency)?;
    let mut orders = orders_csv::read(&options.orders, &menu)?;
    orders.orders.truncate(options.limit.unwrap_or(usize::MAX));
    let platform = Platform::connect(&options.target)?;
    let client = options.protocol.client(&options.target, options.concurrency, WATCHES_MAX)?;
    let run = uuid::Uuid::now_v7().simple().to_string();
    let restaurant_id = bring_menu(options, &run).await?;
    let consumer_ids = platform.create_consumers(&run, options.consumers).await?;

    let requests = requests(&orders.orders, &run, &restaurant_id, &consumer_ids);
    let (placed, mut findings) = replay(options, &client, &orders.orders, requests).await;

    findings.compare(&platform.list_orders(&restaurant_id).await?);
    orders.bad_lines.iter().for_each(|bad| eprintln!("{}: {bad}", options.orders.display()));
    Ok(Report::new(client.protocol(), options, &menu, &orders, (&placed, findings)))
}

/// Brings the menu in as a restaurant of this run alone; returns its id.
async fn bring_menu(options: &Options, run: &str) -> Result<String, Error> {
    let stem = options.menu.file_stem().unwrap_or_default().to_string_lossy();
    let import = import::menu::Options {
        file: options.menu.clone(),
        restaurant_name: Some(format!("{stem} {run}")),
        restaurant_id: None,
        currency: options.currency,
        target: options.target.clone(),
        existing: Existing::Ignore,
    };
    let mut report = import::menu::run(&import).await?;
    report.bad_lines.iter().for_each(|bad| eprintln!("{}: {bad}", options.menu.display()));
    let restaurant = report.restaurants.pop();
    Ok(restaurant.map(|it| it.restaurant_id).expect("an import without a restaurant is an error"))
}

/// The calls that place the orders; consumers take turns, and each key is of this run and this order.
fn requests<'a>(
    orders: &'a [Order],
    run: &'a str,
    restaurant_id: &'a str,
    consumer_ids: &'a [String],
) -> impl Iterator<Item = CreateOrderRequest> + 'a {
    orders.iter().zip(consumer_ids.iter().cycle()).enumerate().map(move |(index, (order, consumer_id))| {
        CreateOrderRequest {
            consumer_id: consumer_id.clone(),
            restaurant_id: restaurant_id.to_owned(),
            lines: order.lines.clone(),
            delivery_address: Some(delivery_address()),
            request_id: format!("{run}-{index}"),
            validate_by: None,
        }
    })
}

/// Places and follows, side by side in one task.
async fn replay(
    options: &Options,
    client: &Client,
    orders: &[Order],
    requests: impl Iterator<Item = CreateOrderRequest>,
) -> (Placed, Findings) {
    // Room for all, so that following never holds up placing: an order takes some 300 bytes here.
    let (accepted, to_follow) = mpsc::channel(orders.len().max(1));
    let progress = Progress::of_two(orders.len() as u64);
    let begun = Instant::now();
    let mut findings = Findings::default();
    let mut refused = Vec::new();
    let placing = async {
        let is_away = Cell::new(false);
        let mut placed = Placed::begin();
        let mut tries = std::pin::pin!(place::all(client, requests, options.concurrency, options.retry_for, &is_away));
        while let Some(tried) = tries.next().await {
            placed.count(&tried);
            progress.placed();
            let (index, sent, acknowledged) = (tried.index, tried.sent, tried.sent + tried.took);
            match tried.outcome {
                Ok(seen) => {
                    let accepted = accepted.send(Accepted { index, sent, acknowledged, seen }).await;
                    accepted.expect("the receiver lives as long as this future's sibling");
                }
                Err(failure) => refused.push((index, failure)),
            }
        }
        drop(accepted);
        placed
    };
    let following = follow::all(client, to_follow, options.decide_timeout, |followed| {
        progress.decided();
        findings.judge(&orders[followed.index], followed, begun.elapsed());
    });
    let (placed, ()) = tokio::join!(placing, following);
    progress.finish();
    refused.iter().for_each(|(index, failure)| findings.not_placed(&orders[*index], failure));
    (placed, findings)
}
