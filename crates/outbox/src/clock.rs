//! Statements that read the clock of the database, so that no two machines need to agree.

/// A statement of two parts with the database's time between them, in microseconds since 1970.
macro_rules! clocked {
    ($before:literal, $after:literal) => {
        store::Statement::new(concat!($before, "CAST(unixepoch('subsec') * 1000000 AS INTEGER)", $after))
            .on_postgres(concat!($before, "outbox_now_us()", $after))
    };
}
pub(crate) use clocked;
