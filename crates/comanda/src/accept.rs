//! How the ports of the services and of the operators take connections.

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

/// The connections of a listener, which send what is written at once. tonic's server sees to that only for a port that it has bound itself: on
/// others, an answer waits until the one before it is acknowledged, which a caller with nothing to say does 40 ms later.
pub(crate) fn connections(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn an_answer_does_not_wait_for_the_acknowledgement_of_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();

        let (_caller, accepted) =
            tokio::join!(TcpStream::connect(address), async { connections(listener).next().await.unwrap().unwrap() });

        assert!(accepted.nodelay().unwrap());
    }
}
