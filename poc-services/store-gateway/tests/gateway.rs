//! The gateway against the embedded broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backbone::{Backbone, BackboneOptions};
use bytes::Bytes;
use contracts::ids::{Gtin, LocationId, Money, Quantity, TimeMs};
use contracts::topics::{self, PARTITIONS, SCAN_RAW, TLOG_RAW, headers, partition_of};
use contracts::wire::epcis::{self, BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use contracts::wire::poslog::DOCUMENT_BYTES_MAX;
use contracts::wire::tlog4690::{Header, ReceiptWriter};
use contracts::wire::{FORMAT_4690, FORMAT_EPCIS, FORMAT_POSLOG_2, FORMAT_POSLOG_6, FORMAT_SOURCE_MARK};
use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, Moment, When};
use embedded::broker::{Broker, BrokerOptions};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use store_gateway::{Config, Counters, Gateway, GatewayError, Summary};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const STORE: LocationId = LocationId::store(42);

struct Stage {
    broker: Broker,
    backbone: Backbone,
    address: SocketAddr,
    counters: Arc<Counters>,
    cancel: CancellationToken,
    gateway: JoinHandle<Result<Summary, GatewayError>>,
}

impl Stage {
    async fn start(config: Config) -> Self {
        Self::start_with(config, &[]).await
    }

    /// With settings of the clients.
    async fn start_with(config: Config, settings: &[(&str, &str)]) -> Self {
        let broker = Broker::start(BrokerOptions::default()).await.expect("broker");
        let options = BackboneOptions {
            bootstrap: broker.bootstrap(),
            label: "test".into(),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            compress: false,
        };
        let backbone = tokio::task::spawn_blocking(|| Backbone::connect(options))
            .await
            .expect("joins")
            .expect("connects");
        backbone.ensure_topics(&topics::ALL).await.expect("topics");
        let counters = Arc::clone(&config.counters);
        let gateway = Gateway::bind(config, &backbone).await.expect("binds");
        let address = gateway.local_addr();
        let cancel = CancellationToken::new();
        let gateway = tokio::spawn(gateway.run(cancel.clone()));
        Self {
            broker,
            backbone,
            address,
            counters,
            cancel,
            gateway,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        intended: &str,
        body: Vec<u8>,
    ) -> (StatusCode, Value, bool) {
        self.send_as("application/octet-stream", method, path, intended, body)
            .await
    }

    async fn send_xml(&self, path: &str, intended: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let kind = "application/xml; charset=utf-8";
        let (status, answer, _) = self.send_as(kind, Method::POST, path, intended, body).await;
        (status, answer)
    }

    async fn send_as(
        &self,
        kind: &str,
        method: Method,
        path: &str,
        intended: &str,
        body: Vec<u8>,
    ) -> (StatusCode, Value, bool) {
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("shakes hands");
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gateway")
            .header("intended-at", intended)
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))
            .expect("valid request");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let retry = answer.headers().contains_key("retry-after");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        drop(sender);
        let _ = connection.await;
        (status, serde_json::from_slice(&body).expect("JSON"), retry)
    }

    /// All of a topic: partition, key, bytes, timestamp, format.
    async fn read(
        &self,
        topic: &'static str,
        count: usize,
    ) -> Vec<(u32, Vec<u8>, Vec<u8>, Option<i64>, Vec<u8>)> {
        let backbone = self.backbone.clone();
        tokio::task::spawn_blocking(move || {
            let reader = backbone
                .reader_from_beginning("test-reader", topic, PARTITIONS)
                .expect("reader");
            let deadline = Instant::now() + Duration::from_secs(20);
            let mut found = Vec::new();
            while found.len() < count && Instant::now() < deadline {
                if let Some(record) = reader.poll(Duration::from_millis(100)).expect("polls") {
                    found.push((
                        record.partition(),
                        record.key().to_vec(),
                        record.payload().unwrap_or_default().to_vec(),
                        record.timestamp_ms(),
                        record.header(headers::FORMAT).unwrap_or_default().to_vec(),
                    ));
                }
            }
            found
        })
        .await
        .expect("joins")
    }

    async fn end(self) -> Summary {
        self.cancel.cancel();
        let summary = self.gateway.await.expect("joins").expect("ends well");
        self.broker.shutdown().await;
        summary
    }
}

fn receipt(number: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header {
        terminal: 3,
        number,
        at: TimeMs(1_773_650_400_000),
        transaction_type: 0,
        strings: 1,
        operator: 7,
        password: None,
        gross_positive: Money(0),
        gross_negative: Money(0),
        ring_seconds: 0,
        tender_seconds: 0,
        inactive_seconds: 0,
        flags: 0,
    };
    ReceiptWriter::begin(&mut out, &header).finish();
    out
}

fn document() -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::begin(&mut out, TimeMs(1_773_650_400_000));
    let gtin = Gtin::from_body(61_414_199_999).expect("a GTIN");
    writer.event(&ScanEvent {
        reader: 1,
        running_number: 5,
        location: STORE,
        at: TimeMs(1_773_650_400_000),
        step: BizStep::Stocking,
        despatch_advice: None,
        sub_location: SubLocation::Floor,
        lines: &[ScanLine::moved(gtin, Quantity::units(2))],
    });
    writer.finish();
    out
}

/// An instant that retention does not touch.
fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as i64
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_batch_is_one_acknowledged_message_a_receipt() {
    let stage = Stage::start(Config::default()).await;
    let receipts = [receipt(1), receipt(2), receipt(3)];
    let due = now_ms() - 60_000;
    let intended = format!("{},{},{}", due, due + 1, due + 2);
    let (status, body, _) = stage
        .send(
            Method::POST,
            "/v1/stores/S0042/tlog",
            &intended,
            receipts.concat(),
        )
        .await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "accepted": 3 })));
    // Acknowledged before the answer: the broker has them, no waiting.
    assert_eq!(stage.broker.stats().appended_records(TLOG_RAW), 3);
    let expected: Vec<_> = (0_i64..)
        .zip(receipts)
        .map(|(index, bytes)| {
            let format = FORMAT_4690.as_bytes().to_vec();
            (
                partition_of(STORE),
                b"S0042".to_vec(),
                bytes,
                Some(due + index),
                format,
            )
        })
        .collect();
    assert_eq!(stage.read(TLOG_RAW, 3).await, expected);
    let summary = stage.end().await;
    assert_eq!((summary.requests, summary.messages, summary.busy), (1, 3, 0));
}

/// Whatever is framed goes on, however hostile: it is the normaliser that reads.
#[tokio::test(flavor = "multi_thread")]
async fn poslog_documents_go_whole_with_the_format_that_their_root_says() {
    let stage = Stage::start(Config::default()).await;
    let documents: [(&[u8], &str); 4] = [
        (b"<POSLog MajorVersion=\"6\"></POSLog>", FORMAT_POSLOG_6),
        (b"<?xml version=\"1.0\"?><POSLog></POSLog>", FORMAT_POSLOG_2),
        (
            b"<!DOCTYPE p [<!ENTITY a \"b\">]><POSLog>&a;</POSLog>",
            FORMAT_POSLOG_2,
        ),
        (b"<not xml at all>", FORMAT_POSLOG_2),
    ];
    let due = now_ms() - 60_000;
    let body = documents.map(|(document, _)| document).join(&b"\x1e"[..]);
    let answer = stage
        .send_xml("/v1/stores/S0042/tlog", &due.to_string(), body)
        .await;
    assert_eq!(answer, (StatusCode::OK, json!({ "accepted": 4 })));
    let expected = documents.map(|(document, format)| {
        let (key, format) = (b"S0042".to_vec(), format.as_bytes().to_vec());
        (partition_of(STORE), key, document.to_vec(), Some(due), format)
    });
    assert_eq!(stage.read(TLOG_RAW, 4).await, expected);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_broken_framing_of_poslog_is_refused_and_the_rest_is_taken() {
    let stage = Stage::start(Config::default()).await;
    let path = "/v1/stores/S0042/tlog";
    let body = b"<POSLog/>\x1eno document\x1e<POSLog/>".to_vec();
    let (status, answer) = stage.send_xml(path, "1", body).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::BAD_REQUEST, &json!(2))
    );
    assert_eq!(answer["rejected"][0]["offset"], 10);
    assert_eq!(stage.broker.stats().appended_records(TLOG_RAW), 2);
    let (status, _) = stage.send_xml(path, "1", b" \n".to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "nothing at all");
    let mut long = b"<POSLog>".to_vec();
    long.resize(DOCUMENT_BYTES_MAX, b' ');
    long.extend_from_slice(b"</POSLog>");
    let (status, answer) = stage.send_xml(path, "1", long).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::BAD_REQUEST, &json!(0))
    );
    assert_eq!(stage.broker.stats().appended_records(TLOG_RAW), 2);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_documents_that_are_taken_fit_into_kafka() {
    let stage = Stage::start(Config::default()).await;
    let mut receipts = b"<POSLog>".to_vec();
    receipts.resize(DOCUMENT_BYTES_MAX - b"</POSLog>".len(), b' ');
    receipts.extend_from_slice(b"</POSLog>");
    let (status, _) = stage.send_xml("/v1/stores/S0042/tlog", "1", receipts).await;
    assert_eq!(status, StatusCode::OK);
    let mut scans = document();
    scans.resize(epcis::DOCUMENT_BYTES_MAX, b' ');
    let (status, _, _) = stage.send(Method::POST, "/capture", "1", scans).await;
    assert_eq!(status, StatusCode::CREATED);
    for topic in [TLOG_RAW, SCAN_RAW] {
        assert_eq!(stage.broker.stats().appended_records(topic), 1, "{topic}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_never_takes_is_refused_for_good_and_alone() {
    let stage = Stage::start_with(Config::default(), &[("message.max.bytes", "10000")]).await;
    let mut long = b"<POSLog>".to_vec();
    long.resize(20_000, b' ');
    let body = [&b"<POSLog/>\x1e"[..], &long, b"</POSLog>\x1e<POSLog/>"].concat();
    let (status, answer) = stage.send_xml("/v1/stores/S0042/tlog", "1", body).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::BAD_REQUEST, &json!(2))
    );
    assert_eq!(answer["rejected"][0]["offset"], 10);
    assert_eq!(stage.broker.stats().appended_records(TLOG_RAW), 2);
    let mut scans = document();
    scans.resize(20_000, b' ');
    let (status, _, is_to_come_again) = stage.send(Method::POST, "/capture", "1", scans).await;
    assert_eq!(
        (status, is_to_come_again),
        (StatusCode::UNPROCESSABLE_ENTITY, false)
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_that_has_not_come_yet_is_that_of_a_clock_that_is_ahead() {
    let stage = Stage::start(Config::default()).await;
    let hours_ahead = now_ms() + 10 * 3_600_000;
    let (status, _, _) = stage
        .send(Method::POST, "/capture", &hours_ahead.to_string(), document())
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let timestamp = stage.read(SCAN_RAW, 1).await[0].3.expect("a timestamp");
    assert!(timestamp <= now_ms(), "{timestamp}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_whole_to_the_partition_of_its_place() {
    let stage = Stage::start(Config::default()).await;
    let due = now_ms();
    let (status, body, _) = stage
        .send(Method::POST, "/capture", &due.to_string(), document())
        .await;
    assert_eq!((status, body), (StatusCode::CREATED, json!({ "accepted": 1 })));
    let format = FORMAT_EPCIS.as_bytes().to_vec();
    assert_eq!(
        stage.read(SCAN_RAW, 1).await,
        [(
            partition_of(STORE),
            b"S0042".to_vec(),
            document(),
            Some(due),
            format
        )]
    );
    let (status, _, _) = stage.send(Method::POST, "/capture", "1", b"{}".to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_goes_whole_beside_the_receipts_of_its_store_and_is_no_transaction() {
    let stage = Stage::start(Config {
        sabotage: Some("drop:1/1@store-gateway".parse().expect("valid")),
        ..Config::default()
    })
    .await;
    let mark = br#"{"store":"S0042","clock":"2026-03-16T10:14:22.123Z","sources":[{"reader":1,"last":88}]}"#;
    let due = now_ms();
    let path = "/v1/stores/S0042/marks";
    let (status, answer, _) = stage
        .send(Method::POST, path, &due.to_string(), mark.to_vec())
        .await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "accepted": 1 })));
    let found = stage.read(TLOG_RAW, 1).await;
    let expected = (
        partition_of(STORE),
        b"S0042".to_vec(),
        mark.to_vec(),
        Some(due),
        FORMAT_SOURCE_MARK.as_bytes().to_vec(),
    );
    assert_eq!(found, [expected]);
    let (status, _, _) = stage.send(Method::POST, path, "1", Vec::new()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _, _) = stage.send(Method::POST, path, "1", vec![b' '; 65_537]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let summary = stage.end().await;
    assert_eq!((summary.marks, summary.messages, summary.rejected), (1, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_framing_is_named_by_its_offset_and_the_rest_is_accepted() {
    let stage = Stage::start(Config::default()).await;
    let first = receipt(1);
    let offset = first.len();
    let body = [first.as_slice(), b"rubbish", &receipt(2)].concat();
    let (status, answer, retry) = stage
        .send(Method::POST, "/v1/stores/S0042/tlog", &now_ms().to_string(), body)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(!retry, "the same again would not help");
    assert_eq!(answer["accepted"], 2);
    assert_eq!(answer["rejected"][0]["offset"], offset, "{answer}");
    assert_eq!(stage.broker.stats().appended_records(TLOG_RAW), 2);
    assert_eq!(stage.end().await.rejected, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_elsewhere_or_otherwise_is_refused_for_good() {
    let config = Config {
        max_body_bytes: 100,
        ..Config::default()
    };
    let stage = Stage::start(config).await;
    for (method, path, intended, length, expected) in [
        (
            Method::POST,
            "/v1/stores/S0042/tlog",
            "1",
            101,
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (Method::POST, "/v1/stores/S0042", "1", 1, StatusCode::NOT_FOUND),
        (
            Method::GET,
            "/v1/stores/S0042/tlog",
            "1",
            0,
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            Method::POST,
            "/v1/stores/S0042/tlog",
            "soon",
            1,
            StatusCode::BAD_REQUEST,
        ),
        (Method::GET, "/health", "1", 0, StatusCode::OK),
    ] {
        let (status, _, retry) = stage.send(method, path, intended, vec![b'x'; length]).await;
        assert_eq!((status, retry), (expected, false), "{path}");
    }
    assert_eq!(stage.broker.stats().appended_records(TLOG_RAW), 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_bytes_under_way_callers_are_told_to_come_back() {
    let config = Config {
        max_in_flight_bytes: 10,
        ..Config::default()
    };
    let stage = Stage::start(config).await;
    let (status, _, retry) = stage
        .send(Method::POST, "/v1/stores/S0042/tlog", "1", receipt(1))
        .await;
    assert_eq!((status, retry), (StatusCode::TOO_MANY_REQUESTS, true));
    assert_eq!(stage.counters.busy.load(Ordering::Relaxed), 1);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_acknowledgement_the_answer_is_to_come_back() {
    let stage = Stage::start(Config::default()).await;
    for node in stage.broker.stats().live_nodes {
        stage.broker.stop_node(node).await.expect("stops");
    }
    let (status, _, retry) = stage
        .send(Method::POST, "/v1/stores/S0042/tlog", "1", receipt(1))
        .await;
    assert_eq!((status, retry), (StatusCode::SERVICE_UNAVAILABLE, true));
    let summary = stage.end().await;
    assert_eq!((summary.messages, summary.busy), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_kafka_that_failed_for_good_costs_one_upload_and_not_those_behind_it() {
    let stage = Stage::start(Config::default()).await;
    let faults = stage.broker.faults();
    let effect = Effect::Error(ErrorCode::OutOfOrderSequenceNumber, Moment::Before);
    let fault = Fault::new(effect).api(Api::Produce).topic(TLOG_RAW);
    let fault = faults.add(fault.when(When::Times(1)));
    let upload = || stage.send(Method::POST, "/v1/stores/S0042/tlog", "1", receipt(1));
    let (status, _, is_to_come_again) = upload().await;
    assert_eq!(
        (status, is_to_come_again),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
    assert_eq!(faults.hits(fault), 1);
    for _ in 0..2 {
        let (status, answer, _) = upload().await;
        assert_eq!((status, answer), (StatusCode::OK, json!({ "accepted": 1 })));
    }
    let summary = stage.end().await;
    assert_eq!((summary.messages, summary.busy), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_what_to_do() {
    let stage = Stage::start(Config::default()).await;
    let config = Config {
        listen: stage.address,
        ..Config::default()
    };
    let error = Gateway::bind(config, &stage.backbone)
        .await
        .err()
        .expect("in use");
    let text = error.to_string();
    assert!(text.contains(&stage.address.to_string()), "{text}");
    assert!(text.contains("another port"), "{text}");
    stage.end().await;
}
