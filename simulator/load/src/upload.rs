//! The stores' lines to the gateway: a few connections that all stores share, as a region's network is shared.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use contracts::ids::LocationId;
use contracts::wire::{FORMAT_4690, poslog};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use world::events::Channel;

use crate::counters::Counters;
use crate::journal::{Content, Journals, Pending, Upload};

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The gateway answers when Kafka acknowledged, which may take an election.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Uploader {
    pub gateway: String,
    pub stores: Arc<[LocationId]>,
    pub journals: Arc<Journals>,
    pub counters: Arc<Counters>,
}

fn transactions_of(batch: &[Pending]) -> u64 {
    batch.iter().map(|message| u64::from(message.transactions)).sum()
}

/// How many messages an answer says were taken all the same.
fn accepted(answer: &[u8]) -> u64 {
    std::str::from_utf8(answer)
        .ok()
        .and_then(|text| text.split_once("\"accepted\":"))
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .unwrap_or(0)
}

type Sender = SendRequest<Full<Bytes>>;

/// Why an upload has to come again.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("no answer in {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout,
    #[error("the gateway answered {0}")]
    Busy(StatusCode, Duration),
    #[error("the store's server was restarted")]
    Restarted,
}

impl Uploader {
    /// Uploads until cancelled. Several of these share the journals.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut sender = None;
        let mut backoff = BACKOFF_MIN;
        loop {
            let upload = tokio::select! {
                next = self.journals.next() => next,
                () = cancel.cancelled() => return,
            };
            let result = self.upload(&mut sender, &upload).await;
            let Upload { store, batch, .. } = upload;
            match result {
                Ok(()) => {
                    backoff = BACKOFF_MIN;
                    self.journals.uploaded(store, &batch);
                    if let Content::Message(channel) = batch[0].content {
                        let bytes = batch.iter().map(|m| m.bytes.len() as u64).sum();
                        self.counters
                            .acknowledged(channel, transactions_of(&batch), bytes);
                    }
                }
                Err(failed) => {
                    tracing::debug!(store = %self.stores[store], %failed, "upload");
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                    if matches!(failed, Failed::Restarted) {
                        self.counters.faults.upload_again(transactions_of(&batch));
                    }
                    if !matches!(failed, Failed::Busy(..)) {
                        sender = None;
                    }
                    self.journals.failed(store, batch);
                    let wait = match failed {
                        Failed::Busy(_, retry_after) => retry_after.max(backoff),
                        _ => backoff,
                    };
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = cancel.cancelled() => return,
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<Sender, Failed> {
        let stream = TcpStream::connect(&self.gateway).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the gateway");
            }
        });
        Ok(sender)
    }

    async fn upload(&self, sender: &mut Option<Sender>, upload: &Upload) -> Result<(), Failed> {
        let answered = tokio::select! {
            answered = self.request_and_answer(sender, upload.store, &upload.batch) => answered,
            () = upload.broken.cancelled() => return Err(Failed::Restarted),
        };
        match answered {
            Ok(()) if upload.answer_is_lost => Err(Failed::Restarted),
            Err(failed) if upload.answer_is_lost => {
                // It has still to happen.
                self.journals.restart_next(upload.store);
                Err(failed)
            }
            answered => answered,
        }
    }

    async fn request_and_answer(
        &self,
        sender: &mut Option<Sender>,
        store: usize,
        batch: &[Pending],
    ) -> Result<(), Failed> {
        let sender = match sender {
            Some(open) if !open.is_closed() => open,
            none => none.insert(self.connect().await?),
        };
        sender.ready().await?;
        let request = self.request(store, batch);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request))
            .await
            .map_err(|_| Failed::Timeout)??;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map_or(BACKOFF_MIN, Duration::from_secs);
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(());
        }
        if status == StatusCode::TOO_MANY_REQUESTS
            || status.is_server_error()
            || status == StatusCode::REQUEST_TIMEOUT
        {
            return Err(Failed::Busy(status, retry_after));
        }
        // The gateway has looked at it and will never take it: it goes no further, and is counted.
        tracing::warn!(store = %self.stores[store], %status, "a batch was refused for good");
        let rejected = (batch.len() as u64).saturating_sub(accepted(&body));
        self.counters.rejected.fetch_add(rejected, Ordering::Relaxed);
        Ok(())
    }

    fn request(&self, store: usize, batch: &[Pending]) -> Request<Full<Bytes>> {
        let (path, kind, body) = match batch {
            [document] if document.content == Content::Message(Channel::Scan) => (
                "/capture".to_owned(),
                "application/ld+json",
                document.bytes.clone(),
            ),
            [mark] if mark.content == Content::Mark => (
                format!("/v1/stores/{}/marks", self.stores[store]),
                "application/json",
                mark.bytes.clone(),
            ),
            receipts => {
                let is_xml = receipts[0].format != FORMAT_4690;
                let length = receipts.iter().map(|m| m.bytes.len() + 1).sum();
                let mut body = BytesMut::with_capacity(length);
                for receipt in receipts {
                    if is_xml && !body.is_empty() {
                        body.put_u8(poslog::SEPARATOR);
                    }
                    body.extend_from_slice(&receipt.bytes);
                }
                let kind = if is_xml {
                    "application/xml"
                } else {
                    "application/octet-stream"
                };
                let path = format!("/v1/stores/{}/tlog", self.stores[store]);
                (path, kind, body.freeze())
            }
        };
        let mut intended = String::with_capacity(batch.len() * 14);
        let all_equal = batch.iter().all(|message| message.due_ms == batch[0].due_ms);
        for message in if all_equal { &batch[..1] } else { batch } {
            if !intended.is_empty() {
                intended.push(',');
            }
            let _ = write!(intended, "{}", message.due_ms);
        }
        let mut request = Request::post(path)
            .header(HOST, &self.gateway)
            .header(CONTENT_TYPE, kind)
            .header("intended-at", intended);
        if batch.iter().all(|message| message.journaled_ms.is_some()) {
            let journaled = batch.iter().filter_map(|message| message.journaled_ms);
            let journaled: Vec<_> = journaled.map(|ms| ms.to_string()).collect();
            request = request.header("journaled-at", journaled.join(","));
        }
        request
            .body(Full::new(body))
            .expect("a path and decimal numbers make a valid request")
    }
}
