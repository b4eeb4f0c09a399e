//! Protobuf over gRPC, with a request that cannot be read being the caller's mistake.
//!
//! `tonic_prost::ProstCodec` answers INTERNAL to bytes that are no such message, which breakers and operators read as a fault of
//! the server. It is INVALID_ARGUMENT here.

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec as TonicCodec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The codec of every generated client and server.
#[derive(Debug, Clone)]
pub struct Codec<T, U>(ProstCodec<T, U>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Codec(ProstCodec::default())
    }
}

impl<T, U> TonicCodec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Strict<U>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Strict(self.0.decoder())
    }
}

/// Decodes a message, or says that it is none.
#[derive(Debug, Clone)]
pub struct Strict<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for Strict<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        self.0.decode(buffer).map_err(|status| {
            Status::invalid_argument(format!("the message does not match the contract: {}", status.message()))
        })
    }
}
