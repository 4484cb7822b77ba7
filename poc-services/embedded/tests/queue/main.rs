//! What services rely on in a queue manager. With `STOCKSTREAM_AMQP` set, what is standard is tried on that one instead.

mod faults;
mod support;

use embedded::queue::{BACKOUT, QueueOptions};
use fe2o3_amqp::link::receiver::CreditMode;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use support::{
    Client, Server, bytes, embedded, failed, message, numbers, receive, receive_many, send, server, until,
};

#[tokio::test]
async fn messages_come_in_the_order_in_which_they_were_sent() {
    let server = server().await;
    let queue = server.queue("order");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    send(&mut sender, 0..300).await;
    let mut receiver = client.receiver(&queue, CreditMode::Auto(50)).await;
    for expected in 0..300 {
        let got = receive(&mut receiver).await;
        assert_eq!((got.number, got.deliveries), (expected, 0));
        receiver.accept(&got.delivery).await.expect("accepted");
    }
}

#[tokio::test]
async fn a_receiver_gets_as_many_as_it_gave_credit_for_and_another_gets_the_rest() {
    let server = server().await;
    let queue = server.queue("credit");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    send(&mut sender, 0..10).await;
    let mut few = client.receiver(&queue, CreditMode::Manual).await;
    few.set_credit(3).await.expect("credit");
    assert_eq!(numbers(&receive_many(&mut few, 3).await), [0, 1, 2]);
    // Whatever the first had been given beyond its credit would be missing here; between several receivers there is no order.
    let mut rest = client.receiver(&queue, CreditMode::Auto(100)).await;
    let mut others = numbers(&receive_many(&mut rest, 7).await);
    others.sort_unstable();
    assert_eq!(others, [3, 4, 5, 6, 7, 8, 9]);
    // New credit is for new messages.
    few.set_credit(1).await.expect("credit");
    rest.set_credit_mode(CreditMode::Manual);
    rest.set_credit(0).await.expect("credit");
    send(&mut sender, [10]).await;
    assert_eq!(receive(&mut few).await.number, 10);
}

#[tokio::test]
async fn every_message_goes_to_one_of_several_receivers() {
    let server = server().await;
    let queue = server.queue("share");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    let mut receivers = Vec::new();
    for _ in 0..2 {
        receivers.push(client.receiver(&queue, CreditMode::Manual).await);
    }
    send(&mut sender, 0..20).await;
    let mut all = Vec::new();
    for receiver in &mut receivers {
        receiver.set_credit(10).await.expect("credit");
        for got in receive_many(receiver, 10).await {
            receiver.accept(&got.delivery).await.expect("accepted");
            all.push(got.number);
        }
    }
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

/// Ends the client, and tells what a new one gets: the first so many messages, with their delivery counts.
async fn left(server: &Server, client: Client, queue: &str, count: usize) -> Vec<(u32, u32)> {
    client.close().await;
    let mut next = server.client().await;
    let mut receiver = next.receiver(queue, CreditMode::Auto(100)).await;
    receive_many(&mut receiver, count)
        .await
        .iter()
        .map(|got| (got.number, got.deliveries))
        .collect()
}

#[tokio::test]
async fn what_is_accepted_never_comes_again_and_what_is_not_comes_to_the_next() {
    let server = server().await;
    let queue = server.queue("accept");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    send(&mut sender, 0..10).await;
    let mut receiver = client.receiver(&queue, CreditMode::Auto(100)).await;
    let got = receive_many(&mut receiver, 10).await;
    // Every other one, in one frame each and several in one.
    receiver.accept(&got[1].delivery).await.expect("accepted");
    receiver
        .accept_all([&got[3].delivery, &got[5].delivery, &got[7].delivery])
        .await
        .expect("accepted");
    if let Some(embedded) = &server.embedded {
        until(|| embedded.depth(&queue) == 6).await;
    }
    let left = left(&server, client, &queue, 6).await;
    let numbers: Vec<_> = left.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 2, 4, 6, 8, 9]);
    // Artemis does not count what a connection took with it dependably.
    if server.embedded.is_some() {
        assert!(left.iter().all(|(_, deliveries)| *deliveries == 1), "{left:?}");
    }
}

#[tokio::test]
async fn a_released_message_comes_again_at_its_old_place() {
    let server = server().await;
    let queue = server.queue("release");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    send(&mut sender, 0..3).await;
    let mut receiver = client.receiver(&queue, CreditMode::Manual).await;
    receiver.set_credit(2).await.expect("credit");
    let got = receive_many(&mut receiver, 2).await;
    receiver
        .release_all([&got[0].delivery, &got[1].delivery])
        .await
        .expect("released");
    receiver.set_credit(3).await.expect("credit");
    let again = receive_many(&mut receiver, 3).await;
    assert_eq!(numbers(&again), [0, 1, 2]);
    if server.embedded.is_some() {
        assert!(again.iter().all(|got| got.deliveries == 0), "{again:?}");
    }
}

#[tokio::test]
async fn a_failed_delivery_is_counted() {
    let server = server().await;
    let queue = server.queue("modify");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    send(&mut sender, [7]).await;
    let mut receiver = client.receiver(&queue, CreditMode::Auto(10)).await;
    for deliveries in 0..3 {
        let got = receive(&mut receiver).await;
        assert_eq!((got.number, got.deliveries), (7, deliveries));
        receiver.modify(&got.delivery, failed()).await.expect("modified");
    }
    let got = receive(&mut receiver).await;
    assert_eq!(got.deliveries, 3);
    receiver.accept(&got.delivery).await.expect("accepted");
}

#[tokio::test]
async fn a_rejected_message_is_out_of_the_way_and_kept() {
    let server = server().await;
    let queue = server.queue("reject");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    send(&mut sender, 0..3).await;
    let mut receiver = client.receiver(&queue, CreditMode::Manual).await;
    receiver.set_credit(1).await.expect("credit");
    let got = receive(&mut receiver).await;
    receiver.reject(&got.delivery, None).await.expect("rejected");
    receiver.set_credit(2).await.expect("credit");
    let rest = receive_many(&mut receiver, 2).await;
    assert_eq!(numbers(&rest), [1, 2]);
    receiver
        .accept_all(rest.iter().map(|got| &got.delivery))
        .await
        .expect("accepted");
    // Where others keep it is theirs to say.
    if let Some(embedded) = &server.embedded {
        until(|| embedded.depth(&queue) == 0).await;
        let backout = format!("{queue}{BACKOUT}");
        assert_eq!((embedded.depth(&backout), embedded.depth_of_all()), (1, 0));
        assert_eq!(embedded.faults().counts().backed_out, 1);
        let mut kept = client.receiver(&backout, CreditMode::Auto(10)).await;
        let got = receive(&mut kept).await;
        assert_eq!((got.number, got.deliveries), (0, 0));
    }
}

#[tokio::test]
async fn a_link_that_is_closed_gives_back_what_it_had() {
    let server = server().await;
    let queue = server.queue("detach");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    send(&mut sender, 0..5).await;
    let mut first = client.receiver(&queue, CreditMode::Auto(100)).await;
    receive_many(&mut first, 3).await;
    first.close().await.expect("closed");
    let mut second = client.receiver(&queue, CreditMode::Auto(100)).await;
    assert_eq!(numbers(&receive_many(&mut second, 5).await), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn messages_larger_than_a_frame_come_whole() {
    let server = server().await;
    let queue = server.queue("large");
    let mut client = server.client().await;
    let mut sender = client.sender(&queue).await;
    let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let large = fe2o3_amqp_types::messaging::Message::builder()
        .data(fe2o3_amqp_types::primitives::Binary::from(body.clone()))
        .build();
    sender
        .send(fe2o3_amqp::Sendable::from(large))
        .await
        .expect("sent");
    let mut receiver = client.receiver(&queue, CreditMode::Auto(10)).await;
    let got = receive(&mut receiver).await;
    assert_eq!(bytes(&got.delivery), body);
    receiver.accept(&got.delivery).await.expect("accepted");
}

#[tokio::test]
async fn a_full_queue_takes_no_more_until_something_is_accepted() {
    const DEPTH: usize = 5;
    let server = embedded(QueueOptions {
        max_depth: DEPTH,
        ..QueueOptions::default()
    })
    .await;
    let mut client = server.client().await;
    let mut sender = client.sender("full").await;
    let mut accepted = FuturesUnordered::new();
    for number in 0..30 {
        let sent = sender.send_batchable(message(number, true)).await.expect("sent");
        accepted.push(sent);
    }
    for _ in 0..DEPTH {
        accepted.next().await.expect("one").expect("accepted");
    }
    let queue = server.embedded();
    assert_eq!(queue.depth("full"), DEPTH);
    let mut receiver = client.receiver("full", CreditMode::Auto(3)).await;
    for number in 0..30 {
        let got = receive(&mut receiver).await;
        assert_eq!(got.number, number);
        assert!(queue.depth("full") <= DEPTH);
        receiver.accept(&got.delivery).await.expect("accepted");
    }
    while let Some(outcome) = accepted.next().await {
        outcome.expect("accepted at last");
    }
    until(|| queue.depth("full") == 0).await;
}

#[tokio::test]
async fn clients_with_and_without_sasl_are_taken() {
    let server = embedded(QueueOptions::default()).await;
    let mut without = Client::connect(&server.url, None).await.expect("without SASL");
    let mut sender = without.sender("sasl").await;
    send(&mut sender, [1]).await;
    let mut with = server.client().await;
    let mut receiver = with.receiver("sasl", CreditMode::Auto(1)).await;
    assert_eq!(receive(&mut receiver).await.number, 1);
}

#[tokio::test]
async fn noise_on_the_port_harms_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = embedded(QueueOptions::default()).await;
    let address = server.url.trim_start_matches("amqp://").to_owned();
    for noise in [&b""[..], b"A", b"AMQP", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096]] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("connects");
        stream.write_all(noise).await.expect("sent");
        stream.shutdown().await.expect("ended");
        // An orderly end or a reset: the server has given it up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let mut client = server.client().await;
    let mut sender = client.sender("after").await;
    send(&mut sender, [1]).await;
    assert_eq!(server.embedded().depth("after"), 1);
}
