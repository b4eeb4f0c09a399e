//! The reflection service of the gateway: tells of what is served at the moment when it is asked.
//!
//! Our own, since services come and go, and since files of the same name may differ from service to service: an answer has a file with all
//! that it refers to, out of the pool of one service, so that a client has no reason to ask for a file by its name.

use super::{Catalog, Current};
use prost::Message;
use prost_reflect::{DescriptorPool, FileDescriptor};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Question;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse as Reply;
use tonic_reflection::pb::v1::server_reflection_server::ServerReflection;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};
use tonic_reflection::pb::v1alpha;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Tells what is served. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Reflection {
    current: Arc<Current>,
}

/// The same in the version before, whose messages are the same on the wire.
#[derive(Debug, Clone)]
pub(super) struct Alpha(pub(super) Reflection);

impl Reflection {
    pub(super) fn of(current: Arc<Current>) -> Self {
        Reflection { current }
    }

    fn answer(&self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let catalog = self.current.now();
        let asked = request.message_request.clone();
        let reply = asked.map_or_else(|| Err(Status::invalid_argument("nothing was asked")), |it| answer(&catalog, it));
        let reply = reply.unwrap_or_else(|status| {
            let (error_code, error_message) = (status.code() as i32, status.message().to_owned());
            Reply::ErrorResponse(ErrorResponse { error_code, error_message })
        });
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(reply),
        }
    }
}

fn answer(catalog: &Catalog, question: Question) -> Result<Reply, Status> {
    let mut pools = catalog.pools.values();
    match question {
        Question::ListServices(_) => {
            let service = catalog.pools.keys().map(|name| ServiceResponse { name: name.to_string() }).collect();
            Ok(Reply::ListServicesResponse(ListServiceResponse { service }))
        }
        Question::FileByFilename(name) => {
            let file = pools.find_map(|pool| pool.get_file_by_name(&name));
            file.map(|file| with_imports(&file)).ok_or_else(|| unknown("file", &name))
        }
        Question::FileContainingSymbol(symbol) => {
            // A service, or a method of one, is looked for where it is described.
            let of_service = catalog.pools.get(symbol.as_str());
            let of_method = symbol.rsplit_once('.').and_then(|(service, _)| catalog.pools.get(service));
            let file = of_service.or(of_method).into_iter().chain(pools).find_map(|pool| containing(pool, &symbol));
            file.map(|file| with_imports(&file)).ok_or_else(|| unknown("symbol", &symbol))
        }
        Question::FileContainingExtension(asked) => {
            let number = u32::try_from(asked.extension_number).unwrap_or_default();
            let file = pools.find_map(|pool| {
                let extension = pool.get_message_by_name(&asked.containing_type)?.get_extension(number)?;
                Some(extension.parent_file())
            });
            file.map(|file| with_imports(&file)).ok_or_else(|| unknown("extension", &asked.containing_type))
        }
        Question::AllExtensionNumbersOfType(name) => {
            let of = pools.find_map(|pool| pool.get_message_by_name(&name)).ok_or_else(|| unknown("type", &name))?;
            let numbers = of.extensions().filter_map(|extension| i32::try_from(extension.number()).ok());
            let extension_number = numbers.collect();
            Ok(Reply::AllExtensionNumbersResponse(ExtensionNumberResponse { base_type_name: name, extension_number }))
        }
    }
}

fn unknown(what: &str, name: &str) -> Status {
    Status::new(Code::NotFound, format!("no {what} {name} is known here"))
}

/// The file in which something is defined that has a full name.
fn containing(pool: &DescriptorPool, symbol: &str) -> Option<FileDescriptor> {
    let by_name = |name: &str| {
        pool.get_service_by_name(name)
            .map(|it| it.parent_file())
            .or_else(|| pool.get_message_by_name(name).map(|it| it.parent_file()))
            .or_else(|| pool.get_enum_by_name(name).map(|it| it.parent_file()))
            .or_else(|| pool.get_extension_by_name(name).map(|it| it.parent_file()))
    };
    let is_member = |parent: &str, name: &str| {
        let of_service = pool.get_service_by_name(parent).is_some_and(|it| it.methods().any(|it| it.name() == name));
        of_service || pool.get_message_by_name(parent).is_some_and(|it| it.get_field_by_name(name).is_some())
    };
    let (parent, name) = symbol.rsplit_once('.').unwrap_or(("", symbol));
    by_name(symbol).or_else(|| by_name(parent).filter(|_| is_member(parent, name)))
}

/// A file, and after it all that it refers to.
fn with_imports(file: &FileDescriptor) -> Reply {
    let mut taken = BTreeSet::from([file.name().to_owned()]);
    let mut files = vec![file.clone()];
    let mut at = 0;
    while at < files.len() {
        let imports: Vec<FileDescriptor> = files[at].dependencies().collect();
        files.extend(imports.into_iter().filter(|import| taken.insert(import.name().to_owned())));
        at += 1;
    }
    let file_descriptor_proto = files.iter().map(FileDescriptor::encode_to_vec).collect();
    Reply::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
}

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = Answers<ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let reflection = self.clone();
        let answers = request.into_inner().map(move |asked| asked.map(|asked| reflection.answer(asked)));
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tonic::async_trait]
impl v1alpha::server_reflection_server::ServerReflection for Alpha {
    type ServerReflectionInfoStream = Answers<v1alpha::ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<v1alpha::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let reflection = self.0.clone();
        let answers =
            request.into_inner().map(move |asked| asked.and_then(|asked| same(&reflection.answer(same(&asked)?))));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// The same message in another version.
fn same<To: Message + Default>(message: &impl Message) -> Result<To, Status> {
    let bytes = message.encode_to_vec();
    To::decode(bytes.as_slice()).map_err(|_| Status::internal("the versions of reflection have come apart"))
}
