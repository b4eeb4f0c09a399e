//! Tickets as rows.

use super::{before, not};
use crate::audit::{Audit, AuditedTicket, Duplicate};
use crate::domain::{Ticket, TicketState};
use crate::{Error, wire};
use prost::Message;
use proto::comanda::restaurant::v1 as contract;
use proto::page::Page;
use proto::time::Instant;
use proto::{OrderId, RestaurantId, TicketId};
use store::{Change, Row, Statement, Store};

/// Reads one ticket of a restaurant.
pub(crate) async fn load_ticket(
    store: &Store,
    restaurant_id: RestaurantId,
    ticket_id: TicketId,
) -> Result<Option<Ticket>, Error> {
    let query = Statement::new(
        "SELECT ticket_id, order_id, restaurant_id, state, document, create_us, update_us
         FROM ticket WHERE ticket_id = ?1 AND restaurant_id = ?2",
    );
    let rows = store.query(query.bind(ticket_id.to_bytes()).bind(restaurant_id.to_bytes())).await;
    rows.and_then(|mut rows| rows.pop().map(read).transpose()).map_err(|source| Error::LoadTicket { ticket_id, source })
}

/// Reads the ticket of an order.
pub(crate) async fn ticket_of_order(store: &Store, order_id: OrderId) -> Result<Option<Ticket>, Error> {
    let query = Statement::new(
        "SELECT ticket_id, order_id, restaurant_id, state, document, create_us, update_us
         FROM ticket WHERE order_id = ?1",
    );
    let rows = store.query(query.bind(order_id.to_bytes())).await;
    rows.and_then(|mut rows| rows.pop().map(read).transpose())
        .map_err(|source| Error::LoadTicketOfOrder { order_id, source })
}

/// Reads the tickets of a page of a restaurant, newest first, and one more when there are more.
pub(crate) async fn list_tickets(
    store: &Store,
    restaurant_id: RestaurantId,
    page: &Page,
) -> Result<Vec<Ticket>, Error> {
    let query = Statement::new(
        "SELECT ticket_id, order_id, restaurant_id, state, document, create_us, update_us FROM ticket
         WHERE restaurant_id = ?1 AND ticket_id < ?2 ORDER BY ticket_id DESC LIMIT ?3",
    );
    let query = query.bind(restaurant_id.to_bytes()).bind(before(page.after)).bind(page.size.saturating_add(1));
    let rows = store.query(query).await.and_then(|rows| rows.into_iter().map(read).collect());
    rows.map_err(|source| Error::ListTickets { restaurant_id, source })
}

/// Adds to a change that an order has this ticket, provided that it had none.
pub(crate) fn insert_ticket(change: &mut Change, ticket: &Ticket) {
    let lines = wire::ticket(ticket).lines;
    let sql = "INSERT INTO ticket (ticket_id, order_id, restaurant_id, state, document, create_us, update_us)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (order_id) DO NOTHING";
    change.push(
        Statement::new(sql)
            .bind(ticket.id.to_bytes())
            .bind(ticket.order_id.to_bytes())
            .bind(ticket.restaurant_id.to_bytes())
            .bind(text(ticket.state))
            .bind(contract::Ticket { lines, ..contract::Ticket::default() }.encode_to_vec())
            .bind(ticket.create_time.0)
            .bind(ticket.update_time.0)
            .expecting(1, "the order has no ticket"),
    );
}

/// Adds to a change that a ticket was called off, provided that it was not.
pub(crate) fn call_off(change: &mut Change, ticket: &Ticket) {
    let sql = "UPDATE ticket SET state = ?2, update_us = ?3 WHERE ticket_id = ?1 AND state = 'CREATED'";
    change.push(
        Statement::new(sql)
            .bind(ticket.id.to_bytes())
            .bind(text(ticket.state))
            .bind(ticket.update_time.0)
            .expecting(1, "the ticket is to be cooked"),
    );
}

/// Reads every ticket, and which orders have several.
pub(crate) async fn audit(store: &Store) -> Result<Audit, Error> {
    let tickets = Statement::new("SELECT order_id, ticket_id, state FROM ticket ORDER BY ticket_id");
    let duplicates = Statement::new("SELECT order_id, count(*) FROM ticket GROUP BY order_id HAVING count(*) > 1");
    let mut results = store.snapshot(vec![tickets, duplicates]).await.map_err(Error::Audit)?;
    let duplicates = results.pop().unwrap_or_default().into_iter().map(read_duplicate);
    let tickets = results.pop().unwrap_or_default().into_iter().map(read_audited);
    Ok(Audit {
        tickets: tickets.collect::<Result<_, _>>().map_err(Error::Audit)?,
        duplicates: duplicates.collect::<Result<_, _>>().map_err(Error::Audit)?,
    })
}

fn read(mut row: Row) -> Result<Ticket, store::Error> {
    let restaurant_id: Vec<u8> = row.take(2)?;
    let document: Vec<u8> = row.take(4)?;
    let document = contract::Ticket::decode(document.as_slice()).map_err(|_| not(4, "a Ticket"))?;
    Ok(Ticket {
        id: ticket_id(&mut row, 0)?,
        order_id: order_id(&mut row, 1)?,
        restaurant_id: RestaurantId::from_slice(&restaurant_id).ok_or(not(2, "16 bytes"))?,
        state: state(&mut row, 3)?,
        lines: wire::ticket_lines(&document.lines).map_err(|_| not(4, "a valid Ticket"))?,
        create_time: Instant(row.take(5)?),
        update_time: Instant(row.take(6)?),
    })
}

fn read_audited(mut row: Row) -> Result<AuditedTicket, store::Error> {
    let state = wire::ticket_state(state(&mut row, 2)?);
    Ok(AuditedTicket { order_id: order_id(&mut row, 0)?, ticket_id: ticket_id(&mut row, 1)?, state })
}

fn read_duplicate(mut row: Row) -> Result<Duplicate, store::Error> {
    Ok(Duplicate { order_id: order_id(&mut row, 0)?, tickets: row.take(1)? })
}

fn order_id(row: &mut Row, column: usize) -> Result<OrderId, store::Error> {
    OrderId::from_slice(&row.take::<Vec<u8>>(column)?).ok_or(not(column, "16 bytes"))
}

fn ticket_id(row: &mut Row, column: usize) -> Result<TicketId, store::Error> {
    TicketId::from_slice(&row.take::<Vec<u8>>(column)?).ok_or(not(column, "16 bytes"))
}

fn text(state: TicketState) -> &'static str {
    match state {
        TicketState::Created => "CREATED",
        TicketState::Cancelled => "CANCELLED",
    }
}

fn state(row: &mut Row, column: usize) -> Result<TicketState, store::Error> {
    let found: String = row.take(column)?;
    let state = [TicketState::Created, TicketState::Cancelled].into_iter().find(|state| text(*state) == found);
    state.ok_or(not(column, "a state"))
}
