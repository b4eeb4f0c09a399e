//! The bytes that PostgreSQL sends, as the manual describes them.

use super::*;

const TABLE: u32 = 16_400;
const ALL: [&str; 11] = [
    "slot",
    "xid",
    "position",
    "message_id",
    "effect_id",
    "channel",
    "key",
    "kind",
    "causation_id",
    "created_us",
    "payload",
];

fn relation(id: u32, columns: &[&str]) -> Vec<u8> {
    let mut bytes = vec![b'R'];
    bytes.extend(id.to_be_bytes());
    bytes.extend(b"public\0outbox\0d");
    bytes.extend(u16::try_from(columns.len()).unwrap().to_be_bytes());
    for name in columns {
        bytes.push(0);
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(20_u32.to_be_bytes());
        bytes.extend((-1_i32).to_be_bytes());
    }
    bytes
}

fn insert(id: u32, values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = vec![b'I'];
    bytes.extend(id.to_be_bytes());
    bytes.push(b'N');
    bytes.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            None => bytes.push(b'n'),
            Some(value) => {
                bytes.push(b'b');
                bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                bytes.extend(*value);
            }
        }
    }
    bytes
}

fn columns() -> Vec<&'static str> {
    ALL.into_iter().chain(["traceparent"]).collect()
}

/// A row with these columns at the end: no causation, created at 7, this payload and trace.
fn values<'a>(id: &'a [u8], payload: &'a [u8], trace: Option<&'a [u8]>) -> Vec<Option<&'a [u8]>> {
    let (slot, xid): (&[u8], &[u8]) = (&[0, 1], &[0, 0, 0, 1, 0, 0, 0, 2]);
    let (position, created_us): (&[u8], &[u8]) = (&[0, 0, 0, 0, 0, 0, 0, 9], &[0, 0, 0, 0, 0, 0, 0, 7]);
    let texts: [&[u8]; 4] = ["ORDER:1".as_bytes(), b"commands", "naïve".as_bytes(), b"T"];
    let mut values = vec![Some(slot), Some(xid), Some(position), Some(id)];
    values.extend(texts.map(Some));
    values.extend([None, Some(created_us), Some(payload), trace]);
    values
}

fn decoder() -> Decoder {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&relation(TABLE, &columns())), Ok(Change::Nothing));
    decoder
}

fn check(bytes: &[u8], expected: &Malformed) {
    assert_eq!(decoder().decode(bytes).as_ref(), Err(expected));
}

#[test]
fn a_row_is_read_by_the_names_of_its_columns() {
    let id = MessageId::generate();

    let change = decoder().decode(&insert(TABLE, &values(&id.to_bytes(), &[0, 255, 10], Some(b"00-trace"))));

    let message = Message {
        id,
        effect_id: "ORDER:1".to_owned(),
        channel: "commands".to_owned(),
        key: "naïve".to_owned(),
        kind: "T".to_owned(),
        causation_id: None,
        traceparent: Some("00-trace".to_owned()),
        created_us: 7,
        payload: vec![0, 255, 10],
    };
    let row = Row { transaction: (1 << 32) + 2, position: 9, message };
    assert_eq!(change, Ok(Change::Row(Box::new(row))));
}

#[test]
fn what_is_neither_a_table_nor_a_row_is_passed_over() {
    for kind in [b'Y', b'O', b'U', b'D', b'T'] {
        assert_eq!(decoder().decode(&[kind, 1, 2, 3]), Ok(Change::Nothing));
    }
}

#[test]
fn a_row_of_a_table_that_was_not_described_is_refused() {
    check(&insert(TABLE + 1, &[]), &Malformed::Undescribed);
    assert_eq!(Decoder::default().decode(&insert(TABLE, &[])), Err(Malformed::Undescribed));
}

#[test]
fn a_row_is_read_as_the_table_that_it_names() {
    let mut decoder = decoder();
    let mut of_another = columns();
    of_another.reverse();
    decoder.decode(&relation(TABLE + 1, &of_another)).unwrap();

    let Ok(Change::Row(row)) = decoder.decode(&insert(TABLE, &values(&[0; 16], b"p", None))) else { panic!("no row") };

    assert_eq!(row.position, 9);
}

#[test]
fn a_table_without_a_column_is_refused() {
    check(&relation(TABLE, &ALL), &Malformed::NoColumn("traceparent"));
}

#[test]
fn a_table_that_changed_is_described_anew() {
    let mut decoder = decoder();
    let mut moved = columns();
    moved.rotate_left(1);
    decoder.decode(&relation(TABLE, &moved)).unwrap();
    let id = MessageId::generate().to_bytes();
    let mut row = values(&id, b"p", None);
    row.rotate_left(1);

    let Ok(Change::Row(row)) = decoder.decode(&insert(TABLE, &row)) else { panic!("no row") };

    assert_eq!((row.position, row.message.payload.as_slice()), (9, b"p".as_slice()));
}

#[test]
fn a_value_of_another_kind_is_named() {
    check(&insert(TABLE, &values(b"short", b"", None)), &Malformed::Column("message_id"));
    check(&insert(TABLE, &values(&[0; 16], b"", Some(&[0xff]))), &Malformed::NotText);
    let id = [0; 16];
    let mut row = values(&id, b"", None);
    row[2] = None;
    check(&insert(TABLE, &row), &Malformed::Column("position"));
}

#[test]
fn every_message_that_is_cut_short_is_refused() {
    let row = insert(TABLE, &values(&[0; 16], b"payload", Some(b"trace")));
    for end in 0..row.len() {
        assert_eq!(decoder().decode(&row[..end]), Err(Malformed::Truncated), "after {end} bytes");
    }
    let table = relation(TABLE, &columns());
    for end in 0..table.len() {
        assert_eq!(Decoder::default().decode(&table[..end]), Err(Malformed::Truncated), "after {end} bytes");
    }
}
