//! What a host knows of the other hosts of a job, and which partitions it is to own. Pure.
//!
//! Each host reports what it owns (`nats/members.rs`), and decides only for itself. `assign.rs` assigns
//! partitions. The assigned host takes a free partition at once. It asks for a partition of another owner,
//! one at a time, and the owner releases what the assigned host asks for. So while partitions move, each host
//! that receives some has at most one without an owner.
//!
//! Views may differ, records may be late or lost, and hosts may hang, so each wait has an end. Time is
//! counted in *beats*: one beat is one time that this host has read all reports and stored its own. A host
//! that cannot do that counts nothing, so it takes no other host for dead while the server is away.

use super::assign::{assign, rank, successors};
use crate::nats::members::Member;
use std::collections::{BTreeMap, BTreeSet};

/// Beats without news of a host after which it is taken for dead.
pub const SILENT: u32 = 4;
/// Beats after which the assigned host claims a partition that its owner does not release, and after which
/// the next host claims a free partition that the assigned host does not claim.
pub const PATIENCE: u32 = 5;
/// Beats for which a host that joins waits to hear of those that it has found, the first of them included.
pub const LISTEN: u32 = 3;
/// Other hosts that are remembered. The server gives no more records at once.
const MOST: usize = 1024;

/// The view and the decisions of one host of a job.
#[derive(Debug)]
pub struct Handover {
    me: Member,
    others: BTreeMap<String, Other>,
    /// Those that are alive, with this host, in order, and the host of each partition among them.
    live: Vec<String>,
    targets: Vec<usize>,
    /// The standby of each partition; empty if there is none.
    successors: Vec<usize>,
    /// Hosts that stand by for each partition.
    standbys: usize,
    /// What this host is to own, and what it is to stand by for.
    assigned: BTreeSet<u16>,
    standby: BTreeSet<u16>,
    /// Partitions that it had to give up while it was to own them. Somebody has them: it takes none back before
    /// the next beat, when it knows who.
    lost: BTreeSet<u16>,
    /// For how many beats each partition had no owner.
    free: Vec<u32>,
    /// The partition that is asked for, and for how many beats.
    wants: Option<(u16, u32)>,
    /// Until it knows the others it takes nothing.
    listening: Option<Listening>,
    /// Whether the others are to hear of it now.
    news: bool,
    /// Whether no host may own a partition, because the job is paused.
    paused: bool,
}

#[derive(Debug)]
struct Other {
    said: Member,
    /// Beats without news.
    silent: u32,
    /// Whether it has said anything since it was found. What is only found may be of a dead host, or be no
    /// host's at all.
    alive: bool,
}

/// Beats since it joined: those that could be made, and those that could not.
#[derive(Debug, Default)]
struct Listening {
    made: u32,
    failed: u32,
}

impl Handover {
    /// Of a host of a job for whose partitions so many hosts stand by.
    #[must_use]
    pub fn new(me: Member, standbys: usize) -> Self {
        let live = vec![me.host.clone()];
        Self {
            targets: assign(&live, me.partitions),
            free: vec![0; usize::from(me.partitions)],
            live,
            me,
            others: BTreeMap::new(),
            successors: Vec::new(),
            standbys,
            assigned: BTreeSet::new(),
            standby: BTreeSet::new(),
            lost: BTreeSet::new(),
            wants: None,
            listening: Some(Listening::default()),
            news: false,
            paused: false,
        }
    }

    /// The job is paused, or goes on.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether this host owns nothing.
    #[must_use]
    pub fn owns_nothing(&self) -> bool {
        self.me.owned.is_empty()
    }

    /// The partitions that this host is to own now.
    #[must_use]
    pub fn assigned(&self) -> &BTreeSet<u16> {
        &self.assigned
    }

    /// The partitions for which this host stands by now: those for which it is next, including one that it is
    /// to get from its present owner.
    #[must_use]
    pub fn standby(&self) -> &BTreeSet<u16> {
        &self.standby
    }

    /// This host follows the log of a partition and has come so far, or does not any more. Said with the next beat.
    pub fn set_standby(&mut self, partition: u16, record: Option<u64>) {
        match record {
            Some(record) => self.me.standby.insert(partition, record),
            None => self.me.standby.remove(&partition),
        };
    }

    /// This host and those that it takes for alive.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        let alive = self.others.values().filter(|other| other.alive);
        std::iter::once(&self.me).chain(alive.map(|other| &other.said))
    }

    /// What this host is to say now, if there is anything to say.
    pub fn news(&mut self) -> Option<Member> {
        std::mem::take(&mut self.news).then(|| self.say())
    }

    /// What this host says. Every time it is newer than before.
    pub fn say(&mut self) -> Member {
        self.me.beat += 1;
        self.me.clone()
    }

    /// The last that this host says.
    pub fn leave(&mut self) -> Member {
        (self.me.left, self.me.wants) = (true, None);
        self.me.owned.clear();
        self.me.standby.clear();
        self.say()
    }

    /// The partition was claimed, or is released or lost.
    pub fn set_owned(&mut self, partition: u16, owned: bool) {
        let changed = match owned {
            true => partition < self.me.partitions && self.me.owned.insert(partition),
            false => self.me.owned.remove(&partition),
        };
        if !owned && self.assigned.remove(&partition) {
            self.lost.insert(partition);
        }
        self.news |= changed;
        self.decide();
    }

    /// Another host says something.
    pub fn hear(&mut self, said: Member) {
        if self.take(said) {
            self.decide();
        }
    }

    /// This host has read what all say, and has said what it owns. Returns the names of those
    /// that it takes for dead from now on.
    pub fn beat(&mut self, all: Vec<Member>) -> Vec<String> {
        for other in self.others.values_mut() {
            other.silent += 1;
        }
        for said in all {
            self.take(said);
        }
        let dead = self
            .others
            .extract_if(.., |_, other| other.silent >= SILENT);
        let dead = dead.filter(|(_, other)| other.alive);
        let dead = dead.map(|(_, other)| other.said.name).collect();
        self.lost.clear();
        for partition in 0..self.me.partitions {
            let is_free = !self.mine(partition) && self.holders(partition).next().is_none();
            if let Some(beats) = self.free.get_mut(usize::from(partition)) {
                *beats = if is_free && !self.paused {
                    *beats + 1
                } else {
                    0
                };
            }
        }
        if let Some((_, beats)) = &mut self.wants {
            *beats += 1;
        }
        if let Some(listening) = &mut self.listening {
            listening.made += 1;
        }
        self.decide();
        dead
    }

    /// This host could not say or read anything.
    pub fn miss(&mut self) {
        if let Some(listening) = &mut self.listening {
            listening.failed += 1;
        }
        self.decide();
    }

    /// Lets this host take all its assigned partitions, without waiting longer for the others.
    pub fn go_alone(&mut self) {
        self.listening = None;
        self.decide();
    }

    /// Whether it changes anything but that the other host is heard of.
    fn take(&mut self, said: Member) -> bool {
        if said.host == self.me.host || said.partitions != self.me.partitions {
            return false;
        }
        let is_full = self.others.len() >= MOST;
        match self.others.get_mut(&said.host) {
            Some(other) if said.beat <= other.said.beat => false,
            Some(_) if said.left => self.others.remove(&said.host).is_some(),
            Some(other) => {
                let before = (&other.said.owned, other.said.wants, other.alive);
                let changed = before != (&said.owned, said.wants, true);
                (other.said, other.silent, other.alive) = (said, 0, true);
                changed
            }
            None if said.left || is_full => false,
            None => {
                let found = Other {
                    said,
                    silent: 0,
                    alive: false,
                };
                self.others.insert(found.said.host.clone(), found);
                // It takes this host for alive when it hears of it once more.
                self.news = true;
                true
            }
        }
    }

    /// Decides again after a change.
    fn decide(&mut self) {
        if let Some(Listening { made, failed }) = self.listening {
            let knows_all = made > 0 && self.others.values().all(|other| other.alive);
            if !knows_all && made < LISTEN && failed < PATIENCE {
                return;
            }
            self.listening = None;
        }
        let mut live: Vec<String> = self.members().map(|member| member.host.clone()).collect();
        live.sort_unstable();
        if live != self.live {
            self.targets = assign(&live, self.me.partitions);
            if self.standbys > 0 {
                self.successors = successors(&live, self.me.partitions, &self.targets);
            }
            self.live = live;
        }
        let is_done = |(partition, beats): (u16, u32)| {
            self.me.owned.contains(&partition) || beats >= PATIENCE || !self.is_target(partition)
        };
        let overdue = self.wants.filter(|(_, beats)| *beats >= PATIENCE);
        let mut wants = self.wants.filter(|wants| !is_done(*wants));
        let mut assigned = BTreeSet::new();
        for partition in 0..self.me.partitions {
            let is_overdue = overdue.is_some_and(|(overdue, _)| overdue == partition);
            if self.is_to_own(partition) || (is_overdue && self.is_target(partition)) {
                assigned.insert(partition);
            } else if wants.is_none() && self.is_target(partition) {
                wants = Some((partition, 0));
            }
        }
        (self.assigned, self.wants) = (assigned, wants);
        let all = 0..self.me.partitions;
        let standby = all.filter(|it| !self.assigned.contains(it) && self.is_standby(*it));
        self.standby = standby.collect();
        let wants = self.wants.map(|(partition, _)| partition);
        self.news |= self.me.wants != wants;
        self.me.wants = wants;
    }

    fn is_to_own(&self, partition: u16) -> bool {
        let (me, target) = (&self.me.host, self.target(partition));
        let mut holders = self.holders(partition);
        if self.mine(partition) {
            // Of several owners the one keeps it that is to own it, or comes first of the others.
            let comes_first =
                |other: &Member| self.rank(partition, &other.host) < self.rank(partition, me);
            let is_right = target == me;
            return is_right || !(self.is_wanted(partition, target) || holders.any(comes_first));
        }
        if holders.next().is_some() || self.lost.contains(&partition) {
            return false;
        }
        let free = self.free.get(usize::from(partition)).copied();
        let turns = free.unwrap_or_default() / PATIENCE;
        turns as usize >= self.rank(partition, me)
    }

    /// Whether this host comes soon enough in the order of those that are to own a partition: the first, then the
    /// one that follows it, then the others by their scores.
    fn is_standby(&self, partition: u16) -> bool {
        let successor = self.successors.get(usize::from(partition));
        let Some(successor) = successor.and_then(|place| self.live.get(*place)) else {
            return false;
        };
        let (me, other) = (&self.me.host, self.rank(partition, &self.me.host));
        let place = match other {
            0 => 0,
            _ if me == successor => 1,
            other => other + usize::from(other < self.rank(partition, successor)),
        };
        place <= self.standbys
    }

    /// Whether the host that is to own a partition asks for it.
    fn is_wanted(&self, partition: u16, target: &str) -> bool {
        let target = self.others.get(target);
        target.is_some_and(|target| target.alive && target.said.wants == Some(partition))
    }

    /// Whether this host owns a partition, or is about to.
    fn mine(&self, partition: u16) -> bool {
        self.assigned.contains(&partition) || self.me.owned.contains(&partition)
    }

    fn is_target(&self, partition: u16) -> bool {
        self.target(partition) == self.me.host
    }

    /// The host that is to own a partition.
    fn target(&self, partition: u16) -> &str {
        let place = self.targets.get(usize::from(partition));
        let host = place.and_then(|place| self.live.get(*place));
        host.map_or("", String::as_str)
    }

    /// The others that say that they own a partition.
    fn holders(&self, partition: u16) -> impl Iterator<Item = &Member> {
        let alive = self.others.values().filter(|other| other.alive);
        let said = alive.map(|other| &other.said);
        said.filter(move |said| said.owned.contains(&partition))
    }

    fn rank(&self, partition: u16, host: &str) -> usize {
        rank(&self.live, partition, self.target(partition), host)
    }
}

#[cfg(test)]
#[expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail by panicking"
)]
mod tests;
