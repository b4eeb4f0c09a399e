//! The verdict of the Restaurant Service for a caller who waits for it.

use super::answer;
use crate::store::MenuCache;
use crate::{Error, app, wire};
use proto::Violation;
use proto::comanda::validation::v1::order_details_validation_service_server::OrderDetailsValidationService;
use proto::comanda::validation::v1::{ValidateOrderDetailsRequest, Verdict};
use store::Store;
use tonic::{Request, Response, Status};

/// Judges as the handler of the command does.
#[derive(Debug)]
pub(crate) struct Validation {
    store: Store,
    menus: MenuCache,
}

impl Validation {
    pub(crate) fn new(store: Store) -> Self {
        Validation { store, menus: MenuCache::default() }
    }

    async fn judge(&self, request: ValidateOrderDetailsRequest) -> Result<Verdict, Error> {
        let command = request.command.ok_or_else(|| Violation::required("command"))?;
        let order = wire::order(&command)?;
        let verdict = app::validate_order_details(&self.store, &self.menus, &order).await?;
        let reasons = verdict.result.err().unwrap_or_default();
        Ok(Verdict { reasons: reasons.iter().map(wire::reason).collect() })
    }
}

#[tonic::async_trait]
impl OrderDetailsValidationService for Validation {
    async fn validate_order_details(
        &self,
        request: Request<ValidateOrderDetailsRequest>,
    ) -> Result<Response<Verdict>, Status> {
        answer(self.judge(request.into_inner()).await)
    }
}
