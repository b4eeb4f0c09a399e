//! The verdict of the Consumer Service for a caller who waits for it.

use super::answer;
use crate::{Error, app, wire};
use proto::Violation;
use proto::comanda::validation::v1::consumer_validation_service_server::ConsumerValidationService;
use proto::comanda::validation::v1::{ValidateConsumerInfoRequest, Verdict};
use store::Store;
use tonic::{Request, Response, Status};

/// Judges as the handler of the command does.
#[derive(Debug)]
pub(crate) struct Validation {
    store: Store,
}

impl Validation {
    pub(crate) fn new(store: Store) -> Self {
        Validation { store }
    }

    async fn judge(&self, request: ValidateConsumerInfoRequest) -> Result<Verdict, Error> {
        let command = request.command.ok_or_else(|| Violation::required("command"))?;
        let asked = wire::asked(&command)?;
        let verdict = app::validate_consumer_info(&self.store, asked.consumer_id, asked.total).await?;
        let reasons = verdict.err().unwrap_or_default();
        Ok(Verdict { reasons: reasons.iter().map(wire::reason).collect() })
    }
}

#[tonic::async_trait]
impl ConsumerValidationService for Validation {
    async fn validate_consumer_info(
        &self,
        request: Request<ValidateConsumerInfoRequest>,
    ) -> Result<Response<Verdict>, Status> {
        answer(self.judge(request.into_inner()).await)
    }
}
