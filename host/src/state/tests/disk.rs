//! A state on disk is a cache: what is damaged or another's is thrown away, and what cannot be kept is said.

use super::super::*;
use super::operators;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(super) fn location(folder: &Path) -> Location {
    Location {
        folder: folder.to_owned(),
        name: "7".to_owned(),
        identity: "WEIR_JOB_TOTALS@1".to_owned(),
        cache: 1 << 20,
        memtable: 16 << 20,
    }
}

/// A place in the log.
pub(super) fn mark(log: usize) -> Mark {
    Mark {
        log: log as u64,
        chain: log.to_string().into(),
        next: 10 * log as u64,
        compacted: 1,
        length: (3, 7),
    }
}

type Opened = Result<(State, Option<String>), String>;

fn open_at(at: &Location, groups: &Groups) -> Opened {
    State::on_disk(groups, operators(), u64::MAX, at, true)
}

fn open(folder: &Path) -> Opened {
    open_at(&location(folder), &Groups::all())
}

fn key(number: u16) -> [u8; 2] {
    number.to_be_bytes()
}

const KEYS: u16 = 500;

/// The commit in flight is stored, and so many deltas are in the state.
fn noted(state: &mut State, log: usize) {
    state.confirmed();
    state.note(Some(&mark(log)));
}

fn disk(state: &mut State) -> &mut super::super::disk::Disk {
    match &mut state.store.rows {
        rows::Rows::Disk(disk) => disk,
        rows::Rows::Memory(_) => unreachable!("it is on disk"),
    }
}

fn fill(state: &mut State, numbers: std::ops::Range<u16>) {
    let operator = state.operator("count").unwrap();
    for number in numbers {
        state
            .set(operator, &key(number), b"n", &[7; 100], None)
            .unwrap();
        let clock = Clock::EventTime;
        state
            .set_timer(operator, &key(number), b"t", clock, number.into())
            .unwrap();
    }
}

/// A state with a value and a timer for each key, and one of a key that the store does not take. Half of it is in
/// files.
fn filled(folder: &Path) -> State {
    let (mut state, discarded) = open(folder).unwrap();
    assert_eq!((discarded, state.mark()), (None, None));
    let operator = state.operator("count").unwrap();
    state.begin(9);
    fill(&mut state, 0..KEYS / 2);
    state.seal().unwrap();
    noted(&mut state, 2);
    disk(&mut state).make_files();
    fill(&mut state, KEYS / 2..KEYS);
    let long = [0; 40_000];
    state.set(operator, &long, b"long", b"v", Some(5)).unwrap();
    state.set(operator, &long, b"short", b"w", None).unwrap();
    state.seal().unwrap();
    noted(&mut state, 3);
    state
}

fn has(state: &State, numbers: std::ops::Range<u16>) -> bool {
    let operator = state.operator("count").unwrap();
    let value = |number| state.get(operator, &key(number), b"n");
    numbers
        .into_iter()
        .all(|number| value(number) == Ok(Some(&[7; 100])))
}

fn has_all(state: &State) -> bool {
    let operator = state.operator("count").unwrap();
    let long = state.scan(operator, &[0; 40_000], b"", None).unwrap();
    let long: Vec<_> = long.map(|found| found.unwrap()).collect();
    has(state, 0..KEYS) && long == [(&b"long"[..], &b"v"[..]), (b"short", b"w")]
}

#[test]
fn it_is_opened_as_it_was_noted_with_its_place_in_the_log() {
    let home = TempDir::new().unwrap();
    let (usage, formats) = {
        let state = filled(home.path());
        assert!(has_all(&state));
        (state.usage(), state.group_usage(Group::of(&key(3))))
    };
    let (mut state, discarded) = open(home.path()).unwrap();
    assert_eq!((discarded, state.mark()), (None, Some(&mark(3))));
    assert_eq!(
        (state.usage(), state.group_usage(Group::of(&key(3)))),
        (usage, formats)
    );
    assert_eq!(
        (state.now(), state.occupied().collect::<Vec<_>>()),
        (9, vec!["count"])
    );
    assert!(has_all(&state));
    assert_eq!(state.expiring(14).rows, 1);
    let due = state.take_due(Clock::EventTime, 9, 100);
    assert_eq!(due.len(), 10);
    // What is not noted is not there.
    state.seal().unwrap();
    drop(state);
    let (mut state, _) = open(home.path()).unwrap();
    assert_eq!(state.take_due(Clock::EventTime, 9, 100), due);
    // The pipeline has other operators now, in another order.
    drop(state);
    let operators = ["alert", "other"];
    let at = location(home.path());
    let state = State::on_disk(&Groups::all(), operators, u64::MAX, &at, true);
    let (mut state, _) = state.unwrap();
    let other = state.operator("other").unwrap();
    assert_eq!(state.get(other, &key(1), b"n"), Ok(None));
    assert!(has_all(&state));
    // A commit without a place in the log leaves nothing to go on with.
    state.set(other, b"k", b"", b"v", None).unwrap();
    state.seal().unwrap();
    state.confirmed();
    state.note(None);
    drop(state);
    let (state, discarded) = open(home.path()).unwrap();
    assert_eq!(discarded.as_deref(), Some("it was not written to its end"));
    assert_eq!(state.usage(), Usage::default());
}

#[test]
fn another_process_takes_another_directory_and_the_next_one_finds_the_first() {
    let home = TempDir::new().unwrap();
    let first = filled(home.path());
    let (second, discarded) = open(home.path()).unwrap();
    assert_eq!((discarded, second.usage()), (None, Usage::default()));
    drop(first);
    let (third, _) = open(home.path()).unwrap();
    assert!(has_all(&third));
}

#[test]
fn a_store_of_another_job_partition_or_server_is_thrown_away() {
    let home = TempDir::new().unwrap();
    let at = location(home.path());
    let another = Location {
        identity: "WEIR_JOB_TOTALS@2".to_owned(),
        ..at.clone()
    };
    let half = Groups::of_partition(0, 2).unwrap();
    for (at, groups) in [(&another, Groups::all()), (&at, half)] {
        drop(filled(home.path()));
        let (state, discarded) = open_at(at, &groups).unwrap();
        assert_eq!(
            discarded.as_deref(),
            Some("it is of another job or partition")
        );
        assert_eq!((state.usage(), state.mark()), (Usage::default(), None));
        drop(state);
        fs::remove_dir_all(home.path()).unwrap();
    }
}

#[test]
fn a_store_of_a_later_version_of_weir_is_thrown_away() {
    let home = TempDir::new().unwrap();
    let mut state = filled(home.path());
    disk(&mut state).make_newer();
    drop(state);
    let (state, discarded) = open(home.path()).unwrap();
    let why = Some("it is of another version of weir");
    assert_eq!(
        (discarded.as_deref(), state.usage()),
        (why, Usage::default())
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn whatever_is_deleted_torn_or_edited_leaves_the_state_an_earlier_one_or_none() {
    let made = TempDir::new().unwrap();
    drop(filled(made.path()));
    let files = files(&made.path().join("7.0"));
    assert!(files.len() > 3, "{files:?}");
    let mut earlier = 0;
    for (number, file) in files.iter().enumerate() {
        for damage in 0..5 {
            let home = TempDir::new().unwrap();
            copy(made.path(), home.path());
            let path = home.path().join(file.strip_prefix(made.path()).unwrap());
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            match damage {
                0 => fs::remove_file(&path).unwrap(),
                1 => fs::write(&path, &bytes[..middle]).unwrap(),
                2 => fs::write(&path, [&bytes[..], b"more"].concat()).unwrap(),
                3 if !bytes.is_empty() => {
                    bytes[middle] ^= 0x10;
                    fs::write(&path, &bytes).unwrap();
                }
                _ => {
                    bytes.fill(0xff);
                    fs::write(&path, &bytes).unwrap();
                }
            }
            let (state, discarded) = open(home.path()).unwrap();
            let what = format!("file {number} `{}`, damage {damage}", file.display());
            match (discarded, state.mark()) {
                (None, Some(found)) => {
                    let whole = match found.log {
                        2 => has(&state, 0..KEYS / 2) && state.usage().rows == u64::from(KEYS),
                        3 => has_all(&state),
                        _ => false,
                    };
                    assert!(whole || state.broken().is_some(), "{what}: {found:?}");
                    earlier += usize::from(found.log == 2);
                }
                (discarded, found) => {
                    assert_eq!((state.usage(), found), (Usage::default(), None), "{what}");
                    println!("{what}: {discarded:?}");
                }
            }
        }
    }
    assert!(earlier > 0, "a journal is damaged");
    // A file in the place of the directory is said, and so is one in that of what it is in.
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("7.0"), b"").unwrap();
    let error = open(home.path()).unwrap_err();
    assert!(
        error.starts_with("cannot keep the state on disk in `"),
        "{error}"
    );
    assert!(open(&home.path().join("7.0")).is_err());
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let path = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(file, path).unwrap();
    }
}

#[test]
fn what_is_found_to_be_damaged_while_it_is_used_breaks_the_store_and_is_thrown_away_then() {
    let home = TempDir::new().unwrap();
    let (mut state, _) = open(home.path()).unwrap();
    let operator = state.operator("count").unwrap();
    // A row that is not what a row is, under the key of one.
    state.set(operator, b"k", b"n", b"v", None).unwrap();
    state.seal().unwrap();
    noted(&mut state, 1);
    disk(&mut state).damage();
    assert_eq!(state.broken(), None);
    assert_eq!(state.get(operator, b"k", b"n"), Ok(None));
    let why = state.broken().unwrap();
    assert!(why.contains("a row is damaged"), "{why}");
    assert_eq!(state.mark(), None);
    // It goes on being asked, and is not kept.
    state.set(operator, b"k", b"n", b"w", None).unwrap();
    state.seal().unwrap();
    noted(&mut state, 2);
    drop(state);
    let at = location(home.path());
    let (state, _) = State::on_disk(&Groups::all(), operators(), 99, &at, false).unwrap();
    assert_eq!((state.broken(), state.usage()), (None, Usage::default()));
}

#[test]
fn what_cannot_be_written_breaks_the_store_and_nobody_waits_for_it() {
    let home = TempDir::new().unwrap();
    let mut state = filled(home.path());
    // No file can be made any more, as on a disk that is full.
    fs::remove_dir_all(home.path().join("7.0")).unwrap();
    disk(&mut state).try_make_files();
    let why = state.broken().unwrap();
    assert!(
        why.starts_with("cannot keep the state on disk in `"),
        "{why}"
    );
    assert_eq!(state.mark(), None);
    fill(&mut state, 0..KEYS);
    state.seal().unwrap();
    noted(&mut state, 4);
    assert_eq!(state.mark(), None);
    // Whoever starts again finds room.
    drop(state);
    let (state, discarded) = open(home.path()).unwrap();
    assert_eq!((discarded, state.usage()), (None, Usage::default()));
}
