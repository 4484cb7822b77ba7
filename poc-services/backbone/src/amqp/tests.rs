//! Against the embedded queue, through a line that can fall silent.

use std::pin::pin;

use embedded::queue::{BACKOUT, QueueOptions, QueueServer};
use fe2o3_amqp_types::messaging::{AmqpSequence, AmqpValue, Batch};
use fe2o3_amqp_types::primitives::OrderedMap;

use super::*;
use crate::proxy::{Direction, Fault, Proxy};

const QUEUE: &str = "ACME.TEST";
/// Shorter than a service's, and long enough for a machine that has other things to do.
const IDLE: Duration = Duration::from_secs(4);
const EMPTY_FRAME_BYTES: u64 = 8;
/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(1);

struct Stage {
    server: QueueServer,
    proxy: Proxy,
}

impl Stage {
    async fn start() -> Self {
        let server = QueueServer::start(QueueOptions::default())
            .await
            .expect("it starts");
        let target = server.url().rsplit('/').next().map(str::to_owned);
        let target = target.expect("host and port").parse().expect("an address");
        let proxy = Proxy::start(target).await.expect("a proxy");
        Self { server, proxy }
    }

    fn direct(&self) -> AmqpOptions {
        AmqpOptions {
            url: self.server.url(),
            user: None,
            password: None,
        }
    }

    fn through(&self) -> AmqpOptions {
        AmqpOptions {
            url: format!("amqp://{}", self.proxy.address()),
            ..self.direct()
        }
    }

    async fn receiver(&self) -> QueueReceiver {
        QueueReceiver::connect_with(&self.through(), QUEUE, 10, IDLE)
            .await
            .expect("connects")
    }

    async fn put(&self, body: &'static [u8]) {
        let mut sender = QueueSender::connect(&self.direct(), QUEUE)
            .await
            .expect("connects");
        sender.send_all(vec![message(body)]).await.expect("accepted");
        sender.close().await;
    }

    /// Puts what no sender of ours sends.
    async fn put_body(&self, body: Body<Value>) {
        let mut line = Line::open(&self.direct(), QUEUE, "test", IDLE)
            .await
            .expect("opens");
        let mut sender = Sender::attach(&mut line.session, "test", QUEUE)
            .await
            .expect("attaches");
        let message = Message::builder().body(body).build();
        sender.send(Sendable::from(message)).await.expect("sent");
        line.close().await;
    }

    /// Its host is gone, and nobody says so.
    fn fall_silent(&self) {
        self.proxy.set(Direction::ToServer, Fault::BlackHole);
        self.proxy.set(Direction::ToClient, Fault::BlackHole);
    }
}

fn message(body: &'static [u8]) -> QueueMessage {
    QueueMessage {
        body: Bytes::from_static(body),
        due_ms: 1,
        properties: MessageProperties::default(),
    }
}

async fn one(receiver: &mut QueueReceiver) -> Result<Received, AmqpError> {
    let batch = tokio::time::timeout(DEADLINE, receiver.recv_batch(1)).await;
    let batch = batch.expect("it comes, or the end of the line is noticed")?;
    Ok(batch.into_iter().next().expect("one"))
}

#[tokio::test]
async fn an_idle_line_stays_open_because_its_server_says_that_it_is_there() {
    let stage = Stage::start().await;
    let mut receiver = stage.receiver().await;
    // Each half of what it may be silent behind the last.
    let heard = stage.proxy.passed(Direction::ToClient) + 5 * EMPTY_FRAME_BYTES;
    let until_heard = tokio::time::timeout(DEADLINE, async {
        while stage.proxy.passed(Direction::ToClient) < heard {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut batch = pin!(receiver.recv_batch(1));
    tokio::select! {
        ended = &mut batch => panic!("nothing was sent: {:?}", ended.err()),
        heard = until_heard => heard.expect("the server sends empty frames"),
    }
    stage.put(b"late").await;
    let batch = batch.await.expect("the line is open");
    assert_eq!(batch[0].body, b"late");
}

#[tokio::test]
async fn a_receiver_whose_line_falls_silent_hears_of_its_end_and_another_goes_on() {
    let stage = Stage::start().await;
    let mut receiver = stage.receiver().await;
    stage.put(b"before").await;
    assert_eq!(one(&mut receiver).await.expect("it comes").body, b"before");
    stage.fall_silent();
    let ended = one(&mut receiver).await;
    assert!(ended.is_err(), "it has not heard anything");
    drop(receiver);
    stage.proxy.mend();
    let mut receiver = stage.receiver().await;
    let again = one(&mut receiver).await.expect("it comes again");
    assert_eq!(again.body, b"before", "it was not accepted");
    receiver.accept([&again]).await.expect("accepted");
}

#[tokio::test]
async fn a_sender_whose_line_falls_silent_hears_of_its_end() {
    let stage = Stage::start().await;
    let mut sender = QueueSender::connect_with(&stage.through(), QUEUE, IDLE)
        .await
        .expect("connects");
    sender.send_all(vec![message(b"before")]).await.expect("accepted");
    stage.fall_silent();
    let failed = sender.send_all(vec![message(b"inside")]).await;
    let failed = failed.expect_err("nobody accepts it");
    let is_of_the_line = !matches!(failed.source, AmqpError::Timeout { .. });
    assert!(is_of_the_line && failed.accepted == 0, "{failed:?}");
}

#[tokio::test]
async fn a_body_that_is_neither_bytes_nor_text_is_told_and_goes_whole_to_the_backout_queue() {
    let stage = Stage::start().await;
    let value = |value| Body::Value(AmqpValue(value));
    let list = || vec![Value::Uint(7), Value::String("seven".into())];
    let others = [
        value(Value::Map(OrderedMap::new())),
        value(Value::List(list())),
        Body::Sequence(Batch::new(vec![AmqpSequence(list())])),
    ];
    let count = others.len();
    for body in others {
        stage.put_body(body).await;
    }
    stage.put_body(value(Value::String("text".into()))).await;
    stage.put_body(value(Value::Null)).await;
    let mut receiver = stage.receiver().await;
    for _ in 0..count {
        let received = one(&mut receiver).await.expect("it comes");
        let reason = received.unreadable.as_deref().expect("it is told");
        assert!(reason.contains("neither bytes nor text"), "{reason}");
        receiver.reject(&received, reason).await.expect("rejected");
    }
    for bytes in [&b"text"[..], b""] {
        let received = one(&mut receiver).await.expect("it comes");
        assert_eq!((&received.body[..], &received.unreadable), (bytes, &None));
    }
    let backout = format!("{QUEUE}{BACKOUT}");
    let until_there = async {
        while stage.server.depth(&backout) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, until_there)
        .await
        .expect("all are there");
}
