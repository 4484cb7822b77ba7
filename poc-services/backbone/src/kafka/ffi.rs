//! What the safe wrapper of librdkafka does not offer. The only unsafe code of the workspace.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{IsError as _, KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;

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

/// A topic as a producer knows it. It must go before the producer does.
pub struct Topic(*mut sys::rd_kafka_topic_t);

// SAFETY: librdkafka counts references to a topic and locks what is in it.
unsafe impl Send for Topic {}

impl Topic {
    pub fn new<C: ClientContext>(client: &Client<C>, name: &str) -> KafkaResult<Self> {
        let text = CString::new(name).map_err(KafkaError::Nul)?;
        // SAFETY: the client is borrowed for the call; the name is copied; no configuration means the producer's own.
        let topic =
            unsafe { sys::rd_kafka_topic_new(client.native_ptr(), text.as_ptr(), std::ptr::null_mut()) };
        if topic.is_null() {
            // SAFETY: it reads the calling thread's last error.
            let code = unsafe { sys::rd_kafka_last_error() };
            return Err(KafkaError::MessageProduction(code.into()));
        }
        Ok(Self(topic))
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it was made by `new`, and nobody has it any more.
        unsafe { sys::rd_kafka_topic_destroy(self.0) }
    }
}

/// Queues records of one partition at once, which costs a fraction of as many single ones: key, and payload where it is no
/// tombstone. How many were taken, from the first on, and what is wrong with the next.
pub fn produce<'a>(
    topic: &Topic,
    partition: u32,
    records: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> (usize, Option<KafkaError>) {
    let mut messages: Vec<sys::rd_kafka_message_t> = records
        .map(|(key, payload)| {
            // SAFETY: a message of zeros is one without key, payload and error.
            let mut message: sys::rd_kafka_message_t = unsafe { std::mem::zeroed() };
            message.key = key.as_ptr().cast_mut().cast();
            message.key_len = key.len();
            if let Some(payload) = payload {
                message.payload = payload.as_ptr().cast_mut().cast();
                message.len = payload.len();
            }
            message
        })
        .collect();
    let count = i32::try_from(messages.len()).unwrap_or(i32::MAX);
    // SAFETY: keys and payloads are borrowed for the call, which copies them; the array has as many messages as it says.
    unsafe {
        sys::rd_kafka_produce_batch(
            topic.0,
            partition as i32,
            sys::RD_KAFKA_MSG_F_COPY,
            messages.as_mut_ptr(),
            count,
        );
    }
    // Where the queue is full the rest is refused as well, so that no order is lost.
    let refused = messages.iter().position(|message| message.err.is_error());
    match refused {
        None => (messages.len(), None),
        Some(first) => (
            first,
            Some(KafkaError::MessageProduction(messages[first].err.into())),
        ),
    }
}

/// Puts the next offset in the log of each partition into the list: one request a leader, whatever kind the client is.
/// All offsets of the list are to be `Offset::End`.
pub fn ends<C: ClientContext>(
    client: &Client<C>,
    list: &mut TopicPartitionList,
    timeout: Duration,
) -> KafkaResult<()> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: client and list are borrowed for the call, so their native handles are alive, and nobody else has the list.
    let code = unsafe { sys::rd_kafka_offsets_for_times(client.native_ptr(), list.ptr(), timeout_ms) };
    if code.is_error() {
        Err(KafkaError::OffsetFetch(code.into()))
    } else {
        Ok(())
    }
}

/// The leader epoch in which a record was written; -1 where the broker does not tell.
pub fn leader_epoch(message: &BorrowedMessage<'_>) -> i32 {
    // SAFETY: the message is borrowed, so the native one is alive.
    unsafe { sys::rd_kafka_message_leader_epoch(message.ptr()) }
}

/// Says in which leader epoch the record before a partition's offset was written, so that the client can have the broker
/// check it.
pub fn set_leader_epoch(list: &mut TopicPartitionList, index: usize, leader_epoch: i32) {
    if index >= list.count() {
        return;
    }
    // SAFETY: the list is ours alone, and has more elements than `index`.
    unsafe {
        let element = (*list.ptr()).elems.add(index);
        sys::rd_kafka_topic_partition_set_leader_epoch(element, leader_epoch);
    }
}

/// The leader epoch of the record before an offset that a group committed; -1 where none was committed with it.
pub fn committed_leader_epoch(list: &TopicPartitionList, index: usize) -> i32 {
    if index >= list.count() {
        return -1;
    }
    // SAFETY: the list is borrowed, and has more elements than `index`.
    unsafe {
        let element = (*list.ptr()).elems.add(index);
        sys::rd_kafka_topic_partition_get_leader_epoch(element)
    }
}

/// The id that the cluster gave a topic when it was created; an error says why there is none.
pub fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<String, String> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let name = CString::new(topic).map_err(|error| error.to_string())?;
    let rk = client.native_ptr();
    let mut names = [name.as_ptr()];
    // SAFETY: the client is borrowed, so its handle is alive. What is made here is destroyed here, once, behind its last
    // use; the call copies the names; the event owns what is read out of it, and is destroyed behind that.
    unsafe {
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        let queue = sys::rd_kafka_queue_new(rk);
        sys::rd_kafka_DescribeTopics(rk, topics, std::ptr::null(), queue);
        sys::rd_kafka_TopicCollection_destroy(topics);
        let event = sys::rd_kafka_queue_poll(queue, timeout_ms);
        let id = if event.is_null() {
            Err("no answer in time".to_owned())
        } else {
            let id = described_id(event);
            sys::rd_kafka_event_destroy(event);
            id
        };
        sys::rd_kafka_queue_destroy(queue);
        id
    }
}

/// # Safety
/// The event is alive.
unsafe fn described_id(event: *mut sys::rd_kafka_event_t) -> Result<String, String> {
    // SAFETY: all of these only look into the event; a result is asked for only where the event has one.
    unsafe {
        if sys::rd_kafka_event_error(event).is_error() {
            let text = sys::rd_kafka_event_error_string(event);
            return Err(CStr::from_ptr(text).to_string_lossy().into_owned());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err("the answer is none to the question".into());
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count == 0 || topics.is_null() {
            return Err("the topic is unknown".into());
        }
        let topic = *topics;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && sys::rd_kafka_error_code(error).is_error() {
            let text = sys::rd_kafka_error_string(error);
            return Err(CStr::from_ptr(text).to_string_lossy().into_owned());
        }
        let id = sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic));
        if id.is_null() {
            return Err("the topic has no id".into());
        }
        Ok(CStr::from_ptr(id).to_string_lossy().into_owned())
    }
}
