//! What is promised to authors of plugins, and of the standard ones.

use crate::harness::guests::{guest, repository};

/// `weir plugin new` copies the SDK with its WIT; a drift would make components for another contract.
#[test]
fn the_sdk_carries_the_published_contract() {
    let published = repository().join("wit/deps/weir-plugin@0.1.0");
    let carried = repository().join("plugins/sdk/rust/wit");
    let names = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&published), names(&carried));
    for name in names(&published) {
        let (published, carried) = (published.join(&name), carried.join(&name));
        if std::fs::read(&published).unwrap() != std::fs::read(&carried).unwrap() {
            panic!(
                "{} differs from {}: copy it",
                carried.display(),
                published.display()
            );
        }
    }
}

#[test]
fn the_guests_of_the_tests_build_from_source() {
    assert!(
        std::fs::read(guest("misbehave"))
            .unwrap()
            .starts_with(b"\0asm")
    );
    assert!(std::fs::read(guest("echo")).unwrap().starts_with(b"\0asm"));
}
