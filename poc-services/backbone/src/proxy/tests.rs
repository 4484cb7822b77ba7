//! Against a plain server that sends back what it gets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Direction, Fault, Proxy};

/// Sends back everything, and tells how each connection ended: the bytes it got, and whether in order.
struct Echo {
    address: SocketAddr,
    ended: mpsc::UnboundedReceiver<(usize, bool)>,
}

async fn echo() -> Echo {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let (tell, ended) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut got = 0;
                let mut bytes = [0; 4096];
                let orderly = loop {
                    match stream.read(&mut bytes).await {
                        Ok(0) => break true,
                        Ok(count) => {
                            got += count;
                            if stream.write_all(&bytes[..count]).await.is_err() {
                                break false;
                            }
                        }
                        Err(_) => break false,
                    }
                };
                let _ = tell.send((got, orderly));
            });
        }
    });
    Echo { address, ended }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address())
        .await
        .expect("the proxy listens")
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.expect("they come");
    bytes
}

/// Lets others run until it is true.
async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn bytes_and_ends_pass_both_ways() {
    let mut echo = echo().await;
    let proxy = Proxy::start(echo.address).await.expect("a proxy");
    let mut client = connect(&proxy).await;
    let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let (mut reader, mut writer) = client.split();
    let write = async {
        writer.write_all(&sent).await.expect("sent");
        writer.shutdown().await.expect("ended");
    };
    let mut got = Vec::new();
    let (read, ()) = tokio::join!(reader.read_to_end(&mut got), write);
    read.expect("an orderly end");
    assert_eq!(got, sent);
    assert_eq!(echo.ended.recv().await, Some((sent.len(), true)));
    until(|| proxy.connections() == 0).await;
    assert_eq!(proxy.passed(Direction::ToServer), sent.len() as u64);
    assert_eq!(proxy.passed(Direction::ToClient), sent.len() as u64);
    assert_eq!((proxy.accepted(), proxy.ended()), (1, 0));
}

#[tokio::test]
async fn a_delay_holds_back_one_direction_and_is_over_when_it_is_mended() {
    let delay = Duration::from_millis(150);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let echo = echo().await;
        let proxy = Proxy::start(echo.address).await.expect("a proxy");
        let mut client = connect(&proxy).await;
        proxy.set(direction, Fault::Delay(delay));
        let start = Instant::now();
        client.write_all(b"first").await.expect("sent");
        assert_eq!(read(&mut client, 5).await, b"first");
        assert!(start.elapsed() >= delay);

        // What waits already is let go when the fault is taken away.
        proxy.set(direction, Fault::Delay(Duration::from_hours(1)));
        client.write_all(b"second").await.expect("sent");
        until(|| proxy.held(direction) == 6).await;
        proxy.mend();
        assert_eq!(read(&mut client, 6).await, b"second");
    }
}

#[tokio::test]
async fn a_black_hole_lets_nothing_through_and_loses_nothing() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let mut echo = echo().await;
        let proxy = Proxy::start(echo.address).await.expect("a proxy");
        let mut client = connect(&proxy).await;
        client.write_all(b"before").await.expect("sent");
        assert_eq!(read(&mut client, 6).await, b"before");

        proxy.set(direction, Fault::BlackHole);
        client.write_all(b"inside").await.expect("sent");
        client.shutdown().await.expect("ended");
        until(|| proxy.held(direction) == 6).await;
        assert_eq!(proxy.passed(direction), 6);
        if direction == Direction::ToServer {
            assert!(echo.ended.try_recv().is_err(), "the end went through");
        }

        proxy.mend();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("an orderly end");
        assert_eq!(rest, b"inside");
        assert_eq!(echo.ended.recv().await, Some((12, true)));
    }
}

#[tokio::test]
async fn in_a_black_hole_the_server_sees_no_new_connection() {
    let mut echo = echo().await;
    let proxy = Proxy::start(echo.address).await.expect("a proxy");
    proxy.set(Direction::ToServer, Fault::BlackHole);
    let client = connect(&proxy).await;
    until(|| proxy.connections() == 1).await;
    drop(client);
    proxy.cut();
    until(|| proxy.connections() == 0).await;
    proxy.mend();
    let mut client = connect(&proxy).await;
    client.write_all(b"x").await.expect("sent");
    assert_eq!(read(&mut client, 1).await, b"x");
    drop(client);
    // The first that the server ever saw is the second one.
    assert_eq!(echo.ended.recv().await.map(|(got, _)| got), Some(1));
    assert!(echo.ended.try_recv().is_err());
}

#[tokio::test]
async fn a_cut_falls_behind_the_byte_it_was_set_for_and_only_once() {
    let echo = echo().await;
    let proxy = Proxy::start(echo.address).await.expect("a proxy");
    proxy.set(Direction::ToClient, Fault::CutAfter(10));
    let mut first = connect(&proxy).await;
    let mut got = Vec::new();
    first.write_all(b"seven..").await.expect("sent");
    got.extend(read(&mut first, 7).await);
    assert_eq!(proxy.fault(Direction::ToClient), Fault::CutAfter(3));
    first.write_all(b"and some more").await.expect("sent");
    first
        .read_to_end(&mut got)
        .await
        .expect("a cut is an orderly end");
    assert_eq!(got, b"seven..and");
    assert_eq!(proxy.ended(), 1);
    assert_eq!(proxy.fault(Direction::ToClient), Fault::None);

    let mut second = connect(&proxy).await;
    second.write_all(b"all of this comes back").await.expect("sent");
    assert_eq!(read(&mut second, 22).await, b"all of this comes back");
}

#[tokio::test]
async fn a_reset_is_an_error_for_both_sides() {
    let mut echo = echo().await;
    let proxy = Proxy::start(echo.address).await.expect("a proxy");
    proxy.set(Direction::ToServer, Fault::ResetAfter(4));
    let mut client = connect(&proxy).await;
    client.write_all(b"four").await.expect("sent");
    assert_eq!(read(&mut client, 4).await, b"four");
    client.write_all(b"five").await.expect("sent");
    let error = client.read(&mut [0; 8]).await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(echo.ended.recv().await, Some((4, false)));
}

#[tokio::test]
async fn every_connection_can_be_ended_at_once() {
    let mut echo = echo().await;
    let proxy = Proxy::start(echo.address).await.expect("a proxy");
    for reset in [false, true] {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = connect(&proxy).await;
            client.write_all(b"x").await.expect("sent");
            read(&mut client, 1).await;
            clients.push(client);
        }
        let ended = if reset { proxy.reset() } else { proxy.cut() };
        assert_eq!(ended, 3);
        for mut client in clients {
            assert_eq!(client.read(&mut [0; 8]).await.is_err(), reset);
            assert_eq!(echo.ended.recv().await, Some((1, !reset)));
        }
        until(|| proxy.connections() == 0).await;
    }
    assert_eq!(proxy.ended(), 6);
}

#[tokio::test]
async fn refused_clients_get_a_reset_and_others_go_on() {
    let echo = echo().await;
    let proxy = Proxy::start(echo.address).await.expect("a proxy");
    let mut first = connect(&proxy).await;
    first.write_all(b"x").await.expect("sent");
    read(&mut first, 1).await;
    proxy.refuse_connections();
    // The reset may come before or behind the end of connecting.
    if let Ok(mut second) = TcpStream::connect(proxy.address()).await {
        second.read(&mut [0; 8]).await.expect_err("a reset");
    }
    first.write_all(b"y").await.expect("sent");
    assert_eq!(read(&mut first, 1).await, b"y");
    proxy.mend();
    let mut third = connect(&proxy).await;
    third.write_all(b"z").await.expect("sent");
    assert_eq!(read(&mut third, 1).await, b"z");
    assert_eq!(proxy.accepted(), 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_end_for_the_client() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("its address")
    };
    let proxy = Proxy::start(gone).await.expect("a proxy");
    let mut client = connect(&proxy).await;
    assert_eq!(client.read(&mut [0; 8]).await.expect("an end"), 0);
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections() {
    let mut echo = echo().await;
    let proxy = Proxy::start(echo.address).await.expect("a proxy");
    let mut client = connect(&proxy).await;
    client.write_all(b"x").await.expect("sent");
    read(&mut client, 1).await;
    drop(proxy);
    assert_eq!(client.read(&mut [0; 8]).await.expect("an end"), 0);
    assert_eq!(echo.ended.recv().await, Some((1, true)));
}

#[tokio::test]
async fn a_target_off_this_machine_is_refused() {
    let error = Proxy::start("192.0.2.1:9092".parse().expect("an address"))
        .await
        .expect_err("not on the loopback");
    assert!(error.to_string().contains("loopback"), "{error}");
}
