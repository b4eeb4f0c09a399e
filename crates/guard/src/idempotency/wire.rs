//! Records as they are written down for other gateways.

use super::record::{Answer, Record, State};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// A record. Fields can be added; numbers are never used for something else.
#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(bytes = "vec", tag = "1")]
    fingerprint: Vec<u8>,
    #[prost(uint64, optional, tag = "2")]
    running_until_ms: Option<u64>,
    #[prost(message, optional, tag = "3")]
    answer: Option<WireAnswer>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireAnswer {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<WireHeader>,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
    #[prost(bool, tag = "3")]
    has_trailers: bool,
    #[prost(message, repeated, tag = "4")]
    trailers: Vec<WireHeader>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireHeader {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl Record {
    /// Writes it down.
    pub(crate) fn encode(&self) -> Bytes {
        let fingerprint = self.fingerprint.to_vec();
        let wire = match &self.state {
            State::Running { until_ms } => Wire { fingerprint, running_until_ms: Some(*until_ms), answer: None },
            State::NotKept => Wire { fingerprint, running_until_ms: None, answer: None },
            State::Done(answer) => {
                let answer = WireAnswer {
                    headers: to_wire(&answer.headers),
                    data: answer.data.clone(),
                    has_trailers: answer.trailers.is_some(),
                    trailers: answer.trailers.as_ref().map(to_wire).unwrap_or_default(),
                };
                Wire { fingerprint, running_until_ms: None, answer: Some(answer) }
            }
        };
        prost::Message::encode_to_vec(&wire).into()
    }

    /// Reads what was written down; `None`: it is something else.
    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let wire: Wire = prost::Message::decode(bytes).ok()?;
        let state = match (wire.running_until_ms, wire.answer) {
            (Some(until_ms), _) => State::Running { until_ms },
            (None, Some(answer)) => {
                let trailers = answer.has_trailers.then(|| from_wire(answer.trailers));
                let (headers, trailers) = (from_wire(answer.headers)?, trailers.map_or(Some(None), |it| it.map(Some))?);
                State::Done(Box::new(Answer { headers, data: answer.data, trailers }))
            }
            (None, None) => State::NotKept,
        };
        Some(Record { fingerprint: wire.fingerprint.try_into().ok()?, state })
    }
}

fn to_wire(headers: &HeaderMap) -> Vec<WireHeader> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| WireHeader {
        name: name.to_string(),
        value: value.as_bytes().to_vec(),
    };
    headers.iter().map(header).collect()
}

fn from_wire(headers: Vec<WireHeader>) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for WireHeader { name, value } in headers {
        map.append(HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&value).ok()?);
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(pairs: &[(String, Vec<u8>)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                HeaderName::try_from(format!("x-{name}")).unwrap(),
                HeaderValue::from_bytes(value).unwrap_or_else(|_| HeaderValue::from_static("")),
            );
        }
        map
    }

    fn pairs() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        prop::collection::vec(("[a-z]{1,5}", prop::collection::vec(any::<u8>(), 0..10)), 0..5)
    }

    proptest! {
        #[test]
        fn what_is_written_down_is_read_back(
            fingerprint in any::<[u8; 32]>(), headers in pairs(), trailers in prop::option::of(pairs()),
            data in prop::collection::vec(any::<u8>(), 0..50), until_ms in prop::option::of(any::<u64>()),
        ) {
            let trailers = trailers.as_deref().map(map);
            let answer = Answer { headers: map(&headers), data: data.into(), trailers };
            let state = until_ms.map_or(State::Done(Box::new(answer)), |until_ms| State::Running { until_ms });
            let record = Record { fingerprint, state };

            prop_assert_eq!(Record::decode(record.encode()), Some(record));
        }

        #[test]
        fn any_bytes_are_a_record_or_none(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _some_or_none = Record::decode(bytes.into()).is_some();
        }
    }

    #[test]
    fn a_record_without_an_answer_is_read_back() {
        let record = Record { fingerprint: [7; 32], state: State::NotKept };

        assert_eq!(Record::decode(record.encode()), Some(record));
    }
}
