//! Connections and routes.
//!
//! Invariant: after `cancel` no connection is taken, requests under way are finished within [`DRAIN`], and the port is
//! free when [`Gateway::run`] returns.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backbone::Backbone;
use bytes::BytesMut;
use contracts::ids::LocationId;
use contracts::sabotage::{Sabotage, SabotageStage};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::{Answer, Refusal, json_answer};
use crate::ingest::{Ingest, Reservation};
use crate::stamps::{Instants, Stamps};
use crate::{Config, GatewayError, Summary};

/// For requests under way at shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// For a request's head; an idle connection is closed after it as well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// For each next part of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// After a refused `accept`, such as when file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A gateway that listens.
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    ingest: Ingest,
    in_flight: AtomicUsize,
}

impl Gateway {
    pub async fn bind(config: Config, backbone: &Backbone) -> Result<Self, GatewayError> {
        let failed = |source: io::Error| {
            let address = config.listen;
            if source.kind() == io::ErrorKind::AddrInUse {
                GatewayError::InUse { address }
            } else {
                GatewayError::Listen { address, source }
            }
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ingest = Ingest {
            producer: backbone.ack_producer("store-gateway")?,
            counters: Arc::clone(&config.counters),
            sabotage: Sabotage::at(config.sabotage, SabotageStage::StoreGateway),
        };
        Ok(Self {
            listener,
            address,
            shared: Arc::new(Shared {
                config,
                ingest,
                in_flight: AtomicUsize::new(0),
            }),
        })
    }

    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `cancel`, then finishes what is under way.
    pub async fn run(self, cancel: CancellationToken) -> Result<Summary, GatewayError> {
        let connections = TaskTracker::new();
        let give_up = CancellationToken::new();
        let slots = Arc::new(Semaphore::new(self.shared.config.max_connections.max(1)));
        loop {
            let slot = tokio::select! {
                () = cancel.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&self.shared);
                    let (cancel, give_up) = (cancel.clone(), give_up.clone());
                    connections.spawn(async move {
                        let _slot = slot;
                        tokio::select! {
                            () = give_up.cancelled() => {}
                            () = serve(stream, shared, cancel) => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests given up at shutdown");
            give_up.cancel();
            connections.wait().await;
        }
        Ok(self.shared.config.counters.summary())
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, cancel: CancellationToken) {
    // Answers are small and awaited.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.handle(request).await) }
    });
    let mut connection = pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// `application/xml`, `text/xml`, `application/poslog+xml` …, with or without parameters.
fn is_xml(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii().to_ascii_lowercase();
    kind.ends_with(b"/xml") || kind.ends_with(b"+xml")
}

/// What a request asks for.
enum Route {
    Tlog(LocationId),
    Mark(LocationId),
    Capture,
    Health,
}

impl Route {
    fn find(method: &Method, path: &str) -> Result<Self, Refusal> {
        let (route, allowed) = match path {
            "/capture" => (Self::Capture, "POST"),
            "/health" => (Self::Health, "GET"),
            _ => {
                let (store, of_store) = path
                    .strip_prefix("/v1/stores/")
                    .and_then(|rest| rest.split_once('/'))
                    .ok_or(Refusal::NotFound)?;
                let route = match of_store {
                    "tlog" => Self::Tlog,
                    "marks" => Self::Mark,
                    _ => return Err(Refusal::NotFound),
                };
                let location: LocationId = store
                    .parse()
                    .map_err(|error: contracts::ids::InvalidId| Refusal::Bad(error.to_string()))?;
                if !location.is_store() {
                    return Err(Refusal::Bad(format!("{location} is no store, and has no tills")));
                }
                (route(location), "POST")
            }
        };
        if method.as_str() == allowed {
            Ok(route)
        } else {
            Err(Refusal::Method { allowed })
        }
    }
}

impl Shared {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        let counters = &self.config.counters;
        counters.requests.fetch_add(1, Ordering::Relaxed);
        self.answer(request).await.unwrap_or_else(|refusal| {
            let counter = if refusal.is_busy() {
                &counters.busy
            } else {
                &counters.rejected
            };
            counter.fetch_add(1, Ordering::Relaxed);
            refusal.answer()
        })
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let route = Route::find(request.method(), request.uri().path())?;
        if matches!(route, Route::Health) {
            return Ok(json_answer(StatusCode::OK, &json!({ "status": "up" })));
        }
        let instants = |name: &str| {
            let text = |value: &HeaderValue| {
                let text = value.to_str().map(str::to_owned);
                text.map_err(|_| Refusal::Bad(format!("{name} is not text")))
            };
            let header = request.headers().get(name).map(text).transpose()?;
            Instants::parse(name, header.as_deref())
        };
        let stamps = Stamps {
            intended: instants("intended-at")?,
            journaled: instants("journaled-at")?,
        };
        let is_xml = request.headers().get(CONTENT_TYPE).is_some_and(is_xml);
        // Held until the answer: the body lives as long.
        let mut reservation = Reservation::new(&self.in_flight, self.config.max_in_flight_bytes);
        let body = self.body(request.into_body(), &mut reservation).await?;
        match route {
            Route::Tlog(store) if is_xml => self.ingest.poslog(store, &stamps, &body).await,
            Route::Tlog(store) => self.ingest.tlog(store, &stamps, &body).await,
            Route::Mark(store) => self.ingest.mark(store, &stamps.intended, &body).await,
            _ => self.ingest.capture(&stamps.intended, &body).await,
        }
    }

    async fn body(&self, mut body: Incoming, reservation: &mut Reservation<'_>) -> Result<BytesMut, Refusal> {
        let limit = self.config.max_body_bytes;
        let announced = body.size_hint().lower() as usize;
        if announced > limit {
            return Err(Refusal::TooLong { limit });
        }
        reservation.add(announced)?;
        let mut bytes = BytesMut::with_capacity(announced);
        loop {
            let frame = tokio::time::timeout(BODY_TIMEOUT, body.frame())
                .await
                .map_err(|_| Refusal::Slow)?;
            let Some(frame) = frame else {
                return Ok(bytes);
            };
            let frame = frame.map_err(|error| Refusal::Bad(format!("the body broke off: {error}")))?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            let length = bytes.len() + data.len();
            if length > limit {
                return Err(Refusal::TooLong { limit });
            }
            // What was announced is reserved already.
            reservation.add(length.saturating_sub(announced.max(bytes.len())))?;
            bytes.extend_from_slice(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_xml_where_its_type_says_so() {
        for (kind, expected) in [
            ("application/xml", true),
            ("Text/XML; charset=utf-8", true),
            ("application/poslog+xml", true),
            ("application/octet-stream", false),
            ("application/xml-dtd", false),
            ("", false),
        ] {
            assert_eq!(is_xml(&HeaderValue::from_static(kind)), expected, "{kind}");
        }
    }

    #[test]
    fn a_path_leads_to_its_route_or_to_the_reason_why_not() {
        let find = |method: Method, path: &str| Route::find(&method, path).map(|_| ());
        assert_eq!(find(Method::POST, "/v1/stores/S0042/tlog"), Ok(()));
        assert_eq!(find(Method::POST, "/v1/stores/S0042/marks"), Ok(()));
        assert_eq!(find(Method::POST, "/capture"), Ok(()));
        assert_eq!(find(Method::GET, "/health"), Ok(()));
        assert_eq!(find(Method::GET, "/v1/stores/S0042"), Err(Refusal::NotFound));
        assert_eq!(
            find(Method::POST, "/v1/stores/S0042/x/tlog"),
            Err(Refusal::NotFound)
        );
        assert_eq!(
            find(Method::GET, "/capture"),
            Err(Refusal::Method { allowed: "POST" })
        );
        assert!(matches!(
            find(Method::POST, "/v1/stores/W0001/tlog"),
            Err(Refusal::Bad(_))
        ));
        assert!(matches!(
            find(Method::POST, "/v1/stores/W0001/marks"),
            Err(Refusal::Bad(_))
        ));
        assert!(matches!(
            find(Method::POST, "/v1/stores/42/tlog"),
            Err(Refusal::Bad(_))
        ));
    }
}
