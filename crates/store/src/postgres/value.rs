//! Values as PostgreSQL sends and takes them.

use crate::{Error, FromValue, Value};
use bytes::BytesMut;
use tokio_postgres::Column;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, WrongType, to_sql_checked};

type Fault = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Value::Integer(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Value::Integer(value) if *ty == Type::INT2 => i16::try_from(*value)?.to_sql(ty, out),
            Value::Text(value) if <&str as ToSql>::accepts(ty) => value.to_sql(ty, out),
            Value::Bytes(value) if *ty == Type::BYTEA => value.to_sql(ty, out),
            Value::Integer(_) => Err(Box::new(WrongType::new::<i64>(ty.clone()))),
            Value::Text(_) => Err(Box::new(WrongType::new::<String>(ty.clone()))),
            Value::Bytes(_) => Err(Box::new(WrongType::new::<Vec<u8>>(ty.clone()))),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// How a column is read.
type Reader = fn(&tokio_postgres::Row, usize) -> Result<Value, Error>;

/// Refuses a result with a column that is of no kind of [`Value`].
pub(super) fn check(columns: &[Column]) -> Result<(), Error> {
    match columns.iter().position(|of| reader(of.type_()).is_none()) {
        None => Ok(()),
        Some(column) => Err(unreadable(column)),
    }
}

/// Reads a column; `None` when there is none.
pub(crate) fn column(row: &tokio_postgres::Row, column: usize) -> Result<Option<Value>, Error> {
    let Some(of) = row.columns().get(column) else { return Ok(None) };
    let read = reader(of.type_()).ok_or_else(|| unreadable(column))?;
    read(row, column).map(Some)
}

fn reader(of: &Type) -> Option<Reader> {
    let reader: Reader = match *of {
        Type::INT8 => |row, column| get(row, column, Value::Integer),
        Type::INT4 => |row, column| get(row, column, |value: i32| value.into()),
        Type::INT2 => |row, column| get(row, column, |value: i16| i32::from(value).into()),
        Type::BOOL => |row, column| get(row, column, |value: bool| i32::from(value).into()),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            |row, column| get(row, column, Value::Text)
        }
        Type::BYTEA => |row, column| get(row, column, Value::Bytes),
        Type::VOID => |_, _| Ok(Value::Null),
        _ => return None,
    };
    Some(reader)
}

fn unreadable(column: usize) -> Error {
    Error::Column { column, expected: "a whole number, text or bytes" }
}

fn get<'a, T: FromSql<'a>>(
    row: &'a tokio_postgres::Row,
    column: usize,
    into: impl FnOnce(T) -> Value,
) -> Result<Value, Error> {
    let value: Option<T> =
        row.try_get(column).map_err(|_unreadable| Error::Column { column, expected: i64::EXPECTED })?;
    Ok(value.map_or(Value::Null, into))
}
