//! Reads the commands of the Order Service.

use crate::domain::{MenuItemId, Order, OrderLine, Text, TicketLine};
use proto::comanda::messages::v1::ValidateOrderDetails;
use proto::comanda::order::v1 as order;
use proto::comanda::restaurant::v1 as contract;
use proto::time::Instant;
use proto::{Amount, RestaurantId, Violation};

/// Reads an order that is to be judged.
pub(crate) fn order(command: &ValidateOrderDetails) -> Result<Order, Violation> {
    let lines = command.lines.iter().enumerate().map(|(number, line)| order_line(&format!("lines[{number}]"), line));
    let create_time = Instant::parse("create_time", command.create_time.as_ref())?;
    let address = command.delivery_address.as_ref();
    Ok(Order {
        restaurant_id: RestaurantId::parse("restaurant_id", &command.restaurant_id).ok(),
        lines: lines.collect::<Result<Vec<OrderLine>, Violation>>()?,
        total: Amount::parse("order_total", command.order_total.as_ref())?,
        menu_version: command.menu_version,
        postal_code: address.map(|address| address.postal_code.clone()).unwrap_or_default(),
        create_time: create_time.ok_or_else(|| Violation::required("create_time"))?,
    })
}

fn order_line(field: &str, line: &order::OrderLine) -> Result<OrderLine, Violation> {
    let unit_price = Amount::parse(&format!("{field}.unit_price"), line.unit_price.as_ref())?;
    Ok(OrderLine { menu_item_id: line.menu_item_id.clone(), unit_price })
}

/// Reads what is to be cooked.
pub(crate) fn ticket_lines(lines: &[contract::TicketLine]) -> Result<Vec<TicketLine>, Violation> {
    lines.iter().enumerate().map(|(number, line)| ticket_line(&format!("lines[{number}]"), line)).collect()
}

fn ticket_line(field: &str, line: &contract::TicketLine) -> Result<TicketLine, Violation> {
    let quantity = (1..=999).contains(&line.quantity).then_some(line.quantity);
    Ok(TicketLine {
        menu_item_id: MenuItemId::parse(&format!("{field}.menu_item_id"), &line.menu_item_id)?,
        name: Text::parse(&format!("{field}.name"), &line.name)?,
        quantity: quantity.ok_or_else(|| Violation::new(format!("{field}.quantity"), "must be 1 to 999"))?,
    })
}
