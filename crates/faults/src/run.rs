//! One run: load, faults, healing, and the verdict.

use crate::check::{Verdict, judge};
use crate::controls::{Control, Saboteur};
use crate::load::{self, Ledger, Template};
use crate::nemesis::Nemesis;
use crate::plan::{Plan, Random};
use crate::rows::{self, Rows};
use serde_json::json;
use std::time::Duration;
use testkit::{Stack, StackOptions};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long a client may go on to try after the platform is healed.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// The pause between two counts of what is undecided.
const COUNT_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Relays beside those of the services.
const RELAYS: u8 = 2;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The faults.
    pub plan: Plan,
    /// Orders per second.
    pub per_second: u32,
    /// Decides the order of the faults.
    pub seed: u64,
    /// Within this time of the platform's healing every order must be decided.
    pub decided_within: Duration,
    /// A bug to be put in, which the verdict must show.
    pub control: Option<Control>,
    /// Whether services publish by log tailing where they can.
    pub tailing: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// How long after the healing the last order was decided; `None`: not in time.
    pub decided_after: Option<Duration>,
    /// How long the faults took.
    pub broken_for: Duration,
    /// How long acknowledgements took, sorted, all tries together.
    pub took_ms: Vec<u64>,
}

/// Runs a platform, breaks it, heals it and judges. `told` hears of each step.
///
/// # Errors
/// A sentence, when the run itself could not be made.
pub async fn run(options: &Options, mut told: impl FnMut(&str)) -> Result<Outcome, String> {
    let mut stack = Stack::start(&stack_options(options)).await;
    told("platform is ready");
    prepare(&stack).await?;
    let saboteur = match options.control {
        Some(control) => Some(Saboteur::start(control, &stack).await?),
        None => None,
    };
    let template = Template::find(&stack.url()).await.map_err(|error| format!("nothing can be ordered: {error}"))?;
    let (stop, stopped) = watch::channel(false);
    let ledger = Ledger::default();
    let loading = load::run(stack.url(), template, options.per_second, ledger.clone(), stopped);
    let mut random = Random::new(options.seed);
    let relays = if options.control.is_some() { 0 } else { RELAYS };
    let faults = options.plan.faults(relays, &mut random);
    let began = Instant::now();
    let breaking = async {
        let tell = |number: usize, fault| {
            told(&format!("{:>4} s  fault {:>3}  {fault:?}", began.elapsed().as_secs(), number + 1))
        };
        Nemesis::new(&mut stack, random).run(&faults, tell).await;
        stop.send_replace(true);
        (began.elapsed(), Instant::now())
    };
    // A client that gets no answer any more would wait for ever.
    let loading = async {
        let loaded = loading.await;
        loaded.map_err(|error| format!("no load: {error}"))
    };
    let (loaded, (broken_for, healed)) = tokio::join!(bounded(loading, options), breaking);
    loaded?;
    told("healed; waiting until every order is decided");
    let decided_after = wait_until_decided(&stack, healed, options.decided_within).await;
    drop(saboteur);
    let rows = Rows::read(&stack).await.map_err(|error| format!("the databases cannot be read: {error}"))?;
    let mut verdict = judge(&ledger, &rows, faults.len());
    if options.control.is_none() {
        verdict.remarks.extend(disagreements(&stack).await);
    }
    let mut took_ms = ledger.took_ms();
    took_ms.sort_unstable();
    Ok(Outcome { verdict, decided_after, broken_for, took_ms })
}

/// The load ends by itself once it is stopped and each order is acknowledged; a platform that never acknowledges is a finding.
async fn bounded(loading: impl Future<Output = Result<(), String>>, options: &Options) -> Result<(), String> {
    let faults = options.plan.kills + options.plan.pauses + options.plan.wipes + options.plan.dropped_replies;
    let each = Duration::from_secs(15);
    let longest = each * u32::try_from(faults).unwrap_or(u32::MAX) + options.plan.held + options.plan.unreachable * 2;
    match tokio::time::timeout(longest + ACKNOWLEDGED_WITHIN, loading).await {
        Ok(loaded) => loaded,
        Err(_elapsed) => Err("orders were not acknowledged although the platform was healed".to_owned()),
    }
}

fn stack_options(options: &Options) -> StackOptions {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut env = Vec::new();
    if options.control.is_some() {
        // The saboteur publishes instead, and nothing heals what it does.
        env.push(setting("COMANDA_ORDER__OUTBOX__PUBLISHER", "none"));
        env.push(setting("COMANDA_ORDER__OUTBOX__RESEND_FIRST_MS", "3600000"));
    } else if options.tailing {
        env.push(setting("COMANDA_RELAY__PUBLISHER", "tailing"));
        for service in ["ORDER", "CONSUMER", "RESTAURANT"] {
            env.push(setting(&format!("COMANDA_{service}__OUTBOX__PUBLISHER"), "tailing"));
        }
    }
    StackOptions { relays: if options.control.is_some() { 0 } else { RELAYS }, nats: 1, env, ..StackOptions::default() }
}

/// Makes a restaurant and a consumer.
pub(crate) async fn prepare(stack: &Stack) -> Result<(), String> {
    let money = |units: &str| json!({"currencyCode": "GBP", "units": units});
    let restaurant = json!({
        "name": "Faults", "countryCode": "GB", "currencyCode": "GBP", "timeZone": "Europe/London",
        "menu": {"items": [{"menuItemId": "soup", "name": "Soup", "category": "Mains", "price": money("5")}]},
    });
    let consumer = json!({"name": "Ada", "orderLimit": money("100000")});
    for (path, body) in [("/v1/restaurants", restaurant), ("/v1/consumers", consumer)] {
        let answer = stack.http().post(path, &body).try_send().await?;
        if answer.status != 201 {
            return Err(format!("{path}: {}", answer.text()));
        }
    }
    Ok(())
}

/// Waits until every order is decided; says how long after the healing that was, or that it was not in time.
pub(crate) async fn wait_until_decided(stack: &Stack, healed: Instant, within: Duration) -> Option<Duration> {
    loop {
        let counted = match rows::open(stack, "order").await {
            Ok(store) => rows::undecided(&store).await,
            Err(error) => Err(error),
        };
        if matches!(counted, Ok(0)) {
            return Some(healed.elapsed());
        }
        if healed.elapsed() > within {
            return None;
        }
        sleep(COUNT_AGAIN_AFTER).await;
    }
}

async fn disagreements(stack: &Stack) -> Vec<String> {
    let (code, report) = stack.verify().await;
    let found = report["disagreements"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<String> = found.iter().map(|it| format!("{}: {}", it["subject"], it["what"])).collect();
    if code != Some(0) && found.is_empty() {
        found.push(format!("comanda verify ended with {code:?}"));
    }
    found
}
