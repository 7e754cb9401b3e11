//! Simulated hosts: a bucket that may lag behind, reports that may be lost, hosts that join, leave, die,
//! pause and hang, and the owner of each partition by the fence. A seed decides everything.

use super::super::{Handover, assign};
use crate::nats::members::Member;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A host of the world. Its partitions are run by what follows its decisions after a while.
pub struct Host {
    pub handover: Handover,
    /// Partitions that it runs, whatever has become of them since.
    pub runs: BTreeSet<u16>,
    /// What it has not heard yet, in the order of each sender.
    pub inbox: VecDeque<Member>,
    /// Whether it makes no step at present.
    pub paused: bool,
    /// Whether it says what it says, and neither claims nor releases anything.
    pub hung: bool,
}

/// Hosts, a bucket, and who owns each partition by the fence.
pub struct World {
    pub random: StdRng,
    pub partitions: u16,
    pub hosts: BTreeMap<String, Host>,
    pub bucket: BTreeMap<String, Member>,
    /// When each record was stored; it expires after a while.
    pub stored: BTreeMap<String, u32>,
    pub round: u32,
    /// An older state of the bucket, as a replica has it that lags behind.
    pub old: BTreeMap<String, Member>,
    pub owners: Vec<Option<String>>,
    pub started: u32,
    /// Claims so far, those of a partition that another owned, and the most partitions without an owner.
    pub claims: usize,
    pub stolen: usize,
    pub most_free: usize,
    /// Whether news and reads are lost, and reads are old.
    pub faults: bool,
}

impl World {
    pub fn new(seed: u64, partitions: u16) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            partitions,
            hosts: BTreeMap::new(),
            bucket: BTreeMap::new(),
            stored: BTreeMap::new(),
            round: 0,
            old: BTreeMap::new(),
            owners: vec![None; usize::from(partitions)],
            started: 0,
            claims: 0,
            stolen: 0,
            most_free: 0,
            faults: false,
        }
    }

    pub fn join(&mut self) -> String {
        self.started += 1;
        let name = format!("h{}", self.started);
        let me = Member {
            host: name.clone(),
            ..Member::new("job", self.partitions)
        };
        let host = Host {
            handover: Handover::new(me, 1),
            runs: BTreeSet::new(),
            inbox: VecDeque::new(),
            paused: false,
            hung: false,
        };
        self.hosts.insert(name.clone(), host);
        self.beat(&name);
        name
    }

    pub fn leave(&mut self, name: &str) {
        if let Some(mut host) = self.hosts.remove(name) {
            for partition in host.runs {
                self.release(partition, name);
            }
            let last = host.handover.leave();
            self.say(last);
        }
    }

    pub fn die(&mut self, name: &str) {
        self.hosts.remove(name);
    }

    pub fn release(&mut self, partition: u16, name: &str) {
        let owner = &mut self.owners[usize::from(partition)];
        if owner.as_deref() == Some(name) {
            *owner = None;
        }
    }

    /// A record is heard by all the others that do not miss it, and stored.
    pub fn say(&mut self, said: Member) {
        for (name, host) in &mut self.hosts {
            let is_lost = self.faults && self.random.random_ratio(1, 5);
            if *name != said.host && !is_lost {
                host.inbox.push_back(said.clone());
            }
        }
        self.stored.insert(said.host.clone(), self.round);
        self.bucket.insert(said.host.clone(), said);
    }

    pub fn beat(&mut self, name: &str) {
        let said = self.hosts.get_mut(name).unwrap().handover.say();
        if self.faults && self.random.random_ratio(1, 5) {
            self.hosts.get_mut(name).unwrap().handover.miss();
            return;
        }
        let is_old = self.faults && self.random.random_ratio(1, 3);
        let all = if is_old { &self.old } else { &self.bucket };
        let all = all.values().cloned().collect();
        self.say(said);
        self.hosts.get_mut(name).unwrap().handover.beat(all);
        if self.random.random_ratio(1, 5) {
            self.old = self.bucket.clone();
        }
    }

    pub fn news(&mut self, name: &str) {
        if let Some(news) = self.hosts.get_mut(name).unwrap().handover.news() {
            self.say(news);
        }
    }

    /// What runs the partitions of a host does one thing.
    pub fn work(&mut self, name: &str) {
        let host = self.hosts.get_mut(name).unwrap();
        if host.hung {
            return;
        }
        let assigned = host.handover.assigned();
        let to_release = host.runs.difference(assigned).next().copied();
        let to_claim = assigned.difference(&host.runs).next().copied();
        let deposed = host
            .runs
            .iter()
            .copied()
            .find(|partition| self.owners[usize::from(*partition)].as_deref() != Some(name));
        if let Some(partition) = to_release.or(deposed) {
            host.runs.remove(&partition);
            host.handover.set_owned(partition, false);
            self.release(partition, name);
        } else if let Some(partition) = to_claim {
            host.runs.insert(partition);
            host.handover.set_owned(partition, true);
            let owner = self.owners[usize::from(partition)].replace(name.to_owned());
            self.claims += 1;
            self.stolen += usize::from(owner.is_some_and(|owner| self.hosts.contains_key(&owner)));
        }
        let free = self.owners.iter().filter(|owner| owner.is_none()).count();
        self.most_free = self.most_free.max(free);
    }

    /// About as many steps as all hosts make from one beat to the next: what is said is heard, and partitions are
    /// claimed and released, much faster than that.
    pub fn round(&mut self) {
        self.round += 1;
        let Self { stored, round, .. } = self;
        self.bucket.retain(|host, _| stored[host] + 15 >= *round);
        let mut beats: Vec<String> = self.hosts.keys().cloned().collect();
        let steps = 20 * beats.len();
        while !beats.is_empty() {
            for _ in 0..steps {
                self.step();
            }
            let next = beats.swap_remove(self.random.random_range(0..beats.len()));
            if self.hosts.get(&next).is_some_and(|host| !host.paused) {
                self.beat(&next);
            }
        }
        for _ in 0..steps {
            self.step();
        }
    }

    pub fn step(&mut self) {
        let names: Vec<&String> = self.hosts.keys().collect();
        if names.is_empty() {
            return;
        }
        let name = names[self.random.random_range(0..names.len())].clone();
        let host = self.hosts.get_mut(&name).unwrap();
        if host.paused {
            return;
        }
        match self.random.random_range(0..3) {
            0 => {
                if let Some(said) = host.inbox.pop_front() {
                    host.handover.hear(said);
                }
            }
            1 => self.work(&name),
            _ => self.news(&name),
        }
    }

    pub fn any(&mut self) -> Option<String> {
        let names: Vec<&String> = self.hosts.keys().collect();
        let chosen = self.random.random_range(0..names.len().max(1));
        names.get(chosen).map(|name| (*name).clone())
    }

    /// Something happens to somebody.
    pub fn accident(&mut self) {
        let Some(name) = self.any() else {
            self.join();
            return;
        };
        let paused = self.random.random();
        match self.random.random_range(0..6) {
            0 | 1 if self.hosts.len() < 6 => drop(self.join()),
            2 if self.hosts.len() > 1 => self.leave(&name),
            3 if self.hosts.len() > 1 => self.die(&name),
            4 => self.hosts.get_mut(&name).unwrap().paused = paused,
            _ => self.hosts.get_mut(&name).unwrap().hung = paused,
        }
    }

    pub fn rounds(&mut self, count: u32) {
        for _ in 0..count {
            self.round();
        }
    }

    /// Each partition has the owner that all agree on.
    pub fn settled(&self) -> Result<(), String> {
        let live: Vec<String> = self.hosts.keys().cloned().collect();
        let targets = assign(&live, self.partitions);
        for (name, host) in &self.hosts {
            if host.handover.live != live {
                return Err(format!("{name} knows of {:?}", host.handover.live));
            }
            if !host.inbox.is_empty() || host.handover.news {
                return Err(format!("{name} has not heard or said all"));
            }
            let owned = &host.handover.me.owned;
            if host.handover.assigned() != owned || *owned != host.runs {
                return Err(format!(
                    "{name} is to own {:?}, not {owned:?}",
                    host.handover.assigned()
                ));
            }
        }
        for (partition, owner) in self.owners.iter().enumerate() {
            let target = &live[targets[partition]];
            if owner.as_ref() != Some(target) {
                return Err(format!("{owner:?} owns {partition}, not {target}"));
            }
        }
        Ok(())
    }

    #[track_caller]
    pub fn settle(&mut self, most: u32) {
        for _ in 0..most {
            if self.settled().is_ok() {
                return;
            }
            self.round();
            // All that was said is heard before the next beat.
            for _ in 0..1000 * self.hosts.len() {
                self.step();
                if self.hosts.values().all(|host| host.inbox.is_empty()) {
                    break;
                }
            }
        }
        if let Err(why) = self.settled() {
            panic!("it does not settle: {why}");
        }
    }
}
