//! What a log on a stream says of a commit is what became of it.

use super::api;
use super::hosts::{log, nats};
use crate::harness::{Fate, NatsServer, Proxy, Sender, Stored, wait_until};
use api::OutgoingMessage;
use std::sync::Arc;
use tokio::runtime::Runtime;
use weir::job::jetstream::JetStream;
use weir::job::log::{self, Checkpoint, Commit, Fence, Held, Log, LogError, Snapshot};
use weir::job::partition::{self, Resolution};
use weir::job::pause::pause;
use weir::nats::job_stream::{Wanted, ensure};
use weir::threads::{block_on, runtime};

/// A server with the stream of a job, and a proxy before it.
pub fn site() -> (NatsServer, Proxy) {
    let server = NatsServer::start();
    make_stream(&server, 1);
    let proxy = Proxy::before(&server);
    (server, proxy)
}

/// Makes the stream of the job.
pub fn make_stream(server: &NatsServer, replicas: usize) {
    let wanted = Wanted {
        in_memory: false,
        replicas,
    };
    verified(server, Some(wanted)).unwrap();
}

fn verified(server: &NatsServer, wanted: Option<Wanted>) -> anyhow::Result<()> {
    block_on(async {
        let connection = weir::nats::connect(&nats(&server.url()), "job").await?;
        ensure(&connection, "JOB", "job", &[], wanted)
            .await
            .map(drop)
    })
}

/// A commit behind a checkpoint, with two results and a delta.
fn commit(owner: &str, number: u64) -> Commit {
    let output = |payload: &'static str| OutgoingMessage {
        is_late: false,
        subject: "results".into(),
        id: None,
        digest: None,
        headers: vec![("Color".into(), "red".into())],
        foreign: Default::default(),
        payload: payload.into(),
        key: None,
    };
    Commit {
        outputs: vec![output("one"), output("two")],
        dead_letters: Vec::new(),
        views: Vec::new(),
        delta: Some("x".repeat(500).into()),
        snapshots: Vec::new(),
        checkpoint: Checkpoint {
            owner: owner.into(),
            epoch: 1,
            number,
            log: number,
            ..Checkpoint::default()
        },
    }
}

/// A log, asked from outside of its runtime.
struct Asked {
    runtime: Runtime,
    log: JetStream,
}

impl Asked {
    fn at(url: &str) -> Self {
        let runtime = runtime().unwrap();
        let log = runtime.block_on(log(url)).unwrap();
        Self { runtime, log }
    }

    fn commit(&self, expected: Fence, commit: &Commit) -> Result<Fence, LogError> {
        let committing = self.log.commit(expected, commit, None);
        self.runtime.block_on(committing)
    }

    /// Commits, and hears no answer.
    #[track_caller]
    fn commit_unheard(&self, expected: Fence, commit: &Commit) {
        let lost = self.commit(expected, commit);
        assert!(matches!(lost, Err(LogError::Ambiguous(_))), "{lost:?}");
    }

    fn checkpoint(&self) -> Result<Option<Held>, LogError> {
        self.runtime.block_on(self.log.checkpoint())
    }

    /// Claims the partition; again, where a server that is busy has not answered in time.
    fn claim(&self, owner: &str) -> Fence {
        loop {
            let found = self.checkpoint().unwrap();
            let digests = Arc::default();
            let (fence, claim) = partition::claim(found.as_ref(), owner.into(), &[], &digests);
            match self.commit(fence, &claim) {
                Err(LogError::Ambiguous(_)) => {}
                answer => return answer.unwrap(),
            }
        }
    }

    /// Waits until the server has answered to all that was sent before.
    fn settle(&self) {
        // A connection is found again while its runtime is at work.
        self.runtime.block_on(async {
            while self.log.checkpoint().await.is_err() {
                pause(3).await;
            }
        });
    }

    fn resolve(&self, expected: Fence, commit: &Commit) -> Resolution {
        let found = self.checkpoint().unwrap();
        partition::resolve(expected, &commit.checkpoint, found.as_ref())
    }
}

/// What becomes of the last message of each commit.
fn let_commits(proxy: &Proxy, fate: Fate) {
    proxy.rule(move |sender, _, content| match sender {
        Sender::Host if content.contains("Nats-Batch-Commit") => fate,
        _ => Fate::Arrives,
    });
}

/// The results in the stream of the job.
fn results(server: &NatsServer) -> Vec<Stored> {
    let mut stored = server.client().messages("JOB");
    stored.retain(|it| it.subject == "job.out.0.results");
    stored
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_in_the_checkpoint_and_one_that_did_not_arrive_is_not() {
    let (server, proxy) = site();
    let log = Asked::at(&proxy.url());
    let claim = log.claim("a");
    let before = server.client().count("JOB");

    let_commits(&proxy, Fate::Lost);
    let first = commit("a", 2);
    log.commit_unheard(claim, &first);
    assert_eq!(log.resolve(claim, &first), Resolution::NotStored);
    assert_eq!(server.client().count("JOB"), before);

    proxy.rule(|sender, _, content| match sender {
        Sender::Server if content.contains("\"batch\":") => Fate::Lost,
        _ => Fate::Arrives,
    });
    log.commit_unheard(claim, &first);
    let found = log.resolve(claim, &first);
    let Resolution::Stored(fence) = found else {
        panic!("{found:?}");
    };
    proxy.release();
    // Sent again, it is refused.
    assert_eq!(log.commit(claim, &first), Err(LogError::WrongFence));
    assert!(log.commit(fence, &commit("a", 3)).unwrap() > fence);
    let results = results(&server);
    let texts: Vec<_> = results
        .iter()
        .map(|it| (it.text(), it.header("Color")))
        .collect();
    let of = |text: &str| (text.to_owned(), Some("red"));
    assert_eq!(texts, [of("one"), of("two"), of("one"), of("two")]);
}

#[test]
fn a_commit_that_arrives_after_another_owner_has_claimed_the_partition_is_refused_as_a_whole() {
    let (server, proxy) = site();
    let log = Asked::at(&proxy.url());
    let claim = log.claim("a");
    // The owner sleeps with its commit on the way.
    let_commits(&proxy, Fate::Late);
    let late = commit("a", 2);
    log.commit_unheard(claim, &late);

    let other = Asked::at(&server.url());
    let theirs = other.claim("b");
    proxy.release();
    assert_eq!(log.commit(claim, &late), Err(LogError::WrongFence));
    assert_eq!(log.resolve(claim, &late), Resolution::Overtaken);
    // Nothing of it is there.
    other.commit(theirs, &commit("b", 3)).unwrap();
    assert_eq!(results(&server).len(), 2);
}

#[test]
fn a_commit_that_is_half_sent_when_the_server_is_killed_is_not_stored_and_can_be_sent_again() {
    let (mut server, proxy) = site();
    let log = Asked::at(&proxy.url());
    let claim = log.claim("a");
    let_commits(&proxy, Fate::Lost);
    let half = commit("a", 2);
    let killed = async {
        while proxy.withheld() == 0 {
            tokio::task::yield_now().await;
        }
        server.kill9();
    };
    let both = async { tokio::join!(log.log.commit(claim, &half, None), killed).0 };
    let lost = log.runtime.block_on(both);
    assert!(matches!(lost, Err(LogError::Ambiguous(_))), "{lost:?}");
    proxy.release();
    server.start_again();
    wait_until("the server answers again", || {
        server.client().count("JOB") == 1
    });
    log.settle();
    assert_eq!(log.resolve(claim, &half), Resolution::NotStored);
    log.commit(claim, &half).unwrap();
    assert_eq!(server.client().count("JOB"), 6);
}

#[test]
fn what_is_sent_ahead_of_a_commit_is_stored_with_it_once_and_without_it_never() {
    let (mut server, proxy) = site();
    let log = Asked::at(&proxy.url());
    let claim = log.claim("a");
    let whole = commit("a", 2);
    let first = Commit {
        outputs: whole.outputs[..1].to_vec(),
        ..Commit::default()
    };
    let ahead = || {
        let mut staged = None;
        log.log.stage(&mut staged, &first);
        assert!(staged.is_some());
        staged
    };
    // Of an owner that does not get to its commit.
    drop(ahead());
    let staged = ahead();
    let committing = log.log.commit(claim, &whole, staged);
    let fence = log.runtime.block_on(committing).unwrap();
    let texts =
        |server: &NatsServer| -> Vec<_> { results(server).iter().map(Stored::text).collect() };
    assert_eq!(texts(&server), ["one", "two"]);

    // The server forgets what was not committed, and the connection is another.
    let staged = ahead();
    log.settle();
    server.stop();
    server.start_again();
    log.settle();
    let next = commit("a", 3);
    let committing = log.log.commit(fence, &next, staged);
    log.runtime.block_on(committing).unwrap();
    assert_eq!(texts(&server), ["one", "two", "one", "two"]);
}

#[test]
fn what_is_recovered_is_what_was_committed_however_large_it_is_and_what_was_purged_is_gone() {
    let (_server, proxy) = site();
    let log = Asked::at(&proxy.url());
    let mut fence = log.claim("a");
    let snapshot = |reach, content: String| Snapshot {
        group: 7,
        reach,
        content: content.into(),
    };
    let mut fences = Vec::new();
    for number in 1..4 {
        let mut commit = commit("a", number + 1);
        commit.checkpoint.log = number;
        commit.delta = Some(number.to_string().repeat(450).into());
        let content = format!("{number} {}", "s".repeat(1000));
        commit.snapshots = vec![snapshot(number, content)];
        fence = log.commit(fence, &commit).unwrap();
        fences.push(fence);
    }
    log.runtime.block_on(log.log.purge(fences[0])).unwrap();
    let mut found = Vec::new();
    let mut take = |stored| {
        found.push(stored);
        Ok(())
    };
    let read = log.log.recover(fence, &mut take);
    log.runtime.block_on(read).unwrap();
    let deltas = found.iter().filter_map(|stored| match stored {
        log::Stored::Delta(delta, end) => Some((delta.number, delta.content.len(), *end)),
        _ => None,
    });
    let deltas: Vec<_> = deltas.collect();
    let numbers: Vec<_> = deltas.iter().map(|delta| (delta.0, delta.1)).collect();
    assert_eq!(numbers, [(2, 450), (3, 450)]);
    assert!(deltas[0].2 > fences[0] && deltas[0].2 < fences[1]);
    let last = snapshot(3, format!("3 {}", "s".repeat(1000)));
    let others = found
        .iter()
        .filter(|stored| !matches!(stored, log::Stored::Delta(..)));
    let checkpoint = log.checkpoint().unwrap().unwrap();
    assert_eq!(checkpoint.fence, fence);
    let claim = log::Stored::Checkpoint(checkpoint);
    let expected = [log::Stored::Snapshot(last), claim.clone(), claim];
    assert!(others.eq(&expected), "{found:?}");
}

#[test]
fn a_stream_that_is_not_as_a_job_needs_it_ends_the_job_with_the_reason() {
    let (server, proxy) = site();
    let client = server.client();
    let log = Asked::at(&proxy.url());
    let claim = log.claim("a");
    let edit = |change: fn(&mut async_nats::jetstream::stream::Config)| {
        let mut config = client.stream_info("JOB").unwrap().config;
        change(&mut config);
        client.run(client.jetstream.update_stream(config)).unwrap();
    };
    edit(|config| config.allow_atomic_publish = false);
    let refused = log.commit(claim, &commit("a", 2));
    assert!(
        matches!(&refused, Err(LogError::Permanent(why)) if why.contains("atomic publish is disabled")),
        "{refused:?}"
    );
    let unfit = verified(&server, None).unwrap_err();
    assert_eq!(
        unfit.to_string(),
        "cannot use stream `JOB` for a job: it does not allow atomic batches"
    );
    edit(|config| config.allow_atomic_publish = true);
    log.commit(claim, &commit("a", 2)).unwrap();

    client.run(client.jetstream.delete_stream("JOB")).unwrap();
    let gone = log.checkpoint();
    assert!(
        matches!(&gone, Err(LogError::Permanent(why)) if why.contains("stream not found")),
        "{gone:?}"
    );
}
