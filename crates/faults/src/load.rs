//! Orders at a steady rate, whatever happens: each is tried with its own key until it is acknowledged.

use loadgen::client::delivery_address;
use loadgen::replay::Protocol;
use loadgen::setup::Platform;
use proto::comanda::order::v1::{CreateOrderLine, CreateOrderRequest};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// The pause before an order is tried again, doubled each time, as decent clients do: thousands of them would keep a platform from coming
/// back otherwise.
const TRY_AGAIN_AFTER: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// How long one try may take before it is given up and made again.
const TRY_WITHIN: Duration = Duration::from_secs(5);
/// Orders that may be on their way at once; at 100 a second that is two minutes of an outage.
const ON_THEIR_WAY_MAX: usize = 12_000;

/// What was asked for, and what was promised.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    /// Keys of all orders that were ever tried.
    tried: Vec<String>,
    /// The order that each acknowledged key was promised.
    promised: HashMap<String, String>,
    /// How long each acknowledgement took, in milliseconds.
    took_ms: Vec<u64>,
    /// Tries that were not answered, or answered with an error that says to try again.
    failed_tries: usize,
    refused: Vec<String>,
}

impl Ledger {
    /// Keys of all orders that were ever tried.
    #[must_use]
    pub fn tried(&self) -> Vec<String> {
        self.entries().tried.clone()
    }

    /// The order id that each acknowledged key was promised.
    #[must_use]
    pub fn promised(&self) -> HashMap<String, String> {
        self.entries().promised.clone()
    }

    /// What was refused as if it were the client's fault.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.entries().refused.clone()
    }

    /// How long acknowledgements took, all tries together.
    #[must_use]
    pub fn took_ms(&self) -> Vec<u64> {
        self.entries().took_ms.clone()
    }

    /// How many tries failed, and were made again.
    #[must_use]
    pub fn failed_tries(&self) -> usize {
        self.entries().failed_tries
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is ordered, again and again.
#[derive(Debug, Clone)]
pub struct Template(CreateOrderRequest);

impl Template {
    /// Makes what is needed for an order: takes the newest consumer and restaurant.
    ///
    /// # Errors
    /// When there is nothing to order.
    pub async fn find(url: &str) -> Result<Self, loadgen::Error> {
        let platform = Platform::connect(url)?;
        let restaurant_id = platform.any_restaurant().await?;
        let menu_item_id = platform.any_item(&restaurant_id).await?;
        Ok(Template(CreateOrderRequest {
            consumer_id: platform.any_consumer().await?,
            restaurant_id,
            lines: vec![CreateOrderLine { menu_item_id, quantity: 1 }],
            delivery_address: Some(delivery_address()),
            request_id: String::new(),
            validate_by: None,
        }))
    }
}

/// Places `per_second` orders until `stop` is true, then waits until each of them is acknowledged.
///
/// # Errors
/// When the address is not one.
pub async fn run(
    url: String,
    template: Template,
    per_second: u32,
    ledger: Ledger,
    mut stop: watch::Receiver<bool>,
) -> Result<(), loadgen::Error> {
    let client = Arc::new(Protocol::Rest.client(&url, ON_THEIR_WAY_MAX, 0)?);
    let run = uuid::Uuid::now_v7().simple();
    let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut tries = JoinSet::new();
    for number in 0_u64.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        while tries.len() >= ON_THEIR_WAY_MAX {
            tries.join_next().await;
        }
        while tries.try_join_next().is_some() {}
        let request = CreateOrderRequest { request_id: format!("{run}-{number}"), ..template.0.clone() };
        ledger.entries().tried.push(request.request_id.clone());
        let (client, ledger) = (client.clone(), ledger.clone());
        tries.spawn(async move { place(&client, &request, &ledger).await });
    }
    while tries.join_next().await.is_some() {}
    Ok(())
}

/// Tries until the order is acknowledged, or refused for good.
async fn place(client: &loadgen::client::Client, request: &CreateOrderRequest, ledger: &Ledger) {
    let (begun, mut pause) = (Instant::now(), TRY_AGAIN_AFTER.0);
    loop {
        match tokio::time::timeout(TRY_WITHIN, client.create_order(request)).await {
            Ok(Ok(seen)) => {
                let mut entries = ledger.entries();
                entries.took_ms.push(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
                entries.promised.insert(request.request_id.clone(), seen.order_id);
                return;
            }
            Ok(Err(failure)) if !failure.is_transient => {
                ledger.entries().refused.push(format!("{}: {}", request.request_id, failure.text));
                return;
            }
            Ok(Err(_)) | Err(_) => {
                ledger.entries().failed_tries += 1;
                sleep(pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))).await;
                pause = (pause * 2).min(TRY_AGAIN_AFTER.1);
            }
        }
    }
}
