//! The messages of the plugin pgoutput, as far as a publication of inserts needs them: from bytes to values, and nothing else.
//!
//! "Logical Replication Message Formats" in the PostgreSQL manual, protocol version 1, with values in binary form. The beginning and the
//! end of a transaction are told by the client that reads the line.

use crate::rows::COLUMNS;
use messaging::{Message, MessageId};
use std::collections::HashMap;

/// Why bytes could not be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a message of the log ends in the middle")]
    Truncated,
    #[error("a text in the log is not UTF-8")]
    NotText,
    #[error("a row came before its table was described")]
    Undescribed,
    #[error("the table in the log has no column {0}")]
    NoColumn(&'static str),
    #[error("column {0} in the log is not as it is expected")]
    Column(&'static str),
}

/// A message of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A row.
    Row(Box<Row>),
    /// Nothing that is to be published: the description of a table, or what other publications are about.
    Nothing,
}

/// A row of the outbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The id of the transaction that wrote it.
    pub(super) transaction: u64,
    pub(super) position: i64,
    pub(super) message: Message,
}

/// Understands a stream of messages; remembers how tables are described. The server describes the root and the table that a row went to,
/// and then names the root.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    tables: HashMap<u32, Table>,
}

/// Where the columns are.
#[derive(Debug)]
struct Table {
    transaction: usize,
    position: usize,
    message: [usize; COLUMNS.len()],
}

impl Decoder {
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Result<Change, Malformed> {
        let mut bytes = Bytes(bytes);
        match bytes.u8()? {
            b'R' => {
                self.tables.insert(bytes.u32()?, Table::read(&mut bytes)?);
                Ok(Change::Nothing)
            }
            b'I' => {
                let table = self.tables.get(&bytes.u32()?).ok_or(Malformed::Undescribed)?;
                Ok(Change::Row(Box::new(table.row(&mut bytes)?)))
            }
            // Types and origins; updates, deletes and truncations are not published.
            _ => Ok(Change::Nothing),
        }
    }
}

impl Table {
    fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let _schema = bytes.text_to_zero()?;
        let _name = bytes.text_to_zero()?;
        let _identity = bytes.u8()?;
        let count = bytes.u16()?;
        let mut names = Vec::with_capacity(count.into());
        for _ in 0..count {
            let _flags = bytes.u8()?;
            names.push(bytes.text_to_zero()?);
            let _type = bytes.u32()?;
            let _modifier = bytes.u32()?;
        }
        let place = |name: &'static str| names.iter().position(|it| *it == name).ok_or(Malformed::NoColumn(name));
        let mut message = [0; COLUMNS.len()];
        for (index, name) in message.iter_mut().zip(COLUMNS) {
            *index = place(name)?;
        }
        Ok(Table { transaction: place("xid")?, position: place("position")?, message })
    }

    fn row(&self, bytes: &mut Bytes<'_>) -> Result<Row, Malformed> {
        if bytes.u8()? != b'N' {
            return Err(Malformed::Truncated);
        }
        let count = bytes.u16()?;
        let mut values = Vec::with_capacity(count.into());
        for _ in 0..count {
            values.push(match bytes.u8()? {
                b'n' => None,
                b'b' => {
                    let length = bytes.u32()?;
                    Some(bytes.take(length.try_into().map_err(|_| Malformed::Truncated)?)?)
                }
                _ => return Err(Malformed::Column("value")),
            });
        }
        let values = Values(values);
        let [id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload] = self.message;
        Ok(Row {
            transaction: values.number("xid", self.transaction)?.cast_unsigned(),
            position: values.number("position", self.position)?,
            message: Message {
                id: MessageId::from_slice(values.bytes("message_id", id)?).ok_or(Malformed::Column("message_id"))?,
                effect_id: values.text("effect_id", effect_id)?,
                channel: values.text("channel", channel)?,
                key: values.text("key", key)?,
                kind: values.text("kind", kind)?,
                causation_id: values.get(causation_id).and_then(MessageId::from_slice),
                traceparent: values.get(traceparent).map(text).transpose()?,
                created_us: values.number("created_us", created_us)?,
                payload: values.bytes("payload", payload)?.to_vec(),
            },
        })
    }
}

/// The values of a row; `None` is NULL.
struct Values<'a>(Vec<Option<&'a [u8]>>);

impl<'a> Values<'a> {
    fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.0.get(index).copied().flatten()
    }

    fn bytes(&self, name: &'static str, index: usize) -> Result<&'a [u8], Malformed> {
        self.get(index).ok_or(Malformed::Column(name))
    }

    fn text(&self, name: &'static str, index: usize) -> Result<String, Malformed> {
        text(self.bytes(name, index)?)
    }

    /// A BIGINT, or an id of a transaction, which is as long.
    fn number(&self, name: &'static str, index: usize) -> Result<i64, Malformed> {
        let bytes = self.bytes(name, index)?.try_into().map_err(|_| Malformed::Column(name))?;
        Ok(i64::from_be_bytes(bytes))
    }
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::NotText)
}

/// Bytes that are still to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Truncated)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn text_to_zero(&mut self) -> Result<&'a str, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed::Truncated)?;
        let taken = self.take(end)?;
        self.u8()?;
        std::str::from_utf8(taken).map_err(|_| Malformed::NotText)
    }
}

#[cfg(test)]
mod tests;
