//! Between a host and its server: passes everything on, and keeps back what the host sends while a
//! test looks at what happens before the server hears of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// A proxy on a free port, for as long as the process lives.
pub struct Gate {
    port: u16,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// What is kept back, of all connections.
    kept: Vec<u8>,
}

impl Gate {
    /// In front of the server with this port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("cannot listen");
        let port = listener.local_addr().expect("no address").port();
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let gate = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                let back = (server.try_clone(), client.try_clone());
                let (Ok(from), Ok(to)) = back else { continue };
                std::thread::spawn(move || pass(from, to, |_| {}));
                let gate = Arc::clone(&gate);
                std::thread::spawn(move || pass(client, server, |bytes| wait(&gate, bytes)));
            }
        });
        Self { port, shared }
    }

    /// `nats://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on nothing that clients send reaches the server.
    pub fn close(&self) {
        self.state().closed = true;
    }

    /// Lets everything pass, and first what was kept back.
    pub fn open(&self) {
        self.state().closed = false;
        self.shared.1.notify_all();
    }

    /// Whether this is among what is kept back.
    pub fn keeps(&self, text: &str) -> bool {
        let state = self.state();
        let mut windows = state.kept.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.0.lock().expect("a thread of the gate panicked")
    }
}

/// Waits while the gate is closed, with these bytes in hand.
fn wait((state, opened): &(Mutex<State>, Condvar), bytes: &[u8]) {
    let mut state = state.lock().expect("a thread of the gate panicked");
    if state.closed {
        state.kept.extend_from_slice(bytes);
        let opened = opened.wait_while(state, |state| state.closed);
        opened.expect("a thread of the gate panicked").kept.clear();
    }
}

/// Copies until either end closes.
fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
