//! A host as a member of a job: reports what it owns, receives the reports of others, and derives what it is
//! to own.
//!
//! A separate task connects the bucket (`nats/members.rs`) and the decisions (`handover.rs`). The runner of
//! the partitions follows [`Membership::share`], and reports with [`Membership::set_owned`]. None of this
//! fences: a host without news of the others continues, and is fenced when another host claims its partitions
//! (`docs/adr/0026-who-tries-to-own-a-partition.md`).

use super::handover::Handover;
use crate::nats::Connection;
use crate::nats::job_admin::Control;
use crate::nats::job_progress::JobProgress;
use crate::nats::members::{BUCKET, Member, Members, News, Trouble};
use crate::threads::locked;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The time from one beat to the next. A host counts as dead after four beats of the others without news: 6
/// to 8 s. With a shorter time, a host that is paused for a moment by its disk or its machine would lose all
/// its partitions, which costs a recovery for each. With a longer time, the partitions of a dead host would
/// stand still for longer. Beats during an election of the bucket's servers do not count.
const BEAT: Duration = Duration::from_secs(2);
/// From one piece of news to the next, at least: a host that claims all of its partitions says so at once.
const APART: Duration = Duration::from_millis(20);

/// What a host is to do for a job. Both sets change at once: a partition that moves between them is always in
/// one of them, so a standby that becomes the owner keeps its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The partitions to own: none while the job is paused.
    pub assigned: BTreeSet<u16>,
    /// The partitions to stand by for.
    pub standby: BTreeSet<u16>,
}

/// One host of one job. Ends when it is dropped; without [`leave`](Self::leave) the others take it for dead.
pub struct Membership {
    shared: Arc<Shared>,
    members: Members,
    share: watch::Receiver<Share>,
    task: JoinHandle<()>,
}

struct Shared {
    handover: Mutex<Handover>,
    changed: Notify,
    /// What the operator says; none before it was heard.
    control: Mutex<Option<Control>>,
    progress: Arc<JobProgress>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Membership {
    /// Joins the hosts of a job with this number of partitions, and this number of standbys for each. The
    /// partitions of this host are known a moment later: after reports of all other hosts, or after a
    /// timeout.
    ///
    /// # Errors
    /// When there is no connection. If the bucket cannot be used, this host is to own all partitions, with a
    /// warning.
    pub async fn join(
        connection: &Connection,
        job: &str,
        partitions: u16,
        standbys: usize,
        progress: &Arc<JobProgress>,
    ) -> Result<Self> {
        let members = Members::open(connection, job).await;
        let members = members.with_context(|| format!("cannot join the hosts of job `{job}`"))?;
        let handover = Handover::new(Member::new(job, partitions), standbys);
        let shared = Arc::new(Shared {
            handover: Mutex::new(handover),
            changed: Notify::new(),
            control: Mutex::default(),
            progress: Arc::clone(progress),
        });
        let (sender, share) = watch::channel(Share::default());
        let task = Task {
            shared: Arc::clone(&shared),
            members: members.clone(),
            share: sender,
            job: job.to_owned(),
        };
        let task = tokio::spawn(task.run(members.listen()));
        Ok(Self {
            shared,
            members,
            share,
            task,
        })
    }

    /// What this host is to do now. Release a partition that is no longer in the share: stop it, and then
    /// report that with [`set_owned`](Self::set_owned). The newly assigned host waits for that.
    #[must_use]
    pub fn share(&self) -> watch::Receiver<Share> {
        self.share.clone()
    }

    /// See [`Handover::set_standby`].
    pub fn set_standby(&self, partition: u16, record: Option<u64>) {
        locked(&self.shared.handover).set_standby(partition, record);
    }

    /// Reports what this host owns: from the claim until it has released the partition or was deposed. If the
    /// host gives up an assigned partition, because another host has claimed it or it cannot continue, the
    /// partition leaves the share. It returns when it has no owner at the next beat.
    pub fn set_owned(&self, partition: u16, owned: bool) {
        locked(&self.shared.handover).set_owned(partition, owned);
        self.shared.changed.notify_one();
    }

    /// This host, and all others that it takes for alive.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        locked(&self.shared.handover).members().cloned().collect()
    }

    /// Says that this host owns nothing any more, so that the others need not wait for that.
    pub async fn leave(self) {
        self.task.abort();
        let last = locked(&self.shared.handover).leave();
        self.members.say(&last);
        self.members.flush().await;
    }
}

/// What goes on while a host is a member. The three never end.
struct Task {
    shared: Arc<Shared>,
    members: Members,
    share: watch::Sender<Share>,
    job: String,
}

impl Task {
    async fn run(self, news: News) {
        tokio::join!(self.beat(), self.hear(news), self.tell());
    }

    async fn beat(&self) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_sound = true;
        loop {
            beats.tick().await;
            let member = locked(&self.shared.handover).say();
            let beat = async { tokio::join!(self.members.control(), self.members.beat(&member)) };
            let (control, made) = beat.await;
            self.obey(control);
            let was_sound = std::mem::replace(&mut is_sound, made.is_ok());
            match &made {
                Ok(_) if !was_sound => {
                    tracing::info!(job = self.job, "the other hosts are heard again");
                }
                Err(trouble) if was_sound => self.warn(trouble),
                _ => {}
            }
            let mut handover = locked(&self.shared.handover);
            match made {
                Ok(all) => {
                    for host in handover.beat(all) {
                        tracing::warn!(
                            job = self.job,
                            host,
                            "this host says nothing any more: others take over its partitions"
                        );
                    }
                }
                Err(Trouble::Refused(_)) => handover.go_alone(),
                Err(_) => handover.miss(),
            }
            drop(handover);
            self.shared.changed.notify_one();
        }
    }

    /// A command of the operator holds until the next one. A host without the permission to read commands
    /// continues.
    fn obey(&self, heard: Result<Control, Trouble>) {
        let heard = match heard {
            Ok(control) => control,
            Err(Trouble::Passing(_)) => return,
            Err(Trouble::Refused(_) | Trouble::Missing) => Control::default(),
        };
        let paused = heard.paused;
        let before = locked(&self.shared.control).replace(heard);
        if before.is_some_and(|before| before.paused) != paused {
            let what = if paused { "is paused" } else { "continues" };
            tracing::info!(job = self.job, "the job {what}");
        }
        locked(&self.shared.handover).set_paused(paused);
        self.shared.progress.set_paused(paused);
    }

    fn warn(&self, trouble: &Trouble) {
        let hint = match trouble {
            Trouble::Refused(_) => format!(
                "; hint: allow this user to publish to `$KV.{BUCKET}.>` and to make and read the stream `KV_{BUCKET}`"
            ),
            _ => String::new(),
        };
        tracing::warn!(
            job = self.job,
            "cannot use the bucket `{BUCKET}`: {trouble}: this host does not see the other hosts, and tries to \
             own every partition without a known owner{hint}"
        );
    }

    async fn hear(&self, mut news: News) {
        loop {
            let said = news.next().await;
            locked(&self.shared.handover).hear(said);
            self.shared.changed.notify_one();
        }
    }

    async fn tell(&self) {
        // Up to which replacement of the state everything that was owned before is given up.
        let mut seen = None;
        loop {
            self.shared.changed.notified().await;
            let control = locked(&self.shared.control).clone();
            let (news, share) = {
                let mut handover = locked(&self.shared.handover);
                if handover.owns_nothing() {
                    seen = control.as_ref().map(|control| control.replaced);
                }
                let is_still = |control: Control| control.paused || seen != Some(control.replaced);
                let share = match control.is_none_or(is_still) {
                    true => Share::default(),
                    false => Share {
                        assigned: handover.assigned().clone(),
                        standby: handover.standby().clone(),
                    },
                };
                (handover.news(), share)
            };
            if let Some(news) = news {
                self.members.say(&news);
            }
            self.share.send_if_modified(|known| {
                let changed = *known != share;
                *known = share;
                changed
            });
            sleep(APART).await;
        }
    }
}
