//! Health and Prometheus metrics of a service that runs as a process: `/health` and `/metrics` on one address.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 16;

/// A name, its help, and its value now.
pub type Metric = (&'static str, &'static str, u64);

/// What a service tells of itself.
pub trait Observed: Send + Sync + 'static {
    fn service(&self) -> &'static str;
    /// Counters since the start.
    fn metrics(&self) -> Vec<Metric>;
}

pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

pub async fn serve(listener: TcpListener, observed: Arc<dyn Observed>, cancel: CancellationToken) {
    let slots = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let tasks = tokio_util::task::TaskTracker::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "metrics listener");
                    continue;
                }
            },
            () = cancel.cancelled() => break,
        };
        let observed = Arc::clone(&observed);
        let cancel = cancel.clone();
        tasks.spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &*observed);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                served = connection => if let Err(error) = served {
                    tracing::debug!(%error, "metrics connection");
                },
                () = cancel.cancelled() => {}
            }
            drop(slot);
        });
    }
    tasks.close();
    tasks.wait().await;
}

fn answer(request: &Request<Incoming>, observed: &dyn Observed) -> Response<Full<Bytes>> {
    let (status, kind, body) = match request.uri().path() {
        "/health" => (
            StatusCode::OK,
            "application/json",
            format!("{{\"service\":\"{}\",\"status\":\"up\"}}\n", observed.service()),
        ),
        "/metrics" => (StatusCode::OK, "text/plain; version=0.0.4", exposition(observed)),
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "try /health or /metrics\n".to_owned(),
        ),
    };
    Response::builder()
        .status(status)
        .header(hyper::header::CONTENT_TYPE, kind)
        .body(Full::new(Bytes::from(body)))
        .expect("constant headers are valid")
}

/// Prometheus' text format: counters end in `_total`, everything else is a gauge.
fn exposition(observed: &dyn Observed) -> String {
    use std::fmt::Write as _;
    let prefix = format!("stockstream_{}", observed.service().replace('-', "_"));
    let mut text = String::new();
    for (name, help, value) in observed.metrics() {
        let kind = if name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        };
        let _ = writeln!(
            text,
            "# HELP {prefix}_{name} {help}\n# TYPE {prefix}_{name} {kind}\n{prefix}_{name} {value}"
        );
    }
    text
}
