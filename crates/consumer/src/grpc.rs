//! The gRPC service; below it, the one for callers who wait for a verdict.

mod validation;

pub(crate) use validation::Validation;

use crate::{Error, app, wire};
use proto::ConsumerId;
use proto::comanda::consumer::v1::consumer_service_server::ConsumerService;
use proto::comanda::consumer::v1::{
    Consumer, CreateConsumerRequest, GetConsumerRequest, ListConsumersRequest, ListConsumersResponse,
    UpdateConsumerRequest,
};
use proto::page::Page;
use store::Store;
use tonic::{Request, Response, Status};
use tracing::error;

/// Answers calls.
#[derive(Debug)]
pub(crate) struct Service {
    store: Store,
}

impl Service {
    pub(crate) fn new(store: Store) -> Self {
        Service { store }
    }

    async fn create(&self, request: CreateConsumerRequest) -> Result<Consumer, Error> {
        let profile = wire::profile(&request).map_err(Error::Invalid)?;
        app::create_consumer(&self.store, profile).await.map(wire::consumer)
    }

    async fn get(&self, request: GetConsumerRequest) -> Result<Consumer, Error> {
        let consumer_id = ConsumerId::parse("consumer_id", &request.consumer_id)?;
        let found = crate::store::load(&self.store, consumer_id).await?;
        found.map(wire::consumer).ok_or(Error::Unknown(consumer_id))
    }

    async fn list(&self, request: ListConsumersRequest) -> Result<ListConsumersResponse, Error> {
        let page = Page::parse(request.page_size, &request.page_token, &"consumers")?;
        let mut consumers = crate::store::list(&self.store, &page).await?;
        let next_page_token = page.cut(
            &mut consumers,
            |consumer| consumer.id.to_array(),
            |consumer| consumer.profile.name.as_str().len(),
        );
        Ok(ListConsumersResponse { consumers: consumers.into_iter().map(wire::consumer).collect(), next_page_token })
    }

    async fn update(&self, request: UpdateConsumerRequest) -> Result<Consumer, Error> {
        let (consumer_id, revision) = wire::revision(&request).map_err(Error::Invalid)?;
        app::update_consumer(&self.store, consumer_id, &revision).await.map(wire::consumer)
    }
}

#[tonic::async_trait]
impl ConsumerService for Service {
    async fn create_consumer(&self, request: Request<CreateConsumerRequest>) -> Result<Response<Consumer>, Status> {
        answer(self.create(request.into_inner()).await)
    }

    async fn get_consumer(&self, request: Request<GetConsumerRequest>) -> Result<Response<Consumer>, Status> {
        answer(self.get(request.into_inner()).await)
    }

    async fn list_consumers(
        &self,
        request: Request<ListConsumersRequest>,
    ) -> Result<Response<ListConsumersResponse>, Status> {
        answer(self.list(request.into_inner()).await)
    }

    async fn update_consumer(&self, request: Request<UpdateConsumerRequest>) -> Result<Response<Consumer>, Status> {
        answer(self.update(request.into_inner()).await)
    }
}

/// Logs a fault of the service with its causes, which the caller is not told, and answers.
fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    if let Err(error) = &result
        && error.is_fault()
    {
        error!(error = error as &dyn std::error::Error, "call failed");
    }
    result.map(Response::new).map_err(Status::from)
}
