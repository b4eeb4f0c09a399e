//! Cuts what a client streams into JSON documents: lines, documents one after another, or the elements of one array.
//!
//! It finds only where each document ends; whether it is valid is seen when it is read.

use bytes::{Bytes, BytesMut};

/// What cannot be cut, or must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Text that is no document, or is between two of them.
    Malformed(&'static str),
    /// A document with more than the bytes that are allowed.
    TooLarge,
}

/// Whether the documents are elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    /// Nothing came yet.
    Unknown,
    No,
    /// Its next element may come, or its end.
    Begun,
    /// An element must come.
    AfterComma,
    /// A comma or the end must come.
    AfterElement,
    Ended,
}

/// What was sent and not yet cut.
#[derive(Debug)]
pub(crate) struct Splitter {
    buffer: BytesMut,
    /// Bytes of the buffer that belong to the document which is coming.
    scanned: usize,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    array: Array,
    bytes_max: usize,
}

impl Splitter {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Splitter {
            buffer: BytesMut::new(),
            scanned: 0,
            depth: 0,
            is_in_string: false,
            is_escaped: false,
            array: Array::Unknown,
            bytes_max,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole document; `None` when more must come.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.scanned == 0 && !self.begin()? {
            return Ok(None);
        }
        while self.scanned < self.buffer.len() {
            let byte = self.buffer[self.scanned];
            if self.is_in_string {
                self.scanned += 1;
                self.text(byte);
            } else if self.depth == 0 && matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n') {
                // The end of a number or a word.
                return Ok(Some(self.cut()));
            } else {
                self.scanned += 1;
                self.structure(byte);
            }
            if self.scanned > self.bytes_max {
                return Err(Problem::TooLarge);
            }
            let is_closed = self.depth == 0 && !self.is_in_string && matches!(byte, b'}' | b']' | b'"');
            if is_closed {
                return Ok(Some(self.cut()));
            }
        }
        Ok(None)
    }

    /// The last document, if it needed no end of its own.
    pub(crate) fn end(&mut self) -> Result<Option<Bytes>, Problem> {
        match (self.scanned, self.array) {
            (0, Array::Unknown | Array::No | Array::Ended) => Ok(None),
            (0, Array::Begun | Array::AfterComma | Array::AfterElement) => {
                Err(Problem::Malformed("ends within its array"))
            }
            (_, Array::No) if self.depth == 0 && !self.is_in_string => Ok(Some(self.cut())),
            _ => Err(Problem::Malformed("ends within a message")),
        }
    }

    /// Skips to the first byte of a document; whether there is one.
    fn begin(&mut self) -> Result<bool, Problem> {
        loop {
            let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let rest = self.buffer.split_off(blank);
            self.buffer = rest;
            let Some(first) = self.buffer.first() else { return Ok(false) };
            self.array = match (self.array, first) {
                (Array::Unknown, b'[') => Array::Begun,
                (Array::Unknown | Array::No, _) => {
                    self.array = Array::No;
                    return Ok(true);
                }
                (Array::Begun | Array::AfterElement, b']') => Array::Ended,
                (Array::AfterElement, b',') => Array::AfterComma,
                (Array::Begun | Array::AfterComma, b',' | b']') => {
                    return Err(Problem::Malformed("lacks an element of its array"));
                }
                (Array::Begun | Array::AfterComma, _) => return Ok(true),
                (Array::AfterElement, _) => return Err(Problem::Malformed("lacks a comma in its array")),
                (Array::Ended, _) => return Err(Problem::Malformed("has more after its array")),
            };
            let rest = self.buffer.split_off(1);
            self.buffer = rest;
        }
    }

    fn text(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.is_in_string = false,
            _ => {}
        }
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    fn cut(&mut self) -> Bytes {
        if self.array != Array::No {
            self.array = Array::AfterElement;
        }
        // A stray closing bracket is a document of its own, which no reader takes.
        let document = self.buffer.split_to(self.scanned.max(1).min(self.buffer.len()));
        self.scanned = 0;
        document.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, piece: usize) -> Result<Vec<String>, Problem> {
        let mut splitter = Splitter::new(40);
        let mut documents = Vec::new();
        let mut keep = |document: Bytes| documents.push(String::from_utf8(document.to_vec()).unwrap());
        for bytes in text.as_bytes().chunks(piece) {
            splitter.push(bytes);
            while let Some(document) = splitter.next()? {
                keep(document);
            }
        }
        if let Some(document) = splitter.end()? {
            keep(document);
        }
        Ok(documents)
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], Problem>) {
        for piece in [1, 2, 3, 7, 1000] {
            let expected = expected.map(|documents| documents.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
            assert_eq!(split(text, piece), expected, "{text} in pieces of {piece}");
        }
    }

    #[test]
    fn documents_come_as_lines_in_a_row_or_in_an_array() {
        check("", Ok(&[]));
        check(" \n ", Ok(&[]));
        check("{\"a\":1}\n{\"b\":[2,{}]}\n", Ok(&["{\"a\":1}", "{\"b\":[2,{}]}"]));
        check("{}{} \"a b\" 5\n6", Ok(&["{}", "{}", "\"a b\"", "5", "6"]));
        check(" [ {\"a\":[1]} , 2,\"x]\"] ", Ok(&["{\"a\":[1]}", "2", "\"x]\""]));
        check("[]", Ok(&[]));
    }

    #[test]
    fn brackets_in_strings_are_text() {
        check(r#"{"a":"}\"{[\\"}{}"#, Ok(&[r#"{"a":"}\"{[\\"}"#, "{}"]));
    }

    #[test]
    fn what_is_cut_short_or_has_no_end_is_refused() {
        check("{\"a\":", Err(Problem::Malformed("ends within a message")));
        check("[{}", Err(Problem::Malformed("ends within its array")));
        check("[{},", Err(Problem::Malformed("ends within its array")));
        check("[{}{}]", Err(Problem::Malformed("lacks a comma in its array")));
        check("[,{}]", Err(Problem::Malformed("lacks an element of its array")));
        check("[{},]", Err(Problem::Malformed("lacks an element of its array")));
        check("[{}] {}", Err(Problem::Malformed("has more after its array")));
        check(&format!("{{\"a\":\"{}", "x".repeat(50)), Err(Problem::TooLarge));
    }
}
