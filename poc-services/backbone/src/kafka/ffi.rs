//! What the safe wrapper of librdkafka does not offer. The only unsafe code of the workspace.
#![allow(unsafe_code)]

use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{IsError as _, KafkaError, KafkaResult};

/// Waits until nothing is queued or in flight, sending at once what would linger.
///
/// The wrapper's own flush polls for delivery reports in steps of 100 ms, and where reports are for errors only there
/// is nothing to poll for: every flush would take 100 ms. Here librdkafka wakes the caller when its count is zero.
pub fn flush<C: ClientContext>(client: &Client<C>, timeout: Duration) -> KafkaResult<()> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is borrowed for the call, so its native handle is alive; the function is thread-safe.
    let code = unsafe { rdkafka_sys::rd_kafka_flush(client.native_ptr(), timeout_ms) };
    if code.is_error() {
        Err(KafkaError::Flush(code.into()))
    } else {
        Ok(())
    }
}
