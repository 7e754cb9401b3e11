//! Hosts of a job: threads that own its partition, until they are killed.

use super::fold::{Fold, Mistake};
use anyhow::bail;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use weir::config::resolved::{API_PREFIX, Auth, Nats, Tls};
use weir::job::jetstream::{Inputs, JetStream, Place, Source};
use weir::job::log::Progress;
use weir::job::partition::Bounds;
use weir::job::pause::pause;
use weir::job::standby::stand_by;
use weir::job::surroundings::{End, Note, Settings, Surroundings};
use weir::job::worker::run;
use weir::nats::wire::Wire;
use weir::telemetry::metrics::Counter;
use weir::threads::block_on;

/// Key groups of the partition.
pub const GROUPS: u16 = 3;

pub fn nats(url: &str) -> Nats {
    Nats {
        servers: vec![url.to_owned()],
        auth: Auth::None,
        tls: Tls::default(),
        inbox_prefix: "_INBOX".to_owned(),
        api_prefix: API_PREFIX.to_owned(),
    }
}

pub fn settings() -> Settings {
    Settings {
        groups: 0..GROUPS,
        inputs: vec![Progress::at("IN", 0)],
        digests: Arc::default(),
        bounds: Bounds {
            messages: 40,
            reserve: 8,
            bytes: 64 << 10,
            part: 200,
        },
        batch: 8,
        least: 500,
    }
}

/// What all hosts of a test see.
#[derive(Default)]
pub struct World {
    /// The time by which entries of the state are due: it goes on while the test waits.
    pub clock: AtomicU64,
    pub owners: AtomicU64,
    /// Commits and claims; those whose answer was lost and that were found; requests that failed; owners that
    /// were deposed.
    pub committed: AtomicU64,
    pub resolved: AtomicU64,
    pub failed: AtomicU64,
    pub deposed: AtomicU64,
    /// Those that stood by and needed only what was missing.
    pub warm: AtomicU64,
    /// Why an owner ended that should not.
    pub fault: Mutex<Option<String>>,
}

/// The surroundings of an owner: a thread with a connection of its own, as a lane has.
struct Host {
    world: Arc<World>,
    now: Rc<Cell<u64>>,
}

impl Surroundings for Host {
    fn new_owner(&self) -> Arc<str> {
        let number = self.world.owners.fetch_add(1, Ordering::Relaxed);
        format!("owner {number}").into()
    }

    async fn until(&self, due: u64) {
        loop {
            self.now.set(self.world.clock.load(Ordering::Relaxed));
            if self.now.get() >= due {
                return;
            }
            pause(1).await;
        }
    }

    async fn pause(&self, attempt: u32) {
        pause(attempt).await;
    }

    async fn stopped(&self) {
        std::future::pending().await
    }

    fn note(&self, note: Note<'_>) {
        let count = match note {
            Note::Committed => &self.world.committed,
            Note::Resolved => &self.world.resolved,
            Note::Failed(_) => &self.world.failed,
            Note::Recovered { warm: true } => &self.world.warm,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

pub async fn log(url: &str) -> anyhow::Result<JetStream> {
    let wire = Wire::connect(&nats(url), "job", Counter::default()).await?;
    let place = Place {
        stream: "JOB".to_owned(),
        prefix: "job".to_owned(),
        keeps_results: false,
        stages: true,
        partition: 0,
        part: settings().bounds.part,
        patience: Duration::from_millis(500),
    };
    let source = Source {
        name: "IN".into(),
        stream: "IN".to_owned(),
        filters: Vec::new(),
        is_table: false,
        deal: Box::new(|_| (0, true)),
    };
    let inputs = Inputs::new(&wire, vec![source], place.patience);
    let open = Arc::new(Semaphore::new(1));
    Ok(JetStream::new(wire, place, open, Rc::new(inputs)))
}

/// An owner of the partition that takes it back when it is deposed, until it is killed.
pub struct Owner {
    kill: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Owner {
    pub fn start(url: &str, world: &Arc<World>) -> Self {
        let kill = Arc::new(Notify::new());
        let (url, world, killed) = (url.to_owned(), Arc::clone(world), Arc::clone(&kill));
        let thread = std::thread::spawn(move || {
            let fault = Arc::clone(&world);
            let ran = block_on(async {
                tokio::select! {
                    () = killed.notified() => Ok(()),
                    ended = own(&url, world) => ended,
                }
            });
            if let Err(why) = ran {
                *fault.fault.lock().unwrap() = Some(format!("{why:#}"));
            }
        });
        Self {
            kill,
            thread: Some(thread),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.kill.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn own(url: &str, world: Arc<World>) -> anyhow::Result<()> {
    let mut attempt = 0;
    let log = loop {
        match log(url).await {
            Ok(log) => break log,
            // The server is down at the moment.
            Err(_) => attempt += 1,
        }
        pause(attempt).await;
    };
    let now = Rc::new(Cell::new(0));
    let mut fold = Fold::new(GROUPS, Rc::clone(&now), Mistake::None);
    let host = Host { world, now };
    let mut standby = None;
    loop {
        match run(&log, &mut fold, &host, settings(), &mut standby).await {
            End::Deposed => host.world.deposed.fetch_add(1, Ordering::Relaxed),
            end => bail!("{end:?}"),
        };
        // The one that has it is to have it for some commits, if it is still there.
        let committed = || host.world.committed.load(Ordering::Relaxed);
        let enough = committed() + 5;
        let waits = async {
            for attempt in 1..12 {
                pause(attempt).await;
                if committed() >= enough {
                    break;
                }
            }
        };
        let settings = settings();
        tokio::select! {
            () = waits => {}
            () = stand_by(&log, &mut fold, &host, &settings, &mut standby) => {}
        }
    }
}
