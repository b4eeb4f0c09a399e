//! Values that go into statements and come out of rows.

use crate::{Error, postgres};

/// One parameter or column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Integer(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Integer(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Bytes(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// What it is called in a complaint.
    const EXPECTED: &'static str;

    /// Takes the value, if it is of this kind.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty, $variant:ident, $expected:literal);+ $(;)?) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    )+};
}

from_value! {
    i64, Integer, "a whole number";
    String, Text, "text";
    Vec<u8>, Bytes, "bytes";
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// One row of a result.
#[derive(Debug)]
pub struct Row(pub(crate) Columns);

/// What a row consists of.
#[derive(Debug)]
pub(crate) enum Columns {
    Values(Vec<Value>),
    /// As it came from the server: who takes a column reads it then, and nobody copies what is not taken.
    Postgres(tokio_postgres::Row),
}

impl Row {
    /// Takes one column, from 0; a column can be taken once.
    ///
    /// # Errors
    /// When there is no such column, or it is of another kind.
    pub fn take<T: FromValue>(&mut self, column: usize) -> Result<T, Error> {
        let value = match &mut self.0 {
            Columns::Values(values) => values.get_mut(column).map(|value| std::mem::replace(value, Value::Null)),
            Columns::Postgres(row) => postgres::column(row, column)?,
        };
        value.and_then(T::from_value).ok_or(Error::Column { column, expected: T::EXPECTED })
    }
}
