//! Hosts of a job, without the job: threads that own at once what they are to own, and who owns it in truth.

use super::PARTITIONS;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc as blocking};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};
use weir::config::resolved::{API_PREFIX, Auth, Nats, Tls};
use weir::job::membership::Membership;
use weir::nats::members::Member;
use weir::threads::block_on;

/// Who owns each partition: what fences are for.
pub struct Ledger {
    owners: watch::Sender<Vec<Option<String>>>,
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub claims: usize,
    /// Claims of what another owned.
    pub stolen: usize,
    /// The most partitions that had no owner at once.
    pub most_free: usize,
}

impl Default for Ledger {
    fn default() -> Self {
        let (owners, _) = watch::channel(vec![None; usize::from(PARTITIONS)]);
        let counts = Mutex::default();
        Self { owners, counts }
    }
}

impl Ledger {
    pub fn owners(&self) -> Vec<Option<String>> {
        self.owners.borrow().clone()
    }

    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
    }

    pub fn count_anew(&self) {
        *self.counts.lock().unwrap() = Counts::default();
    }

    fn claim(&self, partition: u16, host: &str) {
        self.owners.send_modify(|owners| {
            let owner = &mut owners[usize::from(partition)];
            let before = owner.take();
            *owner = Some(host.to_owned());
            let mut counts = self.counts.lock().unwrap();
            counts.claims += 1;
            counts.stolen += usize::from(before.is_some());
        });
    }

    fn release(&self, partition: u16, host: &str) {
        self.owners.send_modify(|owners| {
            let owner = &mut owners[usize::from(partition)];
            if owner.as_deref() == Some(host) {
                *owner = None;
            }
            let free = owners.iter().filter(|owner| owner.is_none()).count();
            let mut counts = self.counts.lock().unwrap();
            counts.most_free = counts.most_free.max(free);
        });
    }
}

enum Command {
    Members(blocking::SyncSender<Vec<Member>>),
    /// Makes no step until the other end is dropped.
    Pause(blocking::Receiver<()>),
    Leave,
}

/// A host. Dies when it is dropped.
pub struct Host {
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// `urls` with commas between them.
    pub fn start(urls: &str, ledger: &Arc<Ledger>) -> Self {
        let (commands, received) = mpsc::channel(8);
        let settings = Nats {
            servers: urls.split(',').map(str::to_owned).collect(),
            auth: Auth::None,
            tls: Tls::default(),
            inbox_prefix: "_INBOX".to_owned(),
            api_prefix: API_PREFIX.to_owned(),
        };
        let ledger = Arc::clone(ledger);
        let thread = std::thread::spawn(move || {
            block_on(run(settings, &ledger, received)).unwrap();
        });
        Self {
            commands: Some(commands),
            thread: Some(thread),
        }
    }

    fn send(&self, command: Command) {
        let commands = self.commands.as_ref().unwrap();
        assert!(
            commands.blocking_send(command).is_ok(),
            "the host has ended"
        );
    }

    /// Those that it knows of.
    pub fn members(&self) -> Vec<Member> {
        let (sender, members) = blocking::sync_channel(1);
        self.send(Command::Members(sender));
        members.recv().unwrap()
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.members().remove(0).host
    }

    /// Paused until what this returns is dropped.
    #[must_use]
    pub fn pause(&self) -> blocking::SyncSender<()> {
        let (resume, paused) = blocking::sync_channel(1);
        self.send(Command::Pause(paused));
        resume
    }

    pub fn leave(self) {
        self.send(Command::Leave);
    }

    pub fn die(self) {
        drop(self);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(
    settings: Nats,
    ledger: &Ledger,
    mut commands: mpsc::Receiver<Command>,
) -> anyhow::Result<()> {
    let connection = weir::nats::connect(&settings, "host").await?;
    let membership = Membership::join(&connection, "job", PARTITIONS, 1, &Arc::default()).await?;
    let me = membership.members().remove(0).host;
    let (mut assigned, mut owners) = (membership.share(), ledger.owners.subscribe());
    let mut owned = BTreeSet::new();
    loop {
        let current = owners.borrow_and_update().clone();
        let is_mine = |partition: &u16| current[usize::from(*partition)].as_ref() == Some(&me);
        let is_to_own = assigned.borrow_and_update().assigned.clone();
        let keep = |partition: &u16| is_to_own.contains(partition) && is_mine(partition);
        let gone: Vec<u16> = owned
            .iter()
            .copied()
            .filter(|partition| !keep(partition))
            .collect();
        for partition in &gone {
            owned.remove(partition);
            ledger.release(*partition, &me);
            membership.set_owned(*partition, false);
        }
        for partition in is_to_own
            .into_iter()
            .filter(|partition| !gone.contains(partition))
        {
            if owned.insert(partition) {
                ledger.claim(partition, &me);
                membership.set_owned(partition, true);
            }
        }
        tokio::select! {
            _ = assigned.changed() => {}
            _ = owners.changed() => {}
            command = commands.recv() => match command {
                Some(Command::Members(to)) => drop(to.send(membership.members())),
                Some(Command::Pause(paused)) => drop(paused.recv()),
                Some(Command::Leave) => {
                    for partition in owned {
                        ledger.release(partition, &me);
                        membership.set_owned(partition, false);
                    }
                    membership.leave().await;
                    return Ok(());
                }
                None => return Ok(()),
            },
        }
    }
}
