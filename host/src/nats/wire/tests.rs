//! The end of a connection, on a server that says what the test wants.

use super::*;
use crate::config::resolved::{API_PREFIX, Auth, Tls};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn nobody_waits_for_a_connection_whose_task_has_ended() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Nats {
        servers: vec![format!("nats://{}", server.local_addr().unwrap())],
        auth: Auth::None,
        tls: Tls::default(),
        inbox_prefix: "_INBOX".to_owned(),
        api_prefix: API_PREFIX.to_owned(),
    };
    let connect = Wire::connect(&settings, "test", Counter::default());
    let serve = async {
        let (mut socket, _) = server.accept().await.unwrap();
        let greeting = b"INFO {\"max_payload\":1048576,\"headers\":true}\r\nPONG\r\n";
        socket.write_all(greeting).await.unwrap();
        socket
    };
    let (wire, _socket) = tokio::join!(connect, serve);
    let wire = wire.unwrap();
    let mut subscription = wire.subscribe("a");
    assert!(wire.health.is_connected());
    wire._task.0.abort();
    wire.closed().await;
    assert!(!wire.health.is_connected());
    assert_eq!(subscription.next().await, None);
    wire.flush().await;
    wire.publish(&Parts {
        subject: b"a",
        payload: &vec![0; FULL],
        ..Parts::default()
    })
    .unwrap();
    wire.room().await;
}
