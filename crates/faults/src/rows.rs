//! What stands in the databases afterwards, read past all programs that wrote it.

use proto::comanda::order::v1::order::State;
use store::{PostgresConfig, Row, Statement, Store};
use testkit::Stack;

/// The rows that matter.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Idempotency keys and their orders.
    pub keys: Vec<(String, String)>,
    /// Orders and their states.
    pub orders: Vec<(String, State)>,
    /// Orders that kitchens cook, one for each ticket.
    pub tickets: Vec<String>,
    /// Orders, once for each time that they were decided.
    pub decided: Vec<String>,
}

impl Rows {
    /// Reads them.
    ///
    /// # Errors
    /// When a database cannot be read.
    pub async fn read(stack: &Stack) -> Result<Self, store::Error> {
        let (order, restaurant) = (open(stack, "order").await?, open(stack, "restaurant").await?);
        let keys = order.query(Statement::new("SELECT request_id, order_id FROM idempotency")).await?;
        let orders = order.query(Statement::new("SELECT order_id, state FROM orders")).await?;
        let decided = order.query(Statement::new("SELECT order_id FROM history WHERE state >= 5")).await?;
        let tickets = "SELECT CAST(encode(order_id, 'hex') AS uuid)::text FROM ticket WHERE state = 'CREATED'";
        let tickets = restaurant.query(Statement::new(tickets)).await?;
        let text = |mut row: Row| row.take::<String>(0);
        Ok(Rows {
            keys: keys
                .into_iter()
                .map(|mut row| Ok((row.take(0)?, row.take(1)?)))
                .collect::<Result<_, store::Error>>()?,
            orders: orders.into_iter().map(order_row).collect::<Result<_, _>>()?,
            decided: decided.into_iter().map(text).collect::<Result<_, _>>()?,
            tickets: tickets.into_iter().map(text).collect::<Result<_, _>>()?,
        })
    }
}

/// How many orders are not decided yet.
///
/// # Errors
/// When the database cannot be read.
pub async fn undecided(order: &Store) -> Result<i64, store::Error> {
    let mut rows = order.query(Statement::new("SELECT count(*) FROM orders WHERE state < 5")).await?;
    rows.first_mut().map_or(Ok(0), |row| row.take(0))
}

/// The database of a service, for reading.
///
/// # Errors
/// When it cannot be reached.
pub async fn open(stack: &Stack, service: &str) -> Result<Store, store::Error> {
    let config = PostgresConfig { url: stack.database(service).to_owned(), ..PostgresConfig::default() };
    Store::inspect_postgres(&config).await
}

fn order_row(mut row: Row) -> Result<(String, State), store::Error> {
    let (order_id, number): (String, i64) = (row.take(0)?, row.take(1)?);
    let state = i32::try_from(number).ok().and_then(|number| State::try_from(number).ok());
    Ok((order_id, state.unwrap_or(State::Unspecified)))
}
