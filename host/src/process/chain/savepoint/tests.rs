use super::*;
use crate::process::chain::{Rejection, Retry};
use proptest::prelude::*;
use smallvec::SmallVec;

/// What a model of a chain does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Emit,
    /// An operator writes before another one refuses.
    WriteAndReject,
    WriteAndRetry,
}

/// A log of writes; a savepoint is its length.
#[derive(Default)]
struct Log(Vec<usize>);

impl Savepoints for Log {
    fn is_tracked(&self) -> bool {
        true
    }

    fn savepoint(&mut self) -> Savepoint {
        Savepoint(self.0.len())
    }

    fn roll_back(&mut self, to: Savepoint) {
        self.0.truncate(to.0);
    }
}

fn verdict(does: Does) -> Verdict {
    match does {
        Does::Emit => Verdict::Publish(SmallVec::new()),
        Does::WriteAndReject => Verdict::Dead(Box::new(Rejection::by_sink("no".to_owned()))),
        Does::WriteAndRetry => Verdict::Retry(Retry {
            operator: "op".to_owned(),
            reason: "later".to_owned(),
            after: None,
            counts: true,
        }),
    }
}

/// Every message writes, whatever becomes of it.
fn run(batch: Vec<(usize, Does)>, log: &mut Log) -> Vec<Verdict> {
    let ends = batch.into_iter().map(|(number, does)| {
        log.0.push(number);
        verdict(does)
    });
    ends.collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let tokio = tokio::runtime::Builder::new_current_thread().build();
    tokio.unwrap().block_on(future)
}

proptest! {
    #[test]
    fn what_remains_is_what_the_messages_that_end_well_have_written(
        batch in prop::collection::vec(
            prop_oneof![
                4 => Just(Does::Emit),
                1 => Just(Does::WriteAndReject),
                1 => Just(Does::WriteAndRetry),
            ],
            0..40,
        ),
        before in 0..5_usize,
    ) {
        let mut log = Log((100..100 + before).collect());
        let numbered: Vec<_> = batch.iter().copied().enumerate().collect();
        let mut runs = 0;
        let verdicts = block_on(settle(numbered, &mut log, async |batch, log| {
            runs += 1;
            run(batch, log)
        }));
        prop_assert_eq!(verdicts.len(), batch.len());
        for (verdict, does) in verdicts.iter().zip(&batch) {
            prop_assert_eq!(verdict.ends_well(), *does == Does::Emit);
        }
        let well = batch.iter().enumerate().filter(|(_, does)| **does == Does::Emit);
        let expected: Vec<usize> = (100..100 + before).chain(well.map(|(number, _)| number)).collect();
        prop_assert_eq!(log.0, expected);
        let bad = batch.iter().filter(|does| **does != Does::Emit).count();
        prop_assert!(runs <= bad + 1);
    }
}

#[test]
fn a_message_that_fails_only_without_another_one_takes_its_writes_with_it_as_well() {
    // The second message ends well beside the first, which does not, and not alone.
    let mut log = Log::default();
    let verdicts = block_on(settle(
        vec![1_u8, 2, 3],
        &mut log,
        async |batch, log: &mut Log| {
            let beside = batch.contains(&1);
            log.0
                .extend(batch.iter().map(|number| usize::from(*number)));
            let does = |number: &u8| match number {
                1 => Does::WriteAndReject,
                2 if !beside => Does::WriteAndRetry,
                _ => Does::Emit,
            };
            batch.iter().map(|number| verdict(does(number))).collect()
        },
    ));
    let well: Vec<bool> = verdicts.iter().map(Verdict::ends_well).collect();
    assert_eq!((well, log.0), (vec![false, false, true], vec![3]));
}

#[test]
fn plugins_without_state_are_called_once() {
    let mut runs = 0;
    let verdicts = block_on(settle(
        vec![Does::Emit, Does::WriteAndReject],
        &mut Stateless,
        async |batch, _| {
            runs += 1;
            batch.into_iter().map(verdict).collect()
        },
    ));
    assert_eq!((verdicts.len(), runs), (2, 1));
}
