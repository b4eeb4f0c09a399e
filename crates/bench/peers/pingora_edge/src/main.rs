//! pingora as a proxy of HTTP/2 with prior knowledge, on both sides.

use pingora_core::Result;
use pingora_core::apps::HttpServerOptions;
use pingora_core::server::Server;
use pingora_core::server::configuration::{Opt, ServerConf};
use pingora_core::upstreams::peer::{ALPN, HttpPeer};
use pingora_proxy::{ProxyHttp, Session, http_proxy};
use std::net::SocketAddr;
use std::sync::Arc;

struct Edge(SocketAddr);

#[async_trait::async_trait]
impl ProxyHttp for Edge {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.0, false, String::new());
        peer.options.alpn = ALPN::H2;
        peer.options.max_h2_streams = 100;
        Ok(Box::new(peer))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, backend] = &arguments[..] else { return Err("LISTEN BACKEND".into()) };
    let threads = std::thread::available_parallelism()?.get();
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, ServerConf { threads, ..ServerConf::default() });
    server.bootstrap();
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    let mut proxy = http_proxy(&Arc::clone(&server.configuration), Edge(backend.parse()?));
    proxy.server_options = Some(options);
    let mut service = pingora_core::services::listening::Service::new("edge".to_owned(), proxy);
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever();
}
