//! The hosts of a job, by their own reports.
//!
//! One key-value bucket serves all jobs of an account, with a key `<job>.<host>` for each host of a job: a
//! bucket is a stream with its own replicas, which is too much for every job. A host writes its key
//! repeatedly. All hosts receive each write; a host that joins or has missed a write reads the stored ones.
//! The bucket only shows which hosts are alive; it fences nothing
//! (`docs/adr/0026-who-tries-to-own-a-partition.md`).
//!
//! Anybody may write any bytes to a bucket. So it is read over a separate wire, where no message ends a
//! connection, and what is not a [`Member`] of the job is skipped.

mod member;

pub use member::Member;

use super::job_admin::{self, Control};
use super::wire::{Message, Parts, Subscription, Wire};
use super::{Connection, job};
use crate::telemetry::metrics::Counter;
use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use member::LONGEST;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};

/// The bucket of all jobs.
pub const BUCKET: &str = "weir-members";
/// How long it keeps what a host says that says nothing more. Far above the time after which such a host is
/// taken for dead: a host that joins finds the others also when none could write for the length of an
/// election (4 to 9 s, measured).
const KEPT: Duration = Duration::from_secs(30);
/// How long an answer may take. Shorter than the pause between two beats, so that one that is lost costs one.
const PATIENCE: Duration = Duration::from_secs(2);
/// Copies of the bucket: three in a cluster that has room for them, else one.
const REPLICAS: [u64; 2] = [3, 1];
/// The stream of a bucket is there, and is not as it was asked for.
const EXISTS: u64 = 10058;
/// There is no such message, or no such stream.
const NOTHING: [u64; 2] = [10037, 10059];
/// Marks the last record of a host as deleted for all who read buckets.
const DELETED: &[u8] = b"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n";

/// Why the bucket cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// In the server's words: this user may not, until somebody permits it.
    Refused(String),
    /// Not now: no answer, or one that says so.
    Passing(String),
    /// No server has the bucket, or the bucket may not be read from any of its replicas.
    Missing,
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(formatter, "the server refused: {why}"),
            Self::Passing(why) => formatter.write_str(why),
            Self::Missing => {
                formatter.write_str("no server has it, or it does not allow direct reads")
            }
        }
    }
}

/// The records of the hosts of one job.
#[derive(Clone)]
pub struct Members {
    wire: Wire,
    job: String,
    /// What the subjects of the job's records begin with.
    prefix: String,
}

impl Members {
    /// Opens a connection for them. Nothing is read or made yet.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn open(connection: &Connection, job: &str) -> Result<Self> {
        let wire = Wire::connect(&connection.settings, "members", Counter::default()).await?;
        // As the client does where the bucket is in a domain or in another account.
        let api = match wire.api.prefix() {
            "$JS.API" => String::new(),
            prefix => format!("{prefix}."),
        };
        Ok(Self {
            wire,
            job: job.to_owned(),
            prefix: format!("{api}$KV.{BUCKET}.{job}"),
        })
    }

    /// What hosts say from now on, as they say it. What is missed is read with the next [`beat`](Self::beat).
    #[must_use]
    pub fn listen(&self) -> News {
        News {
            said: self.wire.subscribe(&format!("{}.*", self.prefix)),
            job: self.job.clone(),
        }
    }

    /// Says something without waiting for it to be stored.
    pub fn say(&self, member: &Member) {
        self.publish(member, &[]);
    }

    fn publish(&self, member: &Member, reply: &[u8]) {
        let member = Member {
            at: jiff::Timestamp::now().to_string(),
            ..member.clone()
        };
        // It is plain data: it is always written.
        let payload = serde_json::to_vec(&member).unwrap_or_default();
        let sent = self.wire.publish(&Parts {
            subject: self.subject(&member).as_bytes(),
            reply,
            headers: if member.left { DELETED } else { &[] },
            payload: &payload,
        });
        if sent.is_err() {
            tracing::debug!(
                job = self.job,
                "the name of the job is not a valid part of a subject"
            );
        }
    }

    /// Says something that is stored, and reads what all say. Makes the bucket where there is none: only who
    /// reads sees that, for what is said has an audience all the same.
    ///
    /// # Errors
    /// When not all can be read, or it is not stored.
    pub async fn beat(&self, member: &Member) -> Result<Vec<Member>, Trouble> {
        let mut stored = self.answers();
        self.publish(member, stored.inbox.as_bytes());
        let all = match self.read().await {
            // Where somebody subscribes to everything, a bucket that is not there is silent.
            Err(Trouble::Missing | Trouble::Passing(_)) => {
                self.make().await?;
                stored = self.answers();
                self.publish(member, stored.inbox.as_bytes());
                self.read().await?
            }
            all => all?,
        };
        accepted(&stored.next(&self.subject(member)).await?)?;
        Ok(all)
    }

    /// Waits until the server has what was said, for a little while.
    pub async fn flush(&self) {
        let _ = tokio::time::timeout(PATIENCE, self.wire.flush()).await;
    }

    fn subject(&self, member: &Member) -> String {
        format!("{}.{}", self.prefix, member.host)
    }

    /// Makes the bucket. It is no fault if another host is faster.
    async fn make(&self) -> Result<(), Trouble> {
        let stream = format!("KV_{BUCKET}");
        let mut made = Ok(());
        for replicas in REPLICAS {
            let config = json!({
                "name": stream,
                "description": "weir: which hosts run which partitions of a job",
                "subjects": [format!("$KV.{BUCKET}.>")],
                "storage": "file",
                "num_replicas": replicas,
                "max_msgs_per_subject": 1,
                "max_msg_size": LONGEST,
                "max_age": KEPT.as_nanos() as u64,
                "discard": "new",
                "allow_rollup_hdrs": true,
                "deny_delete": true,
                "allow_direct": true,
            });
            let subject = self.wire.api.stream_create(&stream);
            made = accepted(&self.ask(&subject, &config).next(&subject).await?);
            if made.is_ok() {
                break;
            }
        }
        made
    }

    /// What all hosts of the job say.
    ///
    /// # Errors
    /// When not all of them can be read: some are never taken for all.
    pub async fn read(&self) -> Result<Vec<Member>, Trouble> {
        let subject = self.wire.api.direct_get(&format!("KV_{BUCKET}"));
        let filter = format!("$KV.{BUCKET}.{}.*", self.job);
        let mut answers = self.ask(&subject, &json!({ "multi_last": [filter] }));
        let mut members = Vec::new();
        loop {
            let answer = answers.next(&subject).await?;
            if is_stored(&answer) {
                members.extend(Member::read(&answer.payload, &self.job));
                continue;
            }
            return match (answer.status(), answer.header("Nats-Num-Pending")) {
                // The end of all, and none.
                (Some((204, _)), Some("0")) | (Some((404, _)), _) => Ok(members),
                (Some((status, words)), _) => Err(Trouble::Passing(format!(
                    "the server says: {words} ({status})"
                ))),
                (None, _) => Err(Trouble::Passing(
                    "the answer is not a jetstream answer".into(),
                )),
            };
        }
    }

    /// The command of the operator to the hosts of the job; none if the job has no stream.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn control(&self) -> Result<Control, Trouble> {
        #[derive(Deserialize)]
        struct Answer {
            message: Option<Raw>,
            error: Option<ApiError>,
        }
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            data: String,
        }
        let (_, stream) = job::names(&self.job);
        let question = json!({ "last_by_subj": job_admin::control_subject(&self.job) });
        let subject = self.wire.api.message(&stream);
        let answer = self.ask(&subject, &question).next(&subject).await?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Answer {
                message: Some(raw), ..
            }) => Ok(Control::read(
                &STANDARD.decode(raw.data).unwrap_or_default(),
            )),
            Ok(Answer {
                error: Some(error), ..
            }) if NOTHING.contains(&error.err_code) => Ok(Control::default()),
            Ok(Answer {
                error: Some(error), ..
            }) => Err(error.into()),
            _ => Err(Trouble::Passing(
                "the answer is not a jetstream answer".into(),
            )),
        }
    }

    fn ask(&self, subject: &str, question: &Value) -> Answers<'_> {
        let answers = self.answers();
        let sent = self.wire.publish(&Parts {
            subject: subject.as_bytes(),
            reply: answers.inbox.as_bytes(),
            payload: question.to_string().as_bytes(),
            ..Parts::default()
        });
        if sent.is_err() {
            tracing::debug!(subject, "no question can be asked there");
        }
        answers
    }

    fn answers(&self) -> Answers<'_> {
        let inbox = self.wire.new_inbox();
        Answers {
            subscription: self.wire.subscribe_once(&inbox),
            wire: &self.wire,
            inbox,
            asked: Instant::now(),
        }
    }
}

/// What the hosts of a job say.
pub struct News {
    said: Subscription,
    job: String,
}

impl News {
    /// The next report of a host. After the end of the connection it waits forever. Safe to drop while it
    /// waits.
    pub async fn next(&mut self) -> Member {
        loop {
            match self.said.next().await {
                Some(said) => {
                    if let Some(member) = Member::read(&said.payload, &self.job) {
                        return member;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }
}

/// The answers to a question.
struct Answers<'a> {
    wire: &'a Wire,
    inbox: String,
    subscription: Subscription,
    asked: Instant,
}

impl Answers<'_> {
    /// The next answer. `subject` is where the question was asked.
    async fn next(&mut self, subject: &str) -> Result<Message, Trouble> {
        let health = &self.wire.health;
        let passing = |why: &str| Trouble::Passing(why.to_owned());
        let silence = tokio::time::sleep(PATIENCE);
        let mut silence = std::pin::pin!(silence);
        loop {
            let changed = health.changed.notified();
            let refused = health
                .violation(subject, self.asked)
                .or_else(|| health.is_deaf());
            if let Some(words) = refused {
                return Err(Trouble::Refused(words));
            }
            let answer = tokio::select! {
                biased;
                answer = self.subscription.next() => answer.ok_or_else(|| passing("the connection is closed"))?,
                () = health.down() => return Err(passing("the connection was lost")),
                () = &mut silence => return Err(passing("the server did not answer")),
                () = changed => continue,
            };
            return match answer.status() {
                Some((503, _)) if !is_stored(&answer) => Err(Trouble::Missing),
                _ => Ok(answer),
            };
        }
    }
}

/// Whether an answer is a stored message: only to those the server adds a sequence, whatever else somebody has
/// put into their headers.
fn is_stored(answer: &Message) -> bool {
    answer.header("Nats-Sequence").is_some()
}

/// An error of the API.
#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ApiError> for Trouble {
    fn from(
        ApiError {
            err_code,
            description,
        }: ApiError,
    ) -> Self {
        Self::Passing(format!("the server says: {description} ({err_code})"))
    }
}

/// Whether the server has done what was asked, or another host has.
fn accepted(answer: &Message) -> Result<(), Trouble> {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<ApiError>,
    }
    match serde_json::from_slice(&answer.payload) {
        Ok(Answer { error: Some(error) }) if error.err_code != EXISTS => Err(error.into()),
        Ok(_) => Ok(()),
        Err(_) => Err(Trouble::Passing(
            "the answer is not a jetstream answer".to_owned(),
        )),
    }
}
