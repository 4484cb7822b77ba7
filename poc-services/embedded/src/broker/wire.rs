//! Frames: the request header, decoding a request body without trusting it, and replies as pieces to write.
//!
//! Invariant: a body reaches the generated decoders only after [`shape::check`] has walked it, because they
//! allocate what an array's length field asks for. Nothing here panics on any bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Encodable, Request, StrBytes};

use super::shape;

/// Why a frame ends its connection.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the frame length {0} is not between 8 and {1} bytes")]
    Length(i32, usize),
    #[error("the request header is cut short or malformed")]
    Header,
    #[error("unknown api key {0}")]
    UnknownApi(i16),
    #[error("{0:?} version {1} is not served")]
    UnsupportedVersion(ApiKey, i16),
    #[error("{api:?} version {version} does not have the shape of that request")]
    Shape { api: ApiKey, version: i16 },
    #[error("{api:?} version {version} cannot be decoded: {cause}")]
    Decode {
        api: ApiKey,
        version: i16,
        cause: String,
    },
    #[error("the answer to {api:?} version {version} cannot be encoded: {cause}")]
    Encode {
        api: ApiKey,
        version: i16,
        cause: String,
    },
    #[error("{0:?} was to be refused and has no room for an error")]
    Refused(ApiKey),
    #[error("a produce request without acknowledgement failed")]
    UnacknowledgedProduce,
}

/// The header of a request.
#[derive(Debug, Clone)]
pub struct Header {
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: StrBytes,
}

impl Header {
    /// Takes the header off a frame.
    pub fn read(frame: &mut Bytes) -> Result<Self, FrameError> {
        if frame.remaining() < 8 {
            return Err(FrameError::Header);
        }
        let key = frame.get_i16();
        let api = ApiKey::try_from(key).map_err(|()| FrameError::UnknownApi(key))?;
        let version = frame.get_i16();
        let correlation_id = frame.get_i32();
        if !super::api::is_served(api, version) {
            // Only the start of a header is the same in all versions; it is all that the answer needs.
            return Ok(Self {
                api,
                version,
                correlation_id,
                client_id: StrBytes::default(),
            });
        }
        if frame.remaining() < 2 {
            return Err(FrameError::Header);
        }
        let length = frame.get_i16();
        let client_id = match usize::try_from(length) {
            Ok(length) if length <= frame.remaining() => {
                StrBytes::from_utf8(frame.split_to(length)).map_err(|_| FrameError::Header)?
            }
            Ok(_) => return Err(FrameError::Header),
            Err(_) => StrBytes::default(),
        };
        if is_flexible(api, version) {
            let rest = shape::skip_tagged_fields(frame).ok_or(FrameError::Header)?;
            let used = frame.len() - rest;
            frame.advance(used);
        }
        Ok(Self {
            api,
            version,
            correlation_id,
            client_id,
        })
    }
}

/// Whether strings and arrays are compact and tagged fields follow each structure.
pub fn is_flexible(api: ApiKey, version: i16) -> bool {
    api.request_header_version(version) >= 2
}

/// Decodes a request body.
pub fn decode<R: Request>(header: &Header, mut body: Bytes) -> Result<R, FrameError> {
    let (api, version) = (header.api, header.version);
    if !shape::check(api, version, is_flexible(api, version), &body) {
        return Err(FrameError::Shape { api, version });
    }
    // The shape is right, so a panic would be a fault of the decoder; it still must not take the node down.
    let decoded = catch_unwind(AssertUnwindSafe(|| R::decode(&mut body, version)));
    let failed = |cause| FrameError::Decode { api, version, cause };
    decoded
        .map_err(|_| failed("the decoder panicked".to_owned()))?
        .map_err(|error| failed(error.to_string()))
}

/// A whole response frame in pieces, so that record batches are written from where the log keeps them.
#[derive(Debug, Default)]
pub struct Reply {
    pub pieces: Vec<Bytes>,
}

/// Starts a response frame: room for the length, and the response header.
pub fn begin_reply(header: &Header, capacity: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(capacity + 9);
    out.put_i32(0);
    out.put_i32(header.correlation_id);
    if header.api.response_header_version(header.version) >= 1 {
        out.put_u8(0);
    }
    out
}

/// Writes the length of a response frame that lies in one piece.
pub fn finish_reply(mut out: BytesMut) -> Reply {
    let length = (out.len() - 4) as i32;
    out[0..4].copy_from_slice(&length.to_be_bytes());
    Reply {
        pieces: vec![out.freeze()],
    }
}

/// Encodes a response.
pub fn encode<T: Encodable>(header: &Header, response: &T) -> Result<Reply, FrameError> {
    let (api, version) = (header.api, header.version);
    let failed = |cause: String| FrameError::Encode { api, version, cause };
    let size = response
        .compute_size(version)
        .map_err(|error| failed(error.to_string()))?;
    let mut out = begin_reply(header, size);
    response
        .encode(&mut out, version)
        .map_err(|error| failed(error.to_string()))?;
    Ok(finish_reply(out))
}
