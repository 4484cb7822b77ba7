//! One request: its body within bounds, its messages to Kafka, its answer when they are acknowledged.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use backbone::BatchAck;
use bytes::Bytes;
use contracts::ids::LocationId;
use contracts::topics::{SCAN_RAW, TLOG_RAW, headers, partition_of};
use contracts::wire::{FORMAT_4690, FORMAT_EPCIS, tlog4690};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use crate::answer::{Answer, answer, error};
use crate::{BODY_TIMEOUT, Counters, Shared};

/// Faults of one body that are listed; the rest are counted.
const FAULTS_LISTED: usize = 20;

enum Route {
    Tlog(LocationId),
    Capture,
}

pub async fn handle(shared: &Shared, request: Request<Incoming>) -> Answer {
    Counters::add(&shared.config.counters.requests, 1);
    let route = match route(&request) {
        Ok(route) => route,
        Err(refused) => return refused,
    };
    let intended = match intended(&request) {
        Ok(intended) => intended,
        Err(message) => return error(StatusCode::BAD_REQUEST, &message),
    };
    let bytes_max = shared.config.body_bytes_max;
    let announced = request.body().size_hint().exact().unwrap_or(bytes_max as u64);
    let too_large = || error(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body has {bytes_max} bytes at most; send smaller batches"));
    if announced > bytes_max as u64 {
        return too_large();
    }
    let Ok(_room) = Arc::clone(&shared.room).try_acquire_many_owned(announced as u32) else {
        Counters::add(&shared.config.counters.busy, 1);
        return error(StatusCode::TOO_MANY_REQUESTS, "too much is under way; keep the batch and come back");
    };
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(request.into_body(), bytes_max).collect()).await {
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        Ok(Err(broken)) if broken.downcast_ref::<LengthLimitError>().is_some() => return too_large(),
        Ok(Err(broken)) => {
            return error(StatusCode::BAD_REQUEST, &format!("the body ended early, nothing of it was taken: {broken}"));
        }
        Ok(Ok(body)) => body.to_bytes(),
    };
    Counters::add(&shared.config.counters.bytes, body.len() as u64);
    match route {
        Route::Tlog(store) => tlog(shared, store, &body, &intended).await,
        Route::Capture => capture(shared, &body, &intended).await,
    }
}

fn route(request: &Request<Incoming>) -> Result<Route, Answer> {
    let path = request.uri().path();
    if path == "/health" {
        return Err(answer(StatusCode::OK, &json!({ "status": "up" })));
    }
    let route = if path == "/capture" {
        Route::Capture
    } else if let Some(store) = path.strip_prefix("/v1/stores/").and_then(|rest| rest.strip_suffix("/tlog")) {
        match store.parse::<LocationId>() {
            Ok(store) if store.is_store() => Route::Tlog(store),
            _ => {
                return Err(error(StatusCode::BAD_REQUEST, "the path names no store: /v1/stores/S0042/tlog"));
            }
        }
    } else {
        return Err(error(StatusCode::NOT_FOUND, "POST /v1/stores/{store}/tlog or /capture"));
    };
    if request.method() == Method::POST {
        Ok(route)
    } else {
        Err(error(StatusCode::METHOD_NOT_ALLOWED, "only POST"))
    }
}

/// Instants when the messages were due; without the header, now.
fn intended(request: &Request<Incoming>) -> Result<Vec<i64>, String> {
    let Some(header) = request.headers().get("intended-at") else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        return Ok(vec![now]);
    };
    let wrong = || "Intended-At: milliseconds since 1970, one for all messages or one each, with commas".to_owned();
    header
        .to_str()
        .map_err(|_| wrong())?
        .split(',')
        .map(|text| text.trim().parse::<i64>().ok().filter(|ms| *ms >= 0).ok_or_else(wrong))
        .collect()
}

async fn tlog(shared: &Shared, store: LocationId, body: &Bytes, intended: &[i64]) -> Answer {
    let key = store.to_string();
    let partition = partition_of(store);
    let ack = BatchAck::new();
    let mut accepted = 0_u64;
    let mut faults = Vec::new();
    let mut fault_count = 0_u64;
    let mut busy = false;
    for frame in tlog4690::frames(body) {
        let range = match frame {
            Ok(range) => range,
            Err(fault) => {
                fault_count += 1;
                if faults.len() < FAULTS_LISTED {
                    faults.push(json!({ "offset": fault.offset, "resumed": fault.resumed, "reason": fault.to_string() }));
                }
                continue;
            }
        };
        let due = intended.get(accepted as usize).or(intended.last()).copied();
        let format: [(&str, &[u8]); 1] = [(headers::FORMAT, FORMAT_4690.as_bytes())];
        match shared.producer.try_send(&ack, TLOG_RAW, partition, key.as_bytes(), &body[range], due, &format) {
            Ok(true) => accepted += 1,
            Ok(false) => {
                busy = true;
                break;
            }
            Err(failed) => {
                tracing::warn!(%failed, "tlog.raw");
                busy = true;
                break;
            }
        }
    }
    if let Some(refused) = settle(shared, ack, busy).await {
        return refused;
    }
    Counters::add(&shared.config.counters.receipts, accepted);
    Counters::add(&shared.config.counters.rejected, fault_count);
    if fault_count == 0 {
        answer(StatusCode::OK, &json!({ "accepted": accepted }))
    } else {
        answer(
            StatusCode::BAD_REQUEST,
            &json!({ "accepted": accepted, "rejected_count": fault_count, "rejected": faults }),
        )
    }
}

/// Waits for Kafka. What was sent before the queue was full may come twice; its identity tells.
async fn settle(shared: &Shared, ack: Arc<BatchAck>, busy: bool) -> Option<Answer> {
    let acknowledged = ack.wait().await;
    let reason = match (busy, acknowledged) {
        (false, Ok(())) => return None,
        (true, _) => "Kafka takes no more just now; keep the batch and come back".to_owned(),
        (false, Err(failed)) => format!("Kafka did not acknowledge, keep the batch and come back: {failed}"),
    };
    Counters::add(&shared.config.counters.busy, 1);
    Some(error(StatusCode::SERVICE_UNAVAILABLE, &reason))
}

async fn capture(shared: &Shared, body: &Bytes, intended: &[i64]) -> Answer {
    let Some(location) = place_of(body) else {
        return error(
            StatusCode::BAD_REQUEST,
            "no event of the document names a known place: bizLocation or readPoint with an id",
        );
    };
    let key = location.to_string();
    let ack = BatchAck::new();
    let due = intended.first().copied();
    let format: [(&str, &[u8]); 1] = [(headers::FORMAT, FORMAT_EPCIS.as_bytes())];
    let partition = partition_of(location);
    let sent = shared.producer.try_send(&ack, SCAN_RAW, partition, key.as_bytes(), body, due, &format);
    if let Some(refused) = settle(shared, ack, !matches!(sent, Ok(true))).await {
        return refused;
    }
    Counters::add(&shared.config.counters.documents, 1);
    answer(StatusCode::CREATED, &json!({ "captured": 1 }))
}

/// The place of the first event, without reading the rest: a document is parsed once, behind Kafka.
fn place_of(body: &[u8]) -> Option<LocationId> {
    contracts::wire::epcis::location_of(body)
}
