//! Asks an endpoint for its descriptors by gRPC server reflection: v1, or v1alpha where that is all it knows.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>. One stream, one question after the other; what comes is bounded
//! in bytes, files and time, since it is somebody else's.

use super::description::Misread;
use super::own_services;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::FileDescriptorProto;
use rpc::client::Visit;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Question;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse as Reply;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

/// The messages of both versions are the same.
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// How endpoints are asked for their descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReflectionConfig {
    /// How long all answers together may take, in milliseconds. 5,000: a hundred times what a busy endpoint takes.
    pub timeout_ms: u64,
    /// Bytes of descriptors at most. 4 MiB: ten times those of the largest public APIs.
    pub bytes_max: usize,
    /// Files at most.
    pub files_max: usize,
    /// How often an endpoint is asked again although nothing has changed, in milliseconds, a tenth more or less. 60,000: some load their
    /// services at run time; a new process is asked at once, since it is on a new connection.
    pub again_ms: u64,
    /// The pause after the first answer that could not be had, in milliseconds; it doubles.
    pub backoff_ms: u64,
    /// The longest such pause. 10,000: a service that learns to reflect is served so much later.
    pub backoff_max_ms: u64,
}

impl Default for ReflectionConfig {
    fn default() -> Self {
        ReflectionConfig {
            timeout_ms: 5_000,
            bytes_max: 4 << 20,
            files_max: 1_000,
            again_ms: 60_000,
            backoff_ms: 100,
            backoff_max_ms: 10_000,
        }
    }
}

impl ReflectionConfig {
    fn too_large(&self) -> ReflectError {
        ReflectError::TooLarge { bytes_max: self.bytes_max, files_max: self.files_max }
    }
}

/// What an endpoint said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reflected {
    /// An encoded `FileDescriptorSet`, with the files in the order of their names.
    pub(crate) set: Vec<u8>,
    /// The services that it lists, without those that every server has.
    pub(crate) services: BTreeSet<String>,
}

/// Why it is not known what an endpoint serves.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReflectError {
    #[error("it has no reflection (grpc.reflection.v1 or v1alpha); enable it there, or name a descriptor file here")]
    NotThere,
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    #[error("its descriptors are larger than {bytes_max} bytes, or more than {files_max} files")]
    TooLarge { bytes_max: usize, files_max: usize },
    #[error("it could not be asked")]
    Failed(#[source] Status),
    #[error("it does not know {asked}, which it refers to: {text}")]
    Missing { asked: String, text: String },
    #[error("it broke off, or answered something else than it was asked")]
    Nonsense,
    #[error("a file of it is no descriptor")]
    Malformed(#[source] prost::DecodeError),
    #[error("its descriptors do not fit together")]
    Misfit(#[source] Misread),
}

/// Asks an endpoint.
pub(crate) async fn ask(visit: Visit, config: &ReflectionConfig) -> Result<Reflected, ReflectError> {
    let within = Duration::from_millis(config.timeout_ms);
    let asked = async {
        for path in PATHS {
            match ask_at(visit.clone(), PathAndQuery::from_static(path), config).await {
                Err(ReflectError::Failed(status)) if status.code() == Code::Unimplemented => {}
                // A message that is larger than all of them may be.
                Err(ReflectError::Failed(status)) if status.code() == Code::OutOfRange => {
                    return Err(config.too_large());
                }
                answered => return answered,
            }
        }
        Err(ReflectError::NotThere)
    };
    tokio::time::timeout(within, asked).await.unwrap_or(Err(ReflectError::Late(within)))
}

async fn ask_at(visit: Visit, path: PathAndQuery, config: &ReflectionConfig) -> Result<Reflected, ReflectError> {
    let mut talk = Talk::begin(visit, path, config).await?;
    let listed = match talk.ask(Question::ListServices(String::new())).await? {
        Reply::ListServicesResponse(listed) => listed.service.into_iter().map(|service| service.name),
        _ => return Err(ReflectError::Nonsense),
    };
    let services: BTreeSet<String> = listed.filter(|name| !own_services::is_own(name)).collect();
    let mut files = Files { config, files: BTreeMap::new(), bytes: 0, wanted: BTreeSet::new() };
    for service in &services {
        files.take(talk.ask(Question::FileContainingSymbol(service.clone())).await?)?;
    }
    while let Some(name) = files.wanted.pop_first() {
        files.take(talk.ask(Question::FileByFilename(name.clone())).await?)?;
        if !files.files.contains_key(&name) {
            return Err(ReflectError::Missing { asked: name, text: "it sent another file".to_owned() });
        }
    }
    Ok(Reflected { set: files.into_set(), services })
}

/// One stream of questions and answers.
struct Talk {
    questions: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Talk {
    async fn begin(visit: Visit, path: PathAndQuery, config: &ReflectionConfig) -> Result<Self, ReflectError> {
        let (questions, asked) = mpsc::channel(1);
        // Some servers send nothing, not even headers, before the first question.
        let first = ServerReflectionRequest {
            message_request: Some(Question::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let _sent = questions.try_send(first).is_ok();
        let mut client = Grpc::new(visit).max_decoding_message_size(config.bytes_max);
        let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
        client.ready().await.map_err(|fault| ReflectError::Failed(Status::from_error(Box::new(fault))))?;
        let answer = client.streaming(Request::new(ReceiverStream::new(asked)), path, codec).await;
        Ok(Talk { questions, answers: answer.map_err(failed)?.into_inner() })
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, ReflectError> {
        let asked = match &question {
            // It was asked when the stream began.
            Question::ListServices(_) => "its services".to_owned(),
            Question::FileByFilename(name) | Question::FileContainingSymbol(name) => {
                let name = name.clone();
                let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
                self.questions.send(request).await.map_err(|_| ReflectError::Nonsense)?;
                name
            }
            Question::FileContainingExtension(_) | Question::AllExtensionNumbersOfType(_) => {
                return Err(ReflectError::Nonsense);
            }
        };
        let answer = self.answers.message().await.map_err(failed)?;
        match answer.and_then(|answer| answer.message_response) {
            Some(Reply::ErrorResponse(error)) => Err(ReflectError::Missing { asked, text: error.error_message }),
            Some(reply) => Ok(reply),
            None => Err(ReflectError::Nonsense),
        }
    }
}

fn failed(status: Status) -> ReflectError {
    ReflectError::Failed(status)
}

/// The files that have come, and those that they refer to.
struct Files<'c> {
    config: &'c ReflectionConfig,
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    wanted: BTreeSet<String>,
}

impl Files<'_> {
    fn take(&mut self, reply: Reply) -> Result<(), ReflectError> {
        let Reply::FileDescriptorResponse(files) = reply else { return Err(ReflectError::Nonsense) };
        for bytes in files.file_descriptor_proto {
            // Only read here; what its options have of extensions is kept in the bytes.
            let file = FileDescriptorProto::decode(bytes.as_slice()).map_err(ReflectError::Malformed)?;
            self.wanted.remove(file.name());
            if self.files.contains_key(file.name()) {
                continue;
            }
            self.bytes += bytes.len();
            let unknown = file.dependency.iter().filter(|name| !self.files.contains_key(*name));
            self.wanted.extend(unknown.cloned());
            self.files.insert(file.name().to_owned(), bytes);
            let files = self.files.len() + self.wanted.len();
            if self.bytes > self.config.bytes_max || files > self.config.files_max {
                return Err(self.config.too_large());
            }
        }
        Ok(())
    }

    /// A `FileDescriptorSet`: field 1, again and again.
    fn into_set(self) -> Vec<u8> {
        let mut set = Vec::with_capacity(self.bytes + self.files.len() * 8);
        for file in self.files.values() {
            encode_key(1, WireType::LengthDelimited, &mut set);
            encode_varint(file.len() as u64, &mut set);
            set.extend_from_slice(file);
        }
        set
    }
}
