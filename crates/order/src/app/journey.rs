//! Tells what happened to an order and what it waits for, from this service's data alone, so that it works in an outage.

use super::Orders;
use crate::Error;
use crate::domain::Order;
use crate::messages::Command;
use crate::store::{self as rows, Step};
use proto::OrderId;
use proto::time::Instant;
use store::{Row, Statement};

/// An order's past, and what stands between it and its end.
#[derive(Debug, Clone)]
pub(crate) struct Journey {
    pub(crate) order: Order,
    pub(crate) steps: Vec<Step>,
    pub(crate) awaited: Vec<Awaited>,
}

/// A reply that is still to come.
#[derive(Debug, Clone)]
pub(crate) struct Awaited {
    pub(crate) command: Command,
    pub(crate) since: Instant,
    pub(crate) attempts: i32,
    pub(crate) next_attempt: Instant,
    pub(crate) is_published: bool,
}

impl Orders {
    pub(crate) async fn journey(&self, order_id: OrderId) -> Result<Journey, Error> {
        let (order, steps) = rows::find_with_history(&self.store, order_id, 0).await?;
        let sql = "SELECT effect_id, since_us, attempt, due_us,
            NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.message_id = obligation.message_id)
            FROM obligation WHERE key = ?1 ORDER BY since_us, effect_id";
        let query = Statement::new(sql).bind(order_id.to_string());
        let found = self.store.query(query).await.map_err(Error::store("load what an order waits for"))?;
        let awaited: Result<Vec<Option<Awaited>>, store::Error> =
            found.into_iter().map(|row| read(row, order_id)).collect();
        let awaited = awaited.map_err(Error::store("read what an order waits for"))?.into_iter().flatten().collect();
        Ok(Journey { order, steps, awaited })
    }
}

fn read(mut row: Row, order_id: OrderId) -> Result<Option<Awaited>, store::Error> {
    let effect_id: String = row.take(0)?;
    let Some(command) = Command::ALL.into_iter().find(|command| command.effect_id(order_id) == effect_id) else {
        return Ok(None);
    };
    Ok(Some(Awaited {
        command,
        since: Instant(row.take(1)?),
        attempts: i32::try_from(row.take::<i64>(2)?).unwrap_or(i32::MAX),
        next_attempt: Instant(row.take(3)?),
        is_published: row.take::<i64>(4)? != 0,
    }))
}
