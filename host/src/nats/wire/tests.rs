//! The end of a connection, on a server that says what the test wants.

use super::*;
use crate::config::resolved::{API_PREFIX, Auth, Tls};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn server() -> (TcpListener, Nats) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Nats {
        servers: vec![format!("nats://{}", server.local_addr().unwrap())],
        auth: Auth::None,
        tls: Tls::default(),
        inbox_prefix: "_INBOX".to_owned(),
        api_prefix: API_PREFIX.to_owned(),
    };
    (server, settings)
}

async fn accept(server: &TcpListener) -> TcpStream {
    let (mut socket, _) = server.accept().await.unwrap();
    let greeting = b"INFO {\"max_payload\":1048576,\"headers\":true}\r\nPONG\r\n";
    socket.write_all(greeting).await.unwrap();
    socket
}

/// All that came until this did.
async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(end) {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
    }
    String::from_utf8(read).unwrap()
}

fn publish(wire: &Wire, payload: &[u8]) -> u64 {
    let subject = b"a";
    let parts = Parts {
        subject,
        payload,
        ..Parts::default()
    };
    wire.publish(&parts).unwrap()
}

#[tokio::test]
async fn nobody_waits_for_a_connection_whose_task_has_ended() {
    let (server, settings) = server().await;
    let connect = Wire::connect(&settings, "test", Counter::default());
    let (wire, _socket) = tokio::join!(connect, accept(&server));
    let wire = wire.unwrap();
    let mut subscription = wire.subscribe("a");
    assert!(wire.health.is_connected());
    wire._task.0.abort();
    wire.closed().await;
    assert!(!wire.health.is_connected());
    assert_eq!(subscription.next().await, None);
    wire.flush().await;
    publish(&wire, &vec![0; FULL]);
    wire.room().await;
}

#[tokio::test]
async fn what_went_over_a_connection_that_was_lost_is_known_and_not_written_to_the_next() {
    let (server, settings) = server().await;
    let connect = Wire::connect(&settings, "test", Counter::default());
    let (wire, mut socket) = tokio::join!(connect, accept(&server));
    let wire = wire.unwrap();
    let first = publish(&wire, b"first");
    read_until(&mut socket, "first\r\n").await;
    assert_eq!(wire.lost().0, 0);
    drop(socket);
    wire.health.down().await;
    let second = publish(&wire, b"second");
    let mut socket = accept(&server).await;
    let read = read_until(&mut socket, "second\r\n").await;
    assert!(!read.contains("first"), "{read}");
    assert!(
        (first..second).contains(&wire.lost().0),
        "{:?}",
        wire.lost()
    );
}

proptest! {
    #[test]
    fn commands_end_where_they_were_written_to_end(
        payloads in prop::collection::vec("[A-Z \r\n0-9]{0,12}", 0..8),
        most in 0..400_usize,
    ) {
        let mut bytes = bytes::BytesMut::new();
        let mut ends = vec![0];
        for (index, payload) in payloads.iter().enumerate() {
            let headers: &[u8] = if index % 2 == 0 { b"" } else { b"NATS/1.0\r\nA: PUB 1\r\n\r\n" };
            let parts = Parts { subject: b"a", headers, payload: payload.as_bytes(), ..Parts::default() };
            command::publish(&mut bytes, &parts).unwrap();
            ends.push(bytes.len());
            command::ping(&mut bytes);
            ends.push(bytes.len());
        }
        let expected = ends.into_iter().filter(|end| *end <= most).max();
        prop_assert_eq!(Some(command::whole(&bytes, most)), expected);
    }
}
