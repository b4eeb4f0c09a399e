//! Values as PostgreSQL sends and takes them.

use crate::{Error, FromValue, Row, Value};
use bytes::BytesMut;
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

/// Reads a row.
pub(super) fn read(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let mut values = Vec::with_capacity(row.len());
    for (column, of) in row.columns().iter().enumerate() {
        values.push(value(row, column, of.type_())?);
    }
    Ok(Row(values))
}

fn value(row: &tokio_postgres::Row, column: usize, ty: &Type) -> Result<Value, Error> {
    match *ty {
        Type::INT8 => get(row, column, Value::Integer),
        Type::INT4 => get(row, column, |value: i32| value.into()),
        Type::INT2 => get(row, column, |value: i16| i32::from(value).into()),
        Type::BOOL => get(row, column, |value: bool| i32::from(value).into()),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => get(row, column, Value::Text),
        Type::BYTEA => get(row, column, Value::Bytes),
        Type::VOID => Ok(Value::Null),
        _ => Err(Error::Column { column, expected: "a whole number, text or bytes" }),
    }
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
