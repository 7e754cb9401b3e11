//! Damage to an input: the edits that make a new input of a known one.
//!
//! Made by proptest, so that one seed makes the same edits on every machine. Knows no target: what is
//! worth putting into an input is handed in as tokens.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Longest input that edits make, in bytes.
const LONGEST: usize = 128 * 1024;
/// Most edits between a known input and a new one.
const MOST: usize = 6;

/// One edit: `length` bytes at `at` are replaced.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    at: Index,
    length: usize,
    with: Filler,
}

/// What is put into an input.
#[derive(Clone, Debug)]
enum Filler {
    Bytes(Vec<u8>),
    Token(&'static str),
    /// The replaced bytes, so many times.
    Again(usize),
    /// A part of another known input.
    Part(Index, Index, usize),
}

/// Lists of edits, with these tokens.
pub(crate) fn edits(tokens: &'static [&'static str]) -> impl Strategy<Value = Vec<Edit>> {
    let length = || prop_oneof![3 => 0..2_usize, 4 => 0..16_usize, 1 => 0..2048_usize];
    let part = (any::<Index>(), any::<Index>(), length());
    let with = prop_oneof![
        3 => vec(any::<u8>(), 0..4).prop_map(Filler::Bytes),
        3 => select(tokens).prop_map(Filler::Token),
        2 => part.prop_map(|(which, at, length)| Filler::Part(which, at, length)),
        1 => prop_oneof![4 => 0..4_usize, 1 => 0..3000_usize].prop_map(Filler::Again),
    ];
    let edit = (any::<Index>(), length(), with);
    vec(
        edit.prop_map(|(at, length, with)| Edit { at, length, with }),
        1..=MOST,
    )
}

/// `input` with the edits, in order; `known` are the inputs that parts come from.
pub(crate) fn apply(edits: &[Edit], input: &[u8], known: &[Vec<u8>]) -> Vec<u8> {
    let mut input = input.to_vec();
    for Edit { at, length, with } in edits {
        let start = at.index(input.len() + 1);
        let end = input.len().min(start + length);
        let with = match with {
            Filler::Bytes(bytes) => bytes.clone(),
            Filler::Token(token) => token.as_bytes().to_vec(),
            Filler::Again(times) => input[start..end].repeat(*times),
            Filler::Part(which, at, length) => {
                let other = which.get(known);
                let from = at.index(other.len() + 1);
                other[from..other.len().min(from + length)].to_vec()
            }
        };
        input.splice(start..end, with);
        input.truncate(LONGEST);
    }
    input
}
