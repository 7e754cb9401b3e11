//! Between a host and its server: passes on what both say, and withholds the messages that a test does not
//! want to arrive, or not yet.

use super::NatsServer;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Who has sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Host,
    Server,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives,
    /// Never arrives.
    Lost,
    /// Arrives when the test says so, behind what was sent since.
    Late,
    /// The connection ends instead.
    Cut,
}

/// Asked of each message, by its sender, subject, and headers with payload; and of each other line of the
/// protocol, by its verb in place of the subject.
type Rule = Box<dyn FnMut(Sender, &str, &str) -> Fate + Send>;

/// Listens on a port of its own until the process ends.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    rule: Mutex<Rule>,
    withheld: AtomicUsize,
    late: Mutex<Vec<Late>>,
}

/// A message, and where it goes.
struct Late {
    target: Target,
    frame: Vec<u8>,
}

/// Written to by whoever passes on, and by a test that lets go of what was late.
type Target = Arc<Mutex<TcpStream>>;

impl Proxy {
    /// Before a server, passing on everything.
    pub fn before(server: &NatsServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("cannot listen");
        let port = listener.local_addr().expect("it has an address").port();
        let shared = Arc::new(Shared {
            rule: Mutex::new(Box::new(|_, _, _| Fate::Arrives)),
            withheld: AtomicUsize::new(0),
            late: Mutex::default(),
        });
        let (server, ours) = (server.port(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for host in listener.incoming().flatten() {
                // A server that is down refuses: so does this.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    connect(&host, &server, &ours);
                }
            }
        });
        Self { port, shared }
    }

    /// As of the server.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on this is asked what becomes of a message.
    pub fn rule(&self, rule: impl FnMut(Sender, &str, &str) -> Fate + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// From now on everything arrives, and first what was late.
    pub fn release(&self) {
        let mut rule = self.shared.rule.lock().unwrap();
        *rule = Box::new(|_, _, _| Fate::Arrives);
        for Late { target, frame } in self.shared.late.lock().unwrap().drain(..) {
            // Whoever was to get it may be gone.
            let _ = target.lock().unwrap().write_all(&frame);
        }
    }

    /// How many messages did not arrive, or were late.
    pub fn withheld(&self) -> usize {
        self.shared.withheld.load(Ordering::Relaxed)
    }
}

fn connect(host: &TcpStream, server: &TcpStream, shared: &Arc<Shared>) {
    for (sender, source, target) in [(Sender::Host, host, server), (Sender::Server, server, host)] {
        let source = BufReader::new(source.try_clone().expect("a socket can be shared"));
        let target = target.try_clone().expect("a socket can be shared");
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let end = target.try_clone().expect("a socket can be shared");
            // Whatever ends one direction ends the other.
            let _ = pass_on(sender, source, &Arc::new(Mutex::new(target)), &shared);
            let _ = end.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn pass_on(
    sender: Sender,
    mut source: BufReader<TcpStream>,
    target: &Target,
    shared: &Shared,
) -> std::io::Result<()> {
    loop {
        let mut frame = Vec::new();
        if source.read_until(b'\n', &mut frame)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&frame).into_owned();
        let mut words = line.split_ascii_whitespace();
        let is_message = matches!(words.next(), Some("PUB" | "HPUB" | "MSG" | "HMSG"));
        let fate = match (is_message, words.next(), words.next_back()) {
            (false, ..) => {
                let verb = line.split_ascii_whitespace().next().unwrap_or_default();
                shared.rule.lock().unwrap()(sender, verb, "")
            }
            (true, Some(subject), Some(size)) => {
                let size: usize = size.parse().expect("a message says its size");
                let start = frame.len();
                frame.resize(start + size + 2, 0);
                source.read_exact(&mut frame[start..])?;
                let content = String::from_utf8_lossy(&frame[start..]).into_owned();
                shared.rule.lock().unwrap()(sender, subject, &content)
            }
            _ => Fate::Arrives,
        };
        if fate != Fate::Arrives {
            shared.withheld.fetch_add(1, Ordering::Relaxed);
        }
        match fate {
            Fate::Arrives => target.lock().unwrap().write_all(&frame)?,
            Fate::Late => {
                let target = Arc::clone(target);
                shared.late.lock().unwrap().push(Late { target, frame });
            }
            Fate::Lost => {}
            Fate::Cut => return Ok(()),
        }
    }
}
