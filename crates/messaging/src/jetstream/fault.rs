//! Why NATS did not do what it was asked for.

use async_nats::jetstream::Error as ApiError;
use async_nats::jetstream::ErrorCode;

/// What went wrong between this program and NATS.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("NATS is not connected{}", because(.0))]
    Away(Option<String>),
    #[error("the connection to NATS broke{}", because(.0))]
    Broken(Option<String>),
    #[error("NATS forbids it: {0}")]
    Forbidden(String),
    #[error("NATS did not answer within {0} ms")]
    TimedOut(u128),
    #[error("no server with JetStream takes messages for {0}")]
    NobodyThere(String),
    #[error("JetStream refused: {0}")]
    Refused(ApiError),
    #[error("the answer of NATS makes no sense: {0}")]
    Answer(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("{what} exists with other settings: {difference}")]
    Differs { what: String, difference: String },
    #[error(
        "the message has {bytes} bytes, and NATS takes {bytes_max} together with its headers (its setting max_payload)"
    )]
    TooLarge { bytes: usize, bytes_max: usize },
}

fn because(complaint: &Option<String>) -> String {
    complaint.as_ref().map(|it| format!(": {it}")).unwrap_or_default()
}

impl Fault {
    /// Whether the same request may succeed later, unchanged.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Fault::Unsupported(_) | Fault::Differs { .. } | Fault::TooLarge { .. } => false,
            // What only a person changes, and then in this program: the request itself is wrong.
            Fault::Refused(error) => !matches!(
                error.error_code(),
                ErrorCode::STREAM_INVALID_CONFIG
                    | ErrorCode::STREAM_SUBJECT_OVERLAP
                    | ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED
                    | ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
                    | ErrorCode::REQUIRED_API_LEVEL
            ),
            Fault::Away(_)
            | Fault::Broken(_)
            | Fault::Forbidden(_)
            | Fault::TimedOut(_)
            | Fault::NobodyThere(_)
            | Fault::Answer(_) => true,
        }
    }

    /// Whether the stream is not there.
    pub(super) fn is_stream_missing(&self) -> bool {
        match self {
            Fault::NobodyThere(_) => true,
            Fault::Refused(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
            Fault::Away(_)
            | Fault::Broken(_)
            | Fault::Forbidden(_)
            | Fault::TimedOut(_)
            | Fault::Answer(_)
            | Fault::Unsupported(_)
            | Fault::Differs { .. }
            | Fault::TooLarge { .. } => false,
        }
    }
}

/// An error with all its reasons.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
