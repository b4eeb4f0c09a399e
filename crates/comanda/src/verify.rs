//! `comanda verify`: compares what the services have written down about the same orders.
//!
//! It reads beside a running process. What one service knows and another does not yet is in flight and no disagreement; so it reads the
//! tickets before and after the orders, and judges by whichever must know more.

use crate::config::StoreKind;
use crate::wire::inspect;
use crate::{Config, Error, FAILED, Role};
use order::AuditedOrder;
use proto::OrderId;
use proto::comanda::restaurant::v1::ticket::State;
use restaurant::AuditedTicket;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use store::Store;

/// What was compared, and where it disagrees.
#[derive(Debug, Serialize)]
struct Report {
    orders: usize,
    tickets: usize,
    by_state: HashMap<&'static str, usize>,
    unpublished_messages: u64,
    disagreements: Vec<Disagreement>,
}

/// One thing that cannot be.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Disagreement {
    /// The order, or the service that it is about.
    subject: String,
    /// A sentence.
    what: String,
}

/// A ticket, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    order_id: OrderId,
    is_cancelled: bool,
}

/// Checks the data directory of the configuration.
pub(crate) async fn run(config: &Config, as_json: bool) -> Result<ExitCode, Error> {
    if config.stores.kind == StoreKind::Sqlite && !config.data_dir.is_dir() {
        return Err(Error::Argument(format!(
            "there is no data directory {}; name it with --data-dir",
            config.data_dir.display()
        )));
    }
    let report = compare(config).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(Error::Json)?);
    } else {
        print(&report);
    }
    Ok(if report.disagreements.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn print(report: &Report) {
    for Disagreement { subject, what } in &report.disagreements {
        println!("{subject}: {what}");
    }
    let mut states: Vec<String> = report.by_state.iter().map(|(state, count)| format!("{count} {state}")).collect();
    states.sort();
    println!(
        "{} orders ({}), {} tickets, {} messages to be published, {} disagreements",
        report.orders,
        states.join(", "),
        report.tickets,
        report.unpublished_messages,
        report.disagreements.len()
    );
}

async fn compare(config: &Config) -> Result<Report, Error> {
    let consumer = inspect(config, Role::Consumer).await?;
    let restaurant = inspect(config, Role::Restaurant).await?;
    let order = inspect(config, Role::Order).await?;
    let mut disagreements = Vec::new();
    let tickets_before = tickets(restaurant.as_ref()).await?;
    let orders = match &order {
        Some(store) => order::audit(store).await.map_err(|source| unreadable("order", source))?,
        None => Vec::new(),
    };
    let tickets_after = tickets(restaurant.as_ref()).await?;
    let mut unpublished_messages = 0;
    for (role, store) in [("consumer", &consumer), ("restaurant", &restaurant), ("order", &order)] {
        let Some(store) = store else { continue };
        let audit = outbox::audit(store).await.map_err(|source| unreadable(role, source))?;
        unpublished_messages += audit.unpublished;
        disagreements.extend(audit.parked.into_iter().map(|parked| Disagreement {
            subject: role.to_owned(),
            what: format!("{} about {} is parked by {}: {}", parked.kind, parked.key, parked.consumer, parked.why),
        }));
        disagreements.extend(unfounded(&orders, &audit.inbox, role));
    }
    disagreements.extend(order_disagreements(&orders, &tickets_after));
    disagreements.extend(ticket_disagreements(&orders, &tickets_before));
    let mut by_state = HashMap::new();
    for order in &orders {
        *by_state.entry(order.state).or_default() += 1;
    }
    Ok(Report { orders: orders.len(), tickets: tickets_after.len(), by_state, unpublished_messages, disagreements })
}

async fn tickets(store: Option<&Store>) -> Result<Vec<Ticket>, Error> {
    let Some(store) = store else { return Ok(Vec::new()) };
    let audit = restaurant::audit(store).await.map_err(|source| unreadable("restaurant", source))?;
    let ticket =
        |ticket: AuditedTicket| Ticket { order_id: ticket.order_id, is_cancelled: ticket.state == State::Cancelled };
    Ok(audit.tickets.into_iter().map(ticket).collect())
}

fn unreadable(role: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Verify { role, source: Box::new(source) }
}

/// What each order says of itself, and of the ticket that it must have.
fn order_disagreements(orders: &[AuditedOrder], tickets: &[Ticket]) -> Vec<Disagreement> {
    let mut by_order: HashMap<OrderId, Vec<&Ticket>> = HashMap::new();
    for ticket in tickets {
        by_order.entry(ticket.order_id).or_default().push(ticket);
    }
    let mut found = Vec::new();
    for order in orders {
        let subject = order.order_id.to_string();
        let mut add = |what: String| found.push(Disagreement { subject: subject.clone(), what });
        order.disagreements.iter().cloned().for_each(&mut add);
        let tickets = by_order.get(&order.order_id).map_or(&[][..], Vec::as_slice);
        if tickets.len() > 1 {
            add(format!("the order has {} tickets", tickets.len()));
        }
        if order.state == "APPROVED" && !tickets.iter().any(|ticket| !ticket.is_cancelled) {
            add("the order is APPROVED and the kitchen has no ticket".to_owned());
        }
    }
    found
}

/// What each ticket says of the order that it is for.
fn ticket_disagreements(orders: &[AuditedOrder], tickets: &[Ticket]) -> Vec<Disagreement> {
    let by_id: HashMap<OrderId, &AuditedOrder> = orders.iter().map(|order| (order.order_id, order)).collect();
    let mut found = Vec::new();
    for ticket in tickets.iter().filter(|ticket| !ticket.is_cancelled) {
        let what = match by_id.get(&ticket.order_id) {
            None => "the kitchen has a ticket for an order that does not exist",
            Some(order) => match order.state {
                "VALIDATED" | "APPROVED" => continue,
                "REJECTED" | "CANCELLED" if order.awaited.contains(&"CancelTicket") => continue,
                "REJECTED" | "CANCELLED" => "the order will not be cooked, and its ticket was never called off",
                _ => "the kitchen has a ticket for an order that is not validated",
            },
        };
        found.push(Disagreement { subject: ticket.order_id.to_string(), what: what.to_owned() });
    }
    found
}

/// Steps of orders that `role` caused, with nothing in its inbox that says so; and replies that contradict the step.
fn unfounded(orders: &[AuditedOrder], inbox: &[(String, String)], role: &str) -> Vec<Disagreement> {
    let replies: HashSet<(&str, &str)> = inbox
        .iter()
        .filter_map(|(effect_id, kind)| Some((effect_id.as_str(), kind.strip_prefix("comanda.messages.v1.")?)))
        .collect();
    let mut found = Vec::new();
    for order in orders {
        for cause in &order.causes {
            let Some(command) = answered_by(role, cause) else { continue };
            let effect_id = format!("{}:{command}:1", order.order_id);
            if !replies.contains(&(effect_id.as_str(), cause.as_str())) {
                let what = format!("{cause} moved the order, and the {role} service does not remember to have said so");
                found.push(Disagreement { subject: order.order_id.to_string(), what });
            }
        }
    }
    found
}

/// The command that a reply of `role` answers.
fn answered_by(role: &str, cause: &str) -> Option<&'static str> {
    match (role, cause) {
        ("consumer", "ConsumerValidated" | "ConsumerValidationFailed") => Some("ValidateConsumerInfo"),
        ("restaurant", "OrderDetailsValidated" | "OrderDetailsRejected") => Some("ValidateOrderDetails"),
        ("restaurant", "TicketCreated" | "TicketRejected") => Some("CreateTicket"),
        _ => None,
    }
}
