//! The commands of those who look after a running platform.

use clap::{Args, Subcommand, ValueEnum};
use std::str::FromStr;
use std::time::Duration;

/// Which process to ask, and how to print what it says.
#[derive(Debug, Clone, Args)]
pub(crate) struct Asking {
    /// Where the process listens for operators.
    #[arg(long, default_value = "http://127.0.0.1:9090", value_name = "URL")]
    pub(crate) admin: String,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The service whose database is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Service {
    /// The service: order, consumer or restaurant.
    #[arg(long, value_parser = ["order", "consumer", "restaurant"])]
    pub(crate) service: String,
}

/// All services of a process, or one.
#[derive(Debug, Clone, Args)]
pub(crate) struct Services {
    /// Only this service: order, consumer or restaurant [default: those whose databases the process uses].
    #[arg(long, value_parser = ["order", "consumer", "restaurant"])]
    pub(crate) service: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ParkedCommand {
    /// Lists parked messages.
    List {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        selectors: Selectors,
        /// Shows this many of each service at most, from the oldest on.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
        limit: i32,
        #[command(flatten)]
        asking: Asking,
    },
    /// Shows one parked message.
    Show {
        /// Its number, as `list` tells it.
        number: i64,
        #[command(flatten)]
        service: Service,
        /// Shows the payload too, which holds personal data.
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// Has parked messages handled again, each key in its order, until it is free or a message fails again.
    ///
    /// Keys are selected by what their first message is, as that is what holds up the others.
    Redrive {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        doing: Doing,
        /// Messages of each consumer per second at most [default: as fast as they are handled].
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
        per_second: Option<i32>,
        /// Waits this many seconds at most for the end; exits with 1 if something fails again or is not finished.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
    },
    /// Deletes parked messages for good. A command comes back, since its sender still waits for the reply.
    Discard {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        doing: Doing,
    },
    /// Lists what was done with parked messages, by whom and why, the newest first.
    Actions {
        #[command(flatten)]
        services: Services,
        /// Shows this many of each service at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
        limit: i32,
        #[command(flatten)]
        asking: Asking,
    },
}

/// Which parked messages; all conditions must be met.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Selectors {
    /// One message. If it is redriven, those before it in its key are too.
    #[arg(long)]
    pub(crate) number: Option<i64>,
    /// What this consumer parked.
    #[arg(long, value_name = "NAME")]
    pub(crate) consumer: Option<String>,
    /// What is about this key, such as an order's id.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// What is of this kind, such as comanda.messages.v1.CreateTicket.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// What has this text in its reason.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// What was parked less than this time ago, such as 90s, 15m, 2h or 7d.
    #[arg(long, value_name = "TIME")]
    pub(crate) newer_than: Option<Ago>,
    /// What was parked more than this time ago.
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<Ago>,
}

/// What is to be done, and for whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Doing {
    #[command(flatten)]
    pub(crate) selectors: Selectors,
    /// Means everything that is parked; instead of a selection.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only lists what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Who wants it, for the audit.
    #[arg(long, env = "USER", default_value = "unknown", hide_default_value = true, hide_env_values = true)]
    pub(crate) who: String,
    /// Why, for the audit; `discard` asks for it.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// Shows what waits to be published, who publishes, and what holds it back.
    Status {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        asking: Asking,
    },
    /// Makes the relay stop publishing, whichever process it runs in.
    Pause {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        asking: Asking,
    },
    /// Lets the relay publish again.
    Resume {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        asking: Asking,
    },
    /// Makes the relay publish another way, whichever process it runs in, until it is told otherwise.
    Publisher {
        /// Polling reads the tables; tailing reads the log of the server and needs PostgreSQL; configured: as the relay's configuration says.
        #[arg(value_enum)]
        publisher: PublisherName,
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        asking: Asking,
    },
    /// Publishes again what the outbox still holds; consumers see what they saw before once more.
    Replay {
        #[command(flatten)]
        service: Service,
        /// What was written less than this time ago, such as 10m.
        #[arg(long, value_name = "TIME")]
        since: Ago,
        #[command(flatten)]
        asking: Asking,
    },
}

/// How a relay publishes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PublisherName {
    Polling,
    Tailing,
    Configured,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Where a process listens for operators; give one for each process of the platform.
    #[arg(long, default_value = "http://127.0.0.1:9090", value_name = "URL")]
    pub(crate) admin: Vec<String>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ago(pub(crate) Duration);

impl FromStr for Ago {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time such as 90s, 15m, 2h or 7d");
        let unit = text.chars().last().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
        number.checked_mul(seconds).map(|seconds| Ago(Duration::from_secs(seconds))).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_now_has_a_unit() {
        assert_eq!("90s".parse(), Ok(Ago(Duration::from_secs(90))));
        assert_eq!("15m".parse(), Ok(Ago(Duration::from_secs(900))));
        assert_eq!("2h".parse(), Ok(Ago(Duration::from_secs(7_200))));
        assert_eq!("7d".parse(), Ok(Ago(Duration::from_secs(604_800))));
        for wrong in ["", "s", "15", "-1m", "1.5h", "m15", "99999999999999999999d", "213503982334602d", "1µ"] {
            assert!(wrong.parse::<Ago>().is_err(), "{wrong}");
        }
    }
}

/// `comanda breakers`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BreakersOptions {
    #[command(subcommand)]
    pub(crate) command: Option<BreakersCommand>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakersCommand {
    /// Forces a breaker open or closed, or gives it back to itself. Noted in the log of the process.
    Force {
        /// What to.
        to: ForcedName,
        #[command(flatten)]
        service: Service,
        /// Only this endpoint, as `comanda endpoints` tells it [default: the service as a whole].
        #[arg(long, value_name = "ADDRESS")]
        endpoint: Option<String>,
        /// Who wants it.
        #[arg(long, env = "USER", default_value = "unknown")]
        who: String,
        /// Why.
        #[arg(long)]
        why: String,
        #[command(flatten)]
        asking: Asking,
    },
}

/// What a breaker is forced to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ForcedName {
    /// Refuses every call.
    Open,
    /// Lets every call pass.
    Closed,
    /// Decides by itself again.
    Automatic,
}
