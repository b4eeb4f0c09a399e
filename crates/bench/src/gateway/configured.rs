//! The files by which peers are told where to listen and what to serve.

use crate::Measured;
use crate::hello::DESCRIPTORS;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where `cargo xtask bench gateway` installs peers.
pub(super) fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/peers")
}

/// Our gateway as a product of its own, which asks the service what it offers, and asks its rules before each call.
pub(super) fn ours(listen: SocketAddr, backend: SocketAddr, folder: &Path) -> Measured<String> {
    let admin = servers::free::address();
    let text = include_str!("comanda.toml")
        .replace("LISTEN", &listen.to_string())
        .replace("ADMIN", &admin.to_string())
        .replace("BACKEND", &backend.to_string());
    write(&folder.join("comanda.toml"), text)
}

/// Envoy with a transcoder and a router, and limits that let 1 MiB through.
pub(super) fn envoy(listen: SocketAddr, backend: SocketAddr, folder: &Path) -> Measured<String> {
    let text = include_str!("envoy.yaml")
        .replace("LISTEN_PORT", &listen.port().to_string())
        .replace("BACKEND_PORT", &backend.port().to_string())
        .replace("DESCRIPTORS", &descriptors(folder)?);
    write(&folder.join("envoy.yaml"), text)
}

pub(super) fn structured_proxy(listen: SocketAddr, backend: SocketAddr, folder: &Path) -> Measured<String> {
    let file = descriptors(folder)?;
    let text = format!(
        "listen: {{http: \"{listen}\"}}\nupstream: {{default: \"http://{backend}\"}}\ndescriptors: [{{file: \"{file}\"}}]\n\
         service: {{name: bench}}\nlogging: {{level: error}}\n"
    );
    write(&folder.join("structured-proxy.yaml"), text)
}

fn descriptors(folder: &Path) -> Measured<String> {
    write(&folder.join("hello.bin"), DESCRIPTORS)
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Measured<String> {
    std::fs::write(path, content)?;
    Ok(path.display().to_string())
}

/// Where profiles are kept, since they tell what to do next.
pub(super) fn profiles() -> Measured<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/callgrind");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
