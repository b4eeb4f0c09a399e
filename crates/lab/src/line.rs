//! A line between a caller and a server that can be cut and mended at once, as if the server went away and came back.

use crate::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A line that can be cut. It ends with its owner.
#[derive(Debug)]
pub(crate) struct Line {
    address: SocketAddr,
    is_up: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Line {
    /// Makes a line to a server, as in `127.0.0.1:4222`.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) async fn to(server: String) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Line)?;
        let address = listener.local_addr().map_err(Error::Line)?;
        let (is_up, seen) = watch::channel(true);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server.into(), seen));
        Ok(Line { address, is_up, _accepting: accepting })
    }

    /// Where callers connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Mends the line, or cuts it: its connections are reset, and new ones as they come.
    pub(crate) fn set(&self, is_up: bool) {
        self.is_up.send_replace(is_up);
    }
}

async fn accept(listener: TcpListener, server: Arc<str>, is_up: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((caller, _)) = listener.accept() => {
                connections.spawn(connect(caller, server.clone(), is_up.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection to its end. Whatever ends it ends the line, and both sides notice.
async fn connect(mut caller: TcpStream, server: Arc<str>, mut is_up: watch::Receiver<bool>) {
    let carry = async {
        let mut server = TcpStream::connect(&*server).await?;
        // Small messages must not wait for each other.
        caller.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy_bidirectional(&mut caller, &mut server).await?;
        io::Result::Ok(())
    };
    tokio::select! {
        biased;
        _ = is_up.wait_for(|is_up| !is_up) => {}
        _ended = carry => {}
    }
    // A connection that cannot be reset is closed, which its caller notices as well.
    drop(caller.set_zero_linger());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that says back what it is told, and a line to it.
    async fn echo() -> (Line, JoinSet<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let line = Line::to(listener.local_addr().unwrap().to_string()).await.unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (mut reads, mut writes) = connection.split();
                drop(tokio::io::copy(&mut reads, &mut writes).await);
            }
        });
        (line, server)
    }

    async fn says_back(connection: &mut TcpStream) -> bool {
        let mut heard = [0; 4];
        connection.write_all(b"naan").await.is_ok() && connection.read_exact(&mut heard).await.is_ok()
    }

    #[tokio::test]
    async fn a_line_that_is_cut_resets_old_connections_and_new_ones_until_it_is_mended() {
        let (line, _server) = echo().await;
        let mut old = TcpStream::connect(line.address()).await.unwrap();
        assert!(says_back(&mut old).await);

        line.set(false);
        let mut new = TcpStream::connect(line.address()).await.unwrap();
        assert!(!says_back(&mut old).await);
        assert!(!says_back(&mut new).await);

        line.set(true);
        let mut next = TcpStream::connect(line.address()).await.unwrap();
        assert!(says_back(&mut next).await);
    }
}
