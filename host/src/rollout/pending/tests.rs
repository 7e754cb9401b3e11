//! A decision is stored once, whatever happens to the tries; until then it holds on its host.

use super::*;
use crate::nats::deployments::{Component, Decision, REFUSED, ROLLED_BACK};
use proptest::prelude::*;

/// What `plugin:` names.
const CONFIGURED: &str = "file";
/// One hour is more than all pauses together.
const LATER: Duration = Duration::from_secs(3600);

fn component(digest: &str) -> Component {
    Component {
        digest: digest.to_owned(),
        origin: format!("{digest}.wasm"),
    }
}

fn found_worse(digest: &str) -> HostDecision {
    HostDecision::RollBack {
        decision: Decision::new(ROLLED_BACK, digest, Some("it is worse".to_owned())),
        good: component(CONFIGURED),
        configured: CONFIGURED.to_owned(),
        took_over: true,
    }
}

/// What happens around a host.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It finds a version worse.
    Worse(u8),
    /// It cannot run one.
    Broken(u8),
    /// Somebody deploys a version that is not in quarantine.
    Deploy(u8),
    /// Somebody takes a version out of quarantine.
    Release(u8),
    Try(Outcome),
}

/// Of a try to store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Stored,
    NotStored,
    /// It is stored, and the host does not hear of it.
    Lost,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop::sample::select(vec![Outcome::Stored, Outcome::NotStored, Outcome::Lost]);
    let step = prop_oneof![
        2 => (0..3u8).prop_map(Step::Worse),
        1 => (0..3u8).prop_map(Step::Broken),
        1 => (0..3u8).prop_map(Step::Deploy),
        1 => (0..3u8).prop_map(Step::Release),
        4 => outcome.prop_map(Step::Try),
    ];
    // A record remembers nine decisions.
    prop::collection::vec(step, 1..9)
}

/// One host, and the record at its server.
struct World {
    pending: Pending,
    record: Deployment,
    now: Instant,
    /// All that the host has decided.
    decided: Vec<Decision>,
    /// What it has found worse, and nobody has released since.
    worse: Vec<String>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            pending: Pending::new(now),
            record: Deployment::default(),
            now,
            decided: Vec::new(),
            worse: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Worse(version) => {
                let digest = format!("v{version}");
                let decision = found_worse(&digest);
                if let HostDecision::RollBack { decision, .. } = &decision {
                    self.decided.push(decision.clone());
                }
                self.worse.push(digest);
                self.pending.add(0, decision, self.now);
            }
            Step::Broken(version) => {
                let reason = Some("it does not start".to_owned());
                let decision = Decision::new(REFUSED, &format!("v{version}"), reason);
                self.decided.push(decision.clone());
                self.pending
                    .add(0, HostDecision::Reject(decision), self.now);
            }
            Step::Deploy(version) => {
                let digest = format!("v{version}");
                if self.record.quarantined(&digest).is_none() {
                    let over = vec![CONFIGURED.to_owned()];
                    self.record.install(component(&digest), over);
                    self.record.decided("deployed", &digest, None);
                }
            }
            Step::Release(version) => {
                let digest = format!("v{version}");
                if self.record.quarantined(&digest).is_some() {
                    self.record.release(&digest);
                    self.worse.retain(|worse| *worse != digest);
                }
            }
            Step::Try(outcome) => self.attempt(outcome),
        }
    }

    fn attempt(&mut self, outcome: Outcome) {
        self.now += LATER;
        let due = self.pending.due(self.now);
        assert!(self.pending.is_empty());
        if outcome != Outcome::NotStored {
            for (_, decision) in &due {
                decision.apply(&mut self.record);
            }
        }
        let left = match outcome {
            Outcome::Stored => Vec::new(),
            Outcome::NotStored | Outcome::Lost => due,
        };
        self.pending.tried(left, self.now);
    }

    /// What this host takes for what it is to run.
    fn desired(&self) -> Deployment {
        self.pending.over(0, self.record.clone())
    }
}

proptest! {
    #[test]
    fn what_was_found_worse_does_not_run_again_and_is_stored_once(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            let desired = world.desired();
            for digest in &world.worse {
                // A person may release what is stored, while the host has found it worse once more.
                let again = world.pending.decisions.iter().any(|(_, decision)| {
                    matches!(decision, HostDecision::RollBack { decision, .. }
                        if decision.digest == *digest)
                });
                prop_assert!(again || world.record.quarantined(digest).is_some());
                prop_assert!(desired.quarantined(digest).is_some());
                let runs = desired.instead_of(CONFIGURED).map(|component| &*component.digest);
                prop_assert!(runs != Some(digest));
            }
        }
        world.attempt(Outcome::Stored);
        prop_assert!(world.pending.is_empty());
        for decision in &world.decided {
            let told = world.record.earlier.iter().chain([&world.record.last]);
            prop_assert_eq!(told.filter(|told| *told == decision).count(), 1);
        }
        prop_assert_eq!(world.desired(), world.record);
    }
}

#[test]
fn tries_are_further_and_further_apart_and_a_new_decision_is_tried_at_once() {
    let mut now = Instant::now();
    let mut pending = Pending::new(now);
    pending.add(0, found_worse("bad"), now);
    for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
        let due = pending.due(now);
        assert_eq!(due.len(), 1);
        pending.tried(due, now);
        now += Duration::from_secs(pause);
        assert!(pending.due(now - Duration::from_millis(1)).is_empty());
    }
    pending.tried(Vec::new(), now);
    let due = pending.due(now);
    pending.tried(due, now);
    pending.add(1, found_worse("other"), now);
    let due = pending.due(now);
    assert_eq!(due.len(), 2);
    pending.tried(due, now);
    assert!(pending.due(now + Duration::from_secs(4)).is_empty());
}

#[test]
fn a_rejection_is_forgotten_when_the_version_is_tried_anew() {
    let now = Instant::now();
    let mut pending = Pending::new(now);
    let rejected = Decision::new(REFUSED, "new", Some("it does not start".to_owned()));
    pending.add(0, HostDecision::Reject(rejected.clone()), now);
    pending.add(1, HostDecision::Reject(rejected), now);
    pending.add(0, found_worse("bad"), now);
    pending.forget_rejections(0);
    let left: Vec<usize> = pending.due(now).into_iter().map(|(at, _)| at).collect();
    assert_eq!(left, [1, 0]);
}
