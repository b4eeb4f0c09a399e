//! The connections to agents, and the certificates that they are opened with.

use super::config::ConsulConfig;
use super::tls;
use crate::Error;
use crate::error::chain;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tracing::{info, warn};

/// An idle connection is closed after this; longer than the pause between two heartbeats or looks of a registration.
const IDLE_FOR: Duration = Duration::from_secs(90);

/// A connection is asked whether it is alive this often, by HTTP/2 or else by TCP, and given up if it does not say so in
/// [`ALIVE_WITHIN`]: a query would hang on it until the end of its wait, and all of them if they share it.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
const ALIVE_WITHIN: Duration = Duration::from_secs(5);

type Http = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections that are shared, and opened anew with other certificates once those on disk are others.
#[derive(Debug)]
pub(super) struct Pool(Mutex<Held>);

#[derive(Debug)]
struct Held {
    http: Http,
    written_at: Vec<Option<SystemTime>>,
}

impl Pool {
    pub(super) fn new(config: &ConsulConfig) -> Result<Self, Error> {
        Ok(Pool(Mutex::new(Held { written_at: written_at(config), http: open(config)? })))
    }

    /// Cancel safe: the connection of a request that is dropped is not used again, or goes on without it.
    pub(super) async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        let http = self.held().http.clone();
        http.request(request).await
    }

    /// After a failure: opens connections anew if the certificates were renewed. What is on its way goes on over the old ones.
    pub(super) fn renew(&self, config: &ConsulConfig) {
        let mut held = self.held();
        let written_at = written_at(config);
        if held.written_at == written_at {
            return;
        }
        match open(config) {
            Ok(http) => {
                info!("certificates were renewed");
                *held = Held { http, written_at };
            }
            // They may be half written; the next failure looks again.
            Err(error) => warn!(error = chain(&error), "certificates cannot be renewed"),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it is held; and what it holds is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the files were written that connections depend on.
fn written_at(config: &ConsulConfig) -> Vec<Option<SystemTime>> {
    let Some(tls) = &config.tls else { return Vec::new() };
    let files: [Option<&PathBuf>; 3] = [Some(&tls.ca_file), tls.certificate_file.as_ref(), tls.key_file.as_ref()];
    files.into_iter().map(|file| std::fs::metadata(file?).ok()?.modified().ok()).collect()
}

fn open(config: &ConsulConfig) -> Result<Http, Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(ALIVE_EVERY));
    connector.set_keepalive_interval(Some(ALIVE_WITHIN));
    connector.set_keepalive_retries(Some(1));
    connector.set_connect_timeout(Some(Duration::from_millis(config.connect_timeout_ms)));
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_FOR)
        .http2_keep_alive_interval(ALIVE_EVERY)
        .http2_keep_alive_timeout(ALIVE_WITHIN);
    Ok(builder.build(secured(connector, config)?))
}

fn secured(connector: HttpConnector, config: &ConsulConfig) -> Result<HttpsConnector<HttpConnector>, Error> {
    let Some(tls) = &config.tls else {
        // Never used: `ConsulConfig::check` lets only `http` through without `tls`.
        let nobody = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Settings { field: "tls", reason: error.to_string() })?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        return Ok(HttpsConnectorBuilder::new()
            .with_tls_config(nobody)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector));
    };
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls::client_config(tls)?).https_only();
    let builder = match &tls.server_name {
        None => builder.with_server_name_resolver(DefaultServerNameResolver::default()),
        Some(name) => {
            let name = name.clone().try_into().map_err(|_| Error::Settings {
                field: "tls.server_name",
                reason: format!("{name:?} is no name of a host; write what stands in the agents' certificates"),
            })?;
            builder.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
    };
    Ok(builder.enable_http1().enable_http2().wrap_connector(connector))
}
