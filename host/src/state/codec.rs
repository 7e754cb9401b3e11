//! The bytes of stored state: integers, byte strings, and the envelope of a record.
//!
//! Written by hand rather than with a serde format: a row of state has the same bytes in memory, in a delta
//! and in a snapshot, so that recovery and compaction copy memory and build nothing. The codec has only a
//! varint (LEB128), and a reader that cannot pass the end of its bytes.
//!
//! A record is `version (1 byte) | checksum (8 bytes) | body`. The checksum is the start of the body's
//! blake3: it detects damage and careless edits, but not an attacker, who could compute it.

use bytes::Bytes;
use std::fmt;

/// Of the whole format: envelope, headers and rows. Another version is refused.
const VERSION: u8 = 1;
const CHECKSUM: usize = 8;
/// Bytes of a record besides its body.
pub(super) const ENVELOPE: usize = 1 + CHECKSUM;

/// Why bytes are not a record of a job's state, or belong elsewhere. It is permanent: the same bytes fail
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt(pub(super) &'static str);

impl fmt::Display for Corrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "cannot read a record of the job's state: {}",
            self.0
        )
    }
}

impl std::error::Error for Corrupt {}

/// Reads from the front of bytes that anybody may have written.
#[derive(Clone, Copy, Default)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], Corrupt> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Corrupt("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (byte, rest) = self.0.split_first().ok_or(Corrupt("it ends too early"))?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Corrupt> {
        // Nearly all lengths have one byte.
        if let Some((byte @ ..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number has more than 64 bits"))
    }

    /// A number of eight bytes, the least first.
    pub(super) fn fixed(&mut self) -> Result<u64, Corrupt> {
        let bytes = self.take(8)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A byte string behind its length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let length = self.varint()?;
        self.take(length)
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// How many bytes [`put_varint`] writes.
pub(super) fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// A record with this body.
#[must_use]
pub fn seal(body: &[u8]) -> Bytes {
    let mut record = begin(body.len());
    record.extend_from_slice(body);
    finish(record)
}

/// Room for the envelope of a record. Its body goes behind.
pub(super) fn begin(capacity: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(ENVELOPE + capacity);
    record.extend_from_slice(&[VERSION; ENVELOPE]);
    record
}

/// A record whose body stands behind its room.
pub(super) fn finish(mut record: Vec<u8>) -> Bytes {
    if let Some((envelope, body)) = record.split_at_mut_checked(ENVELOPE) {
        let checksum = blake3::hash(body);
        let places = envelope.iter_mut().skip(1);
        places
            .zip(checksum.as_bytes())
            .for_each(|(place, byte)| *place = *byte);
    }
    record.into()
}

/// The body of a record.
pub(super) fn open(record: &[u8]) -> Result<Reader<'_>, Corrupt> {
    let mut reader = Reader(record);
    if reader.byte()? != VERSION {
        return Err(Corrupt("its format is of another version of weir"));
    }
    let checksum = reader.take(CHECKSUM as u64)?;
    if !blake3::hash(reader.0).as_bytes().starts_with(checksum) {
        return Err(Corrupt("its checksum does not match"));
    }
    Ok(reader)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for shift in 0..64 {
            for value in [(1 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                let mut reader = Reader(&out);
                assert_eq!(reader.varint().unwrap(), value);
                assert!(reader.is_empty());
            }
        }
        assert_eq!(Reader(&7u64.to_le_bytes()).fixed().unwrap(), 7);
    }

    #[test]
    fn numbers_without_an_end_and_lengths_beyond_it_are_refused() {
        assert!(Reader(&[0x80; 3]).varint().is_err());
        assert!(Reader(&[0xff; 11]).varint().is_err());
        let two_to_the_64th = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
        assert!(Reader(&two_to_the_64th).varint().is_err());
        let mut huge = Vec::new();
        put_varint(&mut huge, u64::MAX);
        assert!(Reader(&huge).bytes().is_err());
        assert!(Reader(&[2, 0]).bytes().is_err());
    }

    #[test]
    fn a_record_with_another_version_or_a_changed_byte_is_refused() {
        let record = seal(b"head");
        assert_eq!(open(&record).unwrap().0, b"head");
        for index in 0..record.len() {
            let mut edited = record.to_vec();
            *edited.get_mut(index).unwrap() ^= 0x10;
            assert!(open(&edited).is_err(), "{index}");
            assert!(open(record.get(..index).unwrap()).is_err(), "{index}");
        }
    }
}
