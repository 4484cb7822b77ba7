//! Header names of the `*.raw` topics. A raw message's Kafka timestamp is the instant when it was due to be sent.

/// One of [`crate::wire::FORMATS`].
pub const FORMAT: &str = "format";
/// Wall clock milliseconds, decimal text: when our edge took it.
pub const RECEIVED: &str = "received-ms";
/// Of `mq.raw`, as the queue had them: the group of a message, its place in it from 1, and whether it is the last (`true`).
pub const GROUP_ID: &str = "amqp-group-id";
pub const GROUP_SEQUENCE: &str = "amqp-group-sequence";
pub const LAST_IN_GROUP: &str = "amqp-app-JMS_IBM_Last_Msg_In_Group";
/// Milliseconds since 1970, decimal text: when the store's server took the last transaction of a till's message, by the
/// server's own clock. Where it is missing, nobody tells.
pub const JOURNALED: &str = "journaled-ms";
/// Dead letters: where the message stood, what is wrong with it (a class for machines, a sentence for people).
pub const DLQ_TOPIC: &str = "dlq-topic";
pub const DLQ_PARTITION: &str = "dlq-partition";
pub const DLQ_OFFSET: &str = "dlq-offset";
pub const DLQ_CLASS: &str = "dlq-class";
pub const DLQ_MESSAGE: &str = "dlq-message";
/// Where the message is too long even for them: how many bytes it has. They are where it stood, as long as that is kept.
pub const DLQ_LEFT_OUT: &str = "dlq-bytes-left-out";
/// All that the dead letters put on a message begin so.
pub const DLQ: &str = "dlq-";
/// Of a raw message that was put back from the dead letters: the offset that it had before, in the same partition.
pub const REPLAY_OF: &str = "replay-of";
