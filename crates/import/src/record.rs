//! Reads the records of a CSV file (RFC 4180) by the names of their columns, and knows on which line of the file each begins.
//!
//! The `csv` crate counts records well, but its line numbers drift after blank lines and `\r\n`; so lines are counted here, from the
//! byte at which a record begins.

use csv::{ByteRecord, Reader, ReaderBuilder};
use std::fmt;

/// A line that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the file, from 1; of the first line, when a quoted field spans several.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadLine {
    /// As in `line 12: price "free" is no plain number`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// One record: the fields of the columns that were asked for, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<const N: usize> {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its fields, in the order in which the columns were asked for.
    pub fields: [String; N],
}

/// The names of a file's columns, in small letters; a byte-order mark is skipped.
#[must_use]
pub fn header(bytes: &[u8]) -> Vec<String> {
    read_header(&mut reader(bytes))
}

/// The records of a file, if its header has exactly these columns, in any order; names are in small letters.
#[must_use]
pub fn rows<'a, const N: usize>(bytes: &'a [u8], columns: [&'static str; N]) -> Option<Rows<'a, N>> {
    let mut reader = reader(bytes);
    let header = read_header(&mut reader);
    let places = columns.map(|column| header.iter().position(|name| name == column));
    if header.len() != N || places.contains(&None) {
        return None;
    }
    Some(Rows { bytes, reader, columns, places: places.map(Option::unwrap_or_default), counted: (0, 1) })
}

fn reader(bytes: &[u8]) -> Reader<&[u8]> {
    ReaderBuilder::new().flexible(true).from_reader(bytes)
}

fn read_header(reader: &mut Reader<&[u8]>) -> Vec<String> {
    let names = reader.byte_headers().cloned().unwrap_or_default();
    names.iter().map(|name| String::from_utf8_lossy(name).trim().to_lowercase()).collect()
}

/// The records of a file, good and bad, in its order.
#[derive(Debug)]
pub struct Rows<'a, const N: usize> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
    columns: [&'static str; N],
    places: [usize; N],
    /// How many bytes were looked at, and the line on which they end.
    counted: (usize, u64),
}

impl<const N: usize> Iterator for Rows<'_, N> {
    type Item = Result<Row<N>, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                let begin = record.position().map_or(0, csv::Position::byte);
                let line = self.line_of(usize::try_from(begin).unwrap_or(usize::MAX));
                Some(self.row(&record).map(|fields| Row { line, fields }).map_err(|reason| BadLine { line, reason }))
            }
            // Cannot be: bytes in memory are read without I/O, and records may have any length.
            Err(error) => Some(Err(BadLine { line: self.counted.1, reason: error.to_string() })),
        }
    }
}

impl<const N: usize> Rows<'_, N> {
    fn row(&self, record: &ByteRecord) -> Result<[String; N], String> {
        if record.len() != N {
            return Err(format!("has {} fields, and the header has {N}", record.len()));
        }
        let mut fields = [const { String::new() }; N];
        for (field, (column, place)) in fields.iter_mut().zip(self.columns.iter().zip(self.places)) {
            let bytes = record.get(place).unwrap_or_default();
            let text = str::from_utf8(bytes).map_err(|_| format!("{column} is not valid UTF-8"))?;
            text.trim().clone_into(field);
        }
        Ok(fields)
    }

    /// The line on which the record lies that was read from byte `begin` on; the ends of lines before it belong to none.
    fn line_of(&mut self, begin: usize) -> u64 {
        let (mut at, mut line) = self.counted;
        while let Some(byte) = self.bytes.get(at) {
            if at >= begin && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            let next = self.bytes.get(at + 1);
            if *byte == b'\n' || (*byte == b'\r' && next != Some(&b'\n')) {
                line += 1;
            }
            at += 1;
        }
        self.counted = (at, line);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(text: &str, lines: &[(u64, &str)]) {
        let rows = rows(text.as_bytes(), ["b", "a"]).unwrap();
        let found: Vec<_> = rows.map(|row| row.map(|row| (row.line, row.fields[0].clone())).unwrap()).collect();
        assert_eq!(found.iter().map(|(line, field)| (*line, field.as_str())).collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_record_knows_its_line_after_blank_lines_and_quoted_ones() {
        check_lines("a,b\n1,2\n\n\n3,\"x\ny\"\n5,6", &[(2, "2"), (5, "x\ny"), (7, "6")]);
    }

    #[test]
    fn lines_may_end_as_on_windows() {
        check_lines("\u{feff}a,b\r\n1,2\r\n\r\n3,\"x\r\ny\"\r\n5,6\r\n", &[(2, "2"), (4, "x\r\ny"), (6, "6")]);
    }

    #[test]
    fn lines_may_end_as_on_old_macintoshes() {
        check_lines("a,b\r1,2\r3,4\r", &[(2, "2"), (3, "4")]);
    }

    #[test]
    fn columns_are_found_by_name() {
        check_lines(" B ,\"A\"\nx,y\n", &[(2, "x")]);
    }

    #[test]
    fn a_header_with_other_columns_is_refused() {
        for header in ["", "a", "a,b,c", "a,a", "a,c"] {
            assert!(rows(header.as_bytes(), ["a", "b"]).is_none(), "{header}");
        }
    }

    #[test]
    fn a_bad_record_spoils_no_other() {
        let bytes = b"a,b\n1\n1,2,3\n\xff,2\n1,2\n";

        let rows: Vec<_> = rows(bytes, ["a", "b"]).unwrap().map(|row| row.map(|row| row.line)).collect();

        let bad = |line, reason: &str| Err(BadLine { line, reason: reason.to_owned() });
        assert_eq!(
            rows,
            [
                bad(2, "has 1 fields, and the header has 2"),
                bad(3, "has 3 fields, and the header has 2"),
                bad(4, "a is not valid UTF-8"),
                Ok(5)
            ]
        );
    }
}
