//! Whatever is decided, and by whom, what hosts run follows from it.

use super::*;
use proptest::prelude::*;

/// Versions that files name, and that are deployed.
const VERSIONS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn component(digest: &str) -> Component {
    Component {
        digest: digest.to_owned(),
        origin: format!("{digest}.wasm"),
    }
}

/// What somebody decides. Hosts are places in [`Fleet::files`].
#[derive(Clone, Copy, Debug)]
enum Step {
    Deploy(&'static str),
    Try(&'static str, TrialKind),
    /// The canary, by hand or because it did no worse.
    Promote,
    /// By hand, also to what is in quarantine.
    GoBack(&'static str),
    /// What a host runs is worse than a version that it ran before.
    Worse(usize, &'static str),
    /// The canary is worse than what this host runs.
    WorseCanary(usize),
    /// A host cannot run a version.
    Refuse(&'static str),
    /// `plugin:` of a host names another.
    File(usize, &'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let (version, host) = (prop::sample::select(&VERSIONS[..]), 0..3_usize);
    let kind = prop_oneof![Just(TrialKind::Canary(10.0)), Just(TrialKind::Shadow)];
    prop_oneof![
        version.clone().prop_map(Step::Deploy),
        (version.clone(), kind).prop_map(|(version, kind)| Step::Try(version, kind)),
        Just(Step::Promote),
        version.clone().prop_map(Step::GoBack),
        (host.clone(), version.clone()).prop_map(|(host, good)| Step::Worse(host, good)),
        host.clone().prop_map(Step::WorseCanary),
        version.clone().prop_map(Step::Refuse),
        (host, version).prop_map(|(host, version)| Step::File(host, version)),
    ]
}

/// Hosts with the version that the file of each names, and what all of them follow.
#[derive(Clone, Debug)]
struct Fleet {
    files: [&'static str; 3],
    record: Deployment,
}

impl Fleet {
    fn runs(&self) -> [String; 3] {
        self.files.map(|file| self.run_by(file))
    }

    /// What a host runs whose file names this version.
    fn run_by(&self, file: &str) -> String {
        let instead = self.record.instead_of(file);
        instead
            .map_or(file, |component| &component.digest)
            .to_owned()
    }

    fn is_bad(&self, digest: &str) -> bool {
        self.record.quarantined(digest).is_some()
    }

    /// Whether anybody decides so: nothing is deployed beside what is on trial, only what is new is tried,
    /// and nobody goes back to what is only tried, or to what is worse.
    fn is_possible(&self, step: Step) -> bool {
        let trial = self.record.trial.as_ref();
        let trial = trial.map(|trial| &*trial.component.digest);
        let runs = self.runs();
        let runs_somewhere = |version: &str| runs.iter().any(|digest| digest == version);
        match step {
            Step::Deploy(_) => trial.is_none(),
            Step::Try(version, _) => {
                trial.is_none() && !self.files.contains(&version) && !runs_somewhere(version)
            }
            Step::Promote | Step::WorseCanary(_) => trial.is_some(),
            Step::Worse(host, good) => trial != Some(good) && runs[host] != good,
            Step::GoBack(_) | Step::Refuse(_) | Step::File(..) => true,
        }
    }

    /// As `weir plugin deploy`, `promote` and `rollback` change the record, and as hosts do.
    fn take(&mut self, step: Step) {
        let (over, trial) = (self.files.map(str::to_owned).to_vec(), self.tried());
        let record = &mut self.record;
        match step {
            Step::Deploy(version) => {
                record.release(version);
                record.install(component(version), over);
                record.decided("deployed", version, None);
            }
            Step::Try(version, kind) => {
                record.release(version);
                record.decided("on trial", version, None);
                let component = component(version);
                record.trial = Some(Trial {
                    component,
                    kind,
                    over,
                });
            }
            Step::Promote => {
                record.promote(&trial, "by hand");
            }
            Step::GoBack(version) => {
                record.release(version);
                record.trial = None;
                record.install(component(version), over);
                record.decided(FORCED_BACK, "left", None);
            }
            Step::Worse(host, good) => {
                let bad = self.run_by(self.files[host]);
                self.worse(true, &bad, good, self.files[host]);
            }
            Step::WorseCanary(host) => {
                let good = self.run_by(self.files[host]);
                self.worse(false, &trial, &good, self.files[host]);
            }
            Step::Refuse(version) => self.refuse(version),
            Step::File(host, version) => self.files[host] = version,
        }
    }

    /// The digest of what is on trial; empty without a trial.
    fn tried(&self) -> String {
        let trial = self.record.trial.as_ref();
        trial.map_or_else(String::new, |trial| trial.component.digest.clone())
    }

    fn worse(&mut self, took_over: bool, bad: &str, good: &str, configured: &str) {
        let decision = Decision::new(ROLLED_BACK, bad, Some("worse".to_owned()));
        self.tell(&HostDecision::RollBack {
            decision,
            good: component(good),
            configured: configured.to_owned(),
            took_over,
        });
    }

    fn refuse(&mut self, version: &str) {
        let reason = Some("it does not fit".to_owned());
        self.tell(&HostDecision::Reject(Decision::new(
            REFUSED, version, reason,
        )));
    }

    /// A host writes its decision, twice: it does not know whether it was stored.
    fn tell(&mut self, decision: &HostDecision) {
        assert!(decision.apply(&mut self.record));
        let once = self.record.clone();
        assert!(!decision.apply(&mut self.record));
        assert_eq!(self.record, once);
    }

    /// What must hold of a step that led here from `before`.
    fn follows(&self, before: &Self, step: Step) -> Result<(), TestCaseError> {
        let (ran, runs) = (before.runs(), self.runs());
        for (file, digest) in self.files.iter().zip(&runs) {
            // What is in quarantine runs only where nothing else is known than what is configured.
            prop_assert!(
                !self.is_bad(digest) || digest == file,
                "{} for {}",
                digest,
                file
            );
        }
        let all_run = |version: &str| runs.iter().all(|digest| digest == version);
        match step {
            Step::Deploy(version) | Step::GoBack(version) => prop_assert!(all_run(version)),
            Step::Try(..) => prop_assert_eq!(&ran, &runs),
            Step::Promote => {
                // A shadow goes on; of a canary, all have the new version whose file is the one of then.
                let over = before.record.trial.as_ref().map(|trial| &trial.over);
                let over = over.filter(|_| self.record.trial.is_none());
                for (place, file) in self.files.iter().enumerate() {
                    let is_over = over.is_some_and(|over| over.iter().any(|digest| digest == file));
                    let stays = over.is_none() && runs[place] == ran[place];
                    let has_new = over.is_some() && runs[place] == before.tried();
                    prop_assert!(
                        stays || has_new || over.is_some() && !is_over,
                        "for {}",
                        file
                    );
                }
            }
            Step::Worse(host, good) => {
                let bad = &ran[host];
                prop_assert!(
                    before.is_bad(good) || !runs.contains(bad),
                    "{} still runs",
                    bad
                );
                prop_assert!(self.is_bad(bad));
            }
            Step::WorseCanary(_) => {
                let bad = before.tried();
                for (now, before_it) in runs.iter().zip(&ran) {
                    // It ran nowhere but as a canary, unless a file has named it since.
                    let stays = now == before_it || *before_it == bad || before.is_bad(before_it);
                    prop_assert!(stays, "{} in place of {}", now, before_it);
                }
                prop_assert_eq!(&self.record.trial, &None);
            }
            Step::Refuse(version) => {
                for (file, digest) in self.files.iter().zip(&runs) {
                    prop_assert!(
                        *file == version || digest != version,
                        "it runs for {}",
                        file
                    );
                }
            }
            Step::File(host, _) => {
                let others = (0..self.files.len()).filter(|other| *other != host);
                others.for_each(|other| assert_eq!(ran[other], runs[other]));
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn whatever_is_decided_no_host_runs_what_is_bad_or_refused_and_all_follow_the_last_decision(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut fleet = Fleet { files: ["a", "a", "b"], record: Deployment::default() };
        for step in steps {
            if !fleet.is_possible(step) {
                continue;
            }
            let before = fleet.clone();
            fleet.take(step);
            fleet.follows(&before, step)?;
            let record = &fleet.record;
            prop_assert!(record.quarantine.len() <= VERSIONS.len());
            let text = serde_json::to_string(record).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Deployment>(&text).unwrap(), record);
        }
    }

    /// Refused by a host, or rolled back by one that ran the version before.
    #[test]
    fn a_new_version_that_does_not_stay_leaves_each_host_with_what_it_ran(
        steps in prop::collection::vec(step(), 0..40),
        refused in any::<bool>(),
        host in 0..3_usize,
    ) {
        let mut fleet = Fleet { files: ["a", "a", "b"], record: Deployment::default() };
        for step in steps {
            if fleet.is_possible(step) {
                fleet.take(step);
            }
        }
        let ran = fleet.runs();
        fleet.record.install(component("new"), fleet.files.map(str::to_owned).into());
        fleet.record.decided("deployed", "new", None);
        match refused {
            true => fleet.refuse("new"),
            false => fleet.worse(true, "new", &ran[host], fleet.files[host]),
        }
        for (before, now) in ran.iter().zip(fleet.runs()) {
            prop_assert!(now == *before || fleet.is_bad(before), "{} after {}", now, before);
        }
    }
}
