//! Frames written by hand, for what a client library would not send.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};

use super::DEADLINE;
use super::target::text;

pub struct Raw {
    pub stream: TcpStream,
    correlation_id: i32,
}

/// A request as it goes over the wire, its length included.
pub fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(text("raw")));
    let mut out = BytesMut::new();
    out.put_i32(0);
    header.encode(&mut out, R::header_version(version)).unwrap();
    request.encode(&mut out, version).unwrap();
    let length = (out.len() - 4) as i32;
    out[0..4].copy_from_slice(&length.to_be_bytes());
    out
}

impl Raw {
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream,
            correlation_id: 0,
        }
    }

    /// Sends without waiting for the answer; returns what the answer will be known by.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        self.stream
            .write_all(&frame(version, self.correlation_id, request))
            .unwrap();
        self.correlation_id
    }

    /// The next answer on this connection and what it is known by.
    pub fn receive<R: Request>(&mut self, version: i16) -> std::io::Result<(i32, R::Response)> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut body)?;
        let mut body = Bytes::from(body);
        let header = ResponseHeader::decode(&mut body, R::Response::header_version(version)).unwrap();
        let response = R::Response::decode(&mut body, version).unwrap();
        assert_eq!(
            body.remaining(),
            0,
            "bytes behind the answer to {} v{version}",
            R::KEY
        );
        Ok((header.correlation_id, response))
    }

    pub fn try_call<R: Request>(&mut self, version: i16, request: &R) -> std::io::Result<R::Response> {
        let sent = self.send(version, request);
        let (answered, response) = self.receive::<R>(version)?;
        assert_eq!(answered, sent, "answers come in the order of requests");
        Ok(response)
    }

    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.try_call(version, request).unwrap()
    }

    /// Whether the server has closed the connection, or does so now.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0) | Err(_))
    }
}
