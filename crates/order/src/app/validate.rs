//! Asks other services about an order before it is taken: what this platform exists not to do, kept to be measured.

use crate::domain::{Order, Reason};
use crate::messages::{validate_consumer_info, validate_order_details};
use crate::{Error, Validation};
use proto::comanda::validation::v1::consumer_validation_service_client::ConsumerValidationServiceClient;
use proto::comanda::validation::v1::order_details_validation_service_client::OrderDetailsValidationServiceClient;
use proto::comanda::validation::v1::{ValidateConsumerInfoRequest, ValidateOrderDetailsRequest, Verdict};
use rpc::Upstream;
use std::time::Duration;
use tonic::{Request, Response, Status};
use tracing::warn;

/// How long a service may take to judge. It takes milliseconds; whoever waits for an order should not wait for the rest of his life.
const JUDGED_WITHIN: Duration = Duration::from_secs(2);

/// The services that are asked.
#[derive(Debug, Clone)]
pub(crate) struct Validators {
    consumer: ConsumerValidationServiceClient<Upstream>,
    restaurant: OrderDetailsValidationServiceClient<Upstream>,
}

impl Validators {
    /// Those that are asked before an order is taken: none, unless somebody wants so.
    pub(crate) fn new(validation: Validation, consumer: Upstream, restaurant: Upstream) -> Option<Self> {
        match validation {
            Validation::Asynchronous => None,
            Validation::Synchronous => {
                warn!("orders are validated synchronously, and refused while a service is away");
                Some(Validators {
                    consumer: ConsumerValidationServiceClient::new(consumer),
                    restaurant: OrderDetailsValidationServiceClient::new(restaurant),
                })
            }
        }
    }

    /// Asks all services at once. An order that passes is validated again by messages, as every order is: this adds a wait to the way an order
    /// goes, and changes nothing of it.
    ///
    /// # Errors
    /// With all reasons, when a service has some. When one does not answer, although the other may have reasons already: whether these are all
    /// is not known then.
    pub(crate) async fn validate(&self, order: &Order) -> Result<(), Error> {
        let (mut consumer, mut restaurant) = (self.consumer.clone(), self.restaurant.clone());
        let info = ValidateConsumerInfoRequest { command: Some(validate_consumer_info(order)) };
        let details = ValidateOrderDetailsRequest { command: Some(validate_order_details(order)) };
        let (info, details) = tokio::join!(
            consumer.validate_consumer_info(bounded(info)),
            restaurant.validate_order_details(bounded(details)),
        );
        let mut reasons = reasons("consumer", info)?;
        reasons.extend(self::reasons("restaurant", details)?);
        if reasons.is_empty() { Ok(()) } else { Err(Error::Refused(reasons)) }
    }
}

fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(JUDGED_WITHIN);
    request
}

/// What a service has against an order. Whatever is no verdict is a fault of the platform and never a refusal.
fn reasons(service: &'static str, answer: Result<Response<Verdict>, Status>) -> Result<Vec<Reason>, Error> {
    match answer {
        Ok(verdict) => Ok(verdict.into_inner().reasons),
        Err(status) => Err(Error::NotValidated { service, source: Box::new(status) }),
    }
}
