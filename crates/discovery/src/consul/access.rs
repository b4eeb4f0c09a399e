//! Whether an empty list is empty because this program may not read: Consul answers that with 200.

use super::answer::Head;
use super::client::{Ask, Client};
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};
use tracing::debug;

/// One right, as the agent is asked about it; what Consul's own pages ask before they show something.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Right<'a> {
    resource: &'static str,
    access: &'static str,
    segment: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ruling {
    allow: bool,
}

/// Asks whether the token of this program, or nobody's, may read the service. Without ACLs everybody may. If that cannot be told, what
/// newer versions write beside the list has to do.
pub(super) async fn is_denied(client: &Client, agent: usize, service: &str, head: &Head) -> bool {
    if head.is_filtered {
        return true;
    }
    match may_read(client, agent, service).await {
        Ok(may_read) => !may_read,
        Err(error) => {
            debug!(error = crate::error::chain(&*error), "rights could not be asked for");
            head.denies_by_default && client.config().token_file.is_none()
        }
    }
}

async fn may_read(client: &Client, agent: usize, service: &str) -> Result<bool, crate::Source> {
    let right = Right { resource: "service", access: "read", segment: service };
    let _turn = client.turn().await;
    let answer = client
        .ask(
            agent,
            Ask {
                method: Method::POST,
                path: "/v1/internal/acl/authorize".to_owned(),
                body: Bytes::from(serde_json::to_vec(&[right])?),
                within: client.config().request_timeout(),
            },
        )
        .await?;
    let rulings: Vec<Ruling> = serde_json::from_slice(&answer.body)?;
    Ok(rulings.iter().all(|ruling| ruling.allow))
}
