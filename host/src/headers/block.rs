//! Parses the header lines of a block with any bytes. Pure.
//!
//! A server checks only the length of a block. So this parser is tolerant: a line ends with a line feed, with
//! or without a carriage return; a line that begins with a blank continues the previous one (RFC 9112,
//! section 5.2); blanks around a value are not part of it. Lines that are still not text are foreign: they
//! are shown to nobody and kept unchanged.

use super::Headers;
use bytes::Bytes;
use bytestring::ByteString;

/// Lines of a block that are no header in text: without their ends.
pub type ForeignLines = Vec<Bytes>;

/// The lines of a block with its version line, in order.
#[must_use]
pub fn read(block: &Bytes) -> (Headers, ForeignLines) {
    let mut lines: Vec<(ByteString, ByteString)> = Vec::new();
    let mut foreign = ForeignLines::new();
    // Whether the line before is text, so that it can be continued.
    let mut is_open = false;
    for (index, line) in block.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A version line may have the words of a status behind it.
        if line.is_empty() || index == 0 && line.starts_with(b"NATS/1") {
            is_open = false;
            continue;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            let last = lines.last_mut().filter(|_| is_open);
            if let (Some((_, value)), Some(more)) = (last, text(block, line)) {
                *value = ByteString::from(format!("{value} {more}"));
                continue;
            }
        }
        match header(block, line) {
            Some(header) => lines.push(header),
            None => foreign.push(block.slice_ref(line)),
        }
        is_open = foreign.last().is_none_or(|last| last != line);
    }
    (lines.into_iter().collect(), foreign)
}

/// A line as a name and a value in text.
fn header(block: &Bytes, line: &[u8]) -> Option<(ByteString, ByteString)> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_visible = |byte: &u8| (b'!'..=b'~').contains(byte);
    if name.is_empty() || !name.iter().all(is_visible) {
        return None;
    }
    Some((text(block, name)?, text(block, value)?))
}

/// Text without a line break, and without the blanks around it.
fn text(block: &Bytes, bytes: &[u8]) -> Option<ByteString> {
    let bytes = bytes.trim_ascii();
    if bytes.contains(&b'\r') {
        return None;
    }
    // Of an empty slice it matters not where it is.
    match bytes {
        [] => Some(ByteString::new()),
        bytes => ByteString::try_from(block.slice_ref(bytes)).ok(),
    }
}

/// The first line of a block.
pub const VERSION: &[u8] = b"NATS/1.0\r\n";

/// Whether clients write these bytes for these lines, so that nothing else of the block need be kept.
#[must_use]
pub fn is_exact(block: &[u8], headers: &Headers, foreign: &[Bytes]) -> bool {
    let mut rest = block.strip_prefix(VERSION);
    let mut expect = |parts: &[&[u8]]| {
        for part in parts {
            rest = rest.and_then(|rest| rest.strip_prefix(*part));
        }
    };
    for (name, value) in headers.iter() {
        expect(&[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    for line in foreign {
        expect(&[line, b"\r\n"]);
    }
    // A line that begins with a blank would continue the one before it.
    let is_blank = |line: &Bytes| line.starts_with(b" ") || line.starts_with(b"\t");
    let any = headers.iter().len() + foreign.len() > 0;
    any && rest == Some(b"\r\n") && !foreign.iter().any(is_blank)
}

/// The lines of a block that a client has written, byte by byte, without its version line.
pub fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let block = block.strip_suffix(b"\r\n\r\n").unwrap_or(block);
    let mut rest = Some(block);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memmem::find(text, b"\r\n");
        rest = end.and_then(|end| text.get(end + 2..));
        text.get(..end.unwrap_or(text.len()))
    });
    lines.skip(1)
}

/// The block of these lines; empty if there are none.
pub fn join<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut block = Vec::new();
    for line in lines {
        if block.is_empty() {
            block.extend_from_slice(VERSION);
        }
        block.extend_from_slice(line);
        block.extend_from_slice(b"\r\n");
    }
    if !block.is_empty() {
        block.extend_from_slice(b"\r\n");
    }
    block.into()
}

/// The name of a foreign line, as far as it has one.
#[must_use]
pub fn name(line: &[u8]) -> &[u8] {
    let colon = memchr::memchr(b':', line).unwrap_or_default();
    line.get(..colon).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(block: &'static [u8]) -> (Vec<(String, String)>, Vec<Vec<u8>>) {
        let (headers, foreign) = read(&Bytes::from_static(block));
        let text = |(name, value): &(ByteString, ByteString)| (name.to_string(), value.to_string());
        let foreign = foreign.iter().map(|line| line.to_vec());
        (headers.iter().map(text).collect(), foreign.collect())
    }

    fn only(name: &str, value: &str) -> (Vec<(String, String)>, Vec<Vec<u8>>) {
        (vec![(name.to_owned(), value.to_owned())], Vec::new())
    }

    #[test]
    fn lines_are_read_as_generously_as_they_can_be() {
        for block in [
            &b"NATS/1.0\r\nA: b\r\n\r\n"[..],
            b"NATS/1.0\r\nA:b\r\n\r\n",
            b"NATS/1.0\r\nA:\t b  \r\n\r\n",
            b"NATS/1.0\nA: b\n\n",
            b"NATS/1.0 409 Consumer Deleted\r\nA: b\r\n\r\n",
            b"A: b",
        ] {
            assert_eq!(lines(block), only("A", "b"), "{}", block.escape_ascii());
        }
        let folded = b"NATS/1.0\r\nA: b\r\n c\r\n\td\r\n\r\n";
        assert_eq!(lines(folded), only("A", "b c d"));
        assert_eq!(lines(b"NATS/1.0\r\nA:\r\n\r\n"), only("A", ""));
        let repeated = lines(b"NATS/1.0\r\nA: 1\r\nb: 2\r\nA: 3\r\n\r\n").0;
        let values: Vec<_> = repeated.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["1", "2", "3"]);
    }

    #[test]
    fn what_is_no_line_of_text_is_kept_as_it_came_and_hides_no_other() {
        for line in [
            &b"City: M\xfcnchen"[..],
            b"C\xfcty: a",
            b"A: a\rb",
            b"no colon",
            b": no name",
            b"A name: a",
            b"Name : a",
            b" begins with a blank",
        ] {
            let mut block = b"NATS/1.0\r\n".to_vec();
            block.extend_from_slice(line);
            block.extend_from_slice(b"\r\nB: c\r\n\r\n");
            let (headers, foreign) = read(&Bytes::from(block));
            assert_eq!(headers.get("B"), Some("c"), "{}", line.escape_ascii());
            assert_eq!(foreign, [line], "{}", line.escape_ascii());
        }
        assert_eq!(name(b"City: M\xfcnchen"), b"City");
        assert_eq!(name(b"no colon"), b"");
    }

    const PARTS: [&[u8]; 10] = [
        b"\r\n",
        b"A: b",
        b": ",
        b" ",
        b"\xff",
        b"\r",
        b"NATS/1.0\r\n",
        b"\r\n\r\n",
        b"C:d",
        b"\n",
    ];

    proptest! {
        #[test]
        fn a_block_is_exact_where_its_lines_give_it_back(block in prop::collection::vec(
            prop::sample::select(&PARTS[..]), 0..9
        )) {
            let block: Vec<u8> = block.concat();
            let block = Bytes::from([VERSION, &block].concat());
            let (headers, foreign) = read(&block);
            if is_exact(&block, &headers, &foreign) {
                let text = headers.iter().map(|(name, value)| format!("{name}: {value}").into());
                let whole: Vec<Bytes> = text.chain(foreign).collect();
                prop_assert_eq!(join(whole.iter().map(|line| &**line)), &block);
                prop_assert!(super::lines(&block).eq(whole.iter().map(|line| &**line)));
            }
        }

        #[test]
        fn no_byte_is_lost_but_blanks_and_the_ends_of_lines(block in prop::collection::vec(prop_oneof![
            Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), Just(0xff), Just(b'a'), any::<u8>()
        ], 0..80)) {
            let mut whole = b"NATS/1.0\r\n".to_vec();
            whole.extend_from_slice(&block);
            let (headers, foreign) = read(&Bytes::from(whole));
            let solid = |bytes: &[u8]| -> Vec<u8> {
                let solid = bytes.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b':');
                solid.copied().collect()
            };
            let mut kept: Vec<u8> = headers.iter().flat_map(|(name, value)| {
                [solid(name.as_bytes()), solid(value.as_bytes())].concat()
            }).collect();
            kept.extend(foreign.iter().flat_map(|line| solid(line)));
            let mut expected = solid(&block);
            kept.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(kept, expected);
            for (name, value) in headers.iter() {
                prop_assert!(!name.contains([':', '\r', '\n', ' ']) && !value.contains(['\r', '\n']));
            }
        }
    }
}
