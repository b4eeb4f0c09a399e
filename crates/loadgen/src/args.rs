//! The command line.

use crate::error::Error;
use crate::orders;
use crate::replay::{self, Protocol};
use clap::{Args, Parser, Subcommand};
use iso_currency::Currency;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Puts orders into a running platform and measures what becomes of them.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Places every order of a file, follows each to its end, and exits with 1 unless all are approved and right.
    Replay(ReplayArguments),
    /// Places equal orders without following them, and exits with 1 unless all are acknowledged.
    Orders(OrdersArguments),
}

/// Whereto and how.
#[derive(Debug, Args)]
struct TargetArguments {
    /// The platform's address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    target: String,
    /// Speaks gRPC instead of REST.
    #[arg(long)]
    grpc: bool,
    /// Orders that are placed at once. 32 keep a server on two cores busy without a queue that only adds to latency.
    #[arg(long, value_name = "N", default_value = "32")]
    concurrency: NonZeroUsize,
    /// How long an order is tried again while the platform is away, in seconds. A platform that is started again is back sooner.
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    retry_for: u64,
    /// Writes the figures to this file as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ReplayArguments {
    #[command(flatten)]
    target: TargetArguments,
    /// The menu: a CSV file with one restaurant.
    #[arg(long, value_name = "FILE")]
    menu: PathBuf,
    /// The orders: a CSV file with one row for each line of an order.
    #[arg(long, value_name = "FILE")]
    orders: PathBuf,
    /// Places only the first N orders of the file.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The currency of menu and orders.
    #[arg(long, value_name = "CODE", default_value = "GBP", value_parser = currency)]
    currency: Currency,
    /// How many consumers order, in turn.
    #[arg(long, value_name = "N", default_value = "100")]
    consumers: NonZeroUsize,
    /// How long an order may take from its acknowledgement to its decision, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    decide_timeout: u64,
}

#[derive(Debug, Args)]
struct OrdersArguments {
    #[command(flatten)]
    target: TargetArguments,
    /// How many orders.
    #[arg(long, value_name = "N")]
    count: usize,
    /// Whom to order from; the newest restaurant that takes orders when it is not given.
    #[arg(long, value_name = "ID")]
    restaurant_id: Option<String>,
    /// Who orders; the newest active consumer when it is not given.
    #[arg(long, value_name = "ID")]
    consumer_id: Option<String>,
    /// Orders this item of the menu [default: any that is available, which asks the Restaurant Service].
    #[arg(long, value_name = "ID")]
    menu_item_id: Option<String>,
    /// Writes the ids of acknowledged orders to this file, one a line, as they are acknowledged.
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
}

impl Arguments {
    /// Does what was asked for and prints what it came to.
    ///
    /// # Errors
    /// When the run could not be made.
    pub async fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Replay(arguments) => {
                let json = arguments.target.json.clone();
                let report = replay::run(&arguments.into()).await?;
                print!("{report}");
                write_json(json.as_deref(), &report)?;
                Ok(exit_code(report.is_right()))
            }
            Command::Orders(arguments) => {
                let json = arguments.target.json.clone();
                let summary = orders::run(&arguments.into()).await?;
                print!("{summary}");
                write_json(json.as_deref(), &summary)?;
                Ok(exit_code(summary.is_right()))
            }
        }
    }
}

impl From<ReplayArguments> for replay::Options {
    fn from(arguments: ReplayArguments) -> Self {
        replay::Options {
            protocol: arguments.target.protocol(),
            concurrency: arguments.target.concurrency.get(),
            retry_for: Duration::from_secs(arguments.target.retry_for),
            target: arguments.target.target,
            menu: arguments.menu,
            orders: arguments.orders,
            limit: arguments.limit,
            currency: arguments.currency,
            consumers: arguments.consumers.get(),
            decide_timeout: Duration::from_secs(arguments.decide_timeout),
        }
    }
}

impl From<OrdersArguments> for orders::Options {
    fn from(arguments: OrdersArguments) -> Self {
        orders::Options {
            protocol: arguments.target.protocol(),
            concurrency: arguments.target.concurrency.get(),
            retry_for: Duration::from_secs(arguments.target.retry_for),
            target: arguments.target.target,
            count: arguments.count,
            restaurant_id: arguments.restaurant_id,
            consumer_id: arguments.consumer_id,
            menu_item_id: arguments.menu_item_id,
            ids: arguments.ids,
        }
    }
}

impl TargetArguments {
    fn protocol(&self) -> Protocol {
        if self.grpc { Protocol::Grpc } else { Protocol::Rest }
    }
}

fn currency(code: &str) -> Result<Currency, String> {
    proto::money::parse_currency("the currency", code).map_err(|it| format!("{} {}", it.field, it.description))
}

fn exit_code(is_right: bool) -> ExitCode {
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write_json(path: Option<&Path>, figures: &impl Serialize) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(figures).expect("figures are numbers and texts");
    std::fs::write(path, text + "\n").map_err(|source| Error::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_replay_has_defaults() {
        let arguments = Arguments::parse_from(["loadgen", "replay", "--menu", "m.csv", "--orders", "o.csv"]);

        let Command::Replay(arguments) = arguments.command else { panic!("{arguments:?}") };
        let options = replay::Options::from(arguments);
        assert_eq!((options.concurrency, options.consumers, options.protocol), (32, 100, Protocol::Rest));
        assert_eq!((options.currency, options.decide_timeout), (Currency::GBP, Duration::from_secs(60)));
    }

    #[test]
    fn an_unknown_currency_is_refused() {
        let refused = Arguments::try_parse_from("loadgen replay --menu m --orders o --currency gbp".split(' '));

        assert!(refused.unwrap_err().to_string().contains("ISO 4217"));
    }
}
