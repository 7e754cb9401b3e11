use super::*;

/// The lines that come out when `pieces` are written one after the other, and the stream ends.
fn lines(pieces: &[&[u8]]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = Line::default();
    for piece in pieces {
        line.take(piece, |line| {
            lines.push(String::from_utf8_lossy(line).into_owned())
        });
    }
    line.end(|line| lines.push(String::from_utf8_lossy(line).into_owned()));
    lines
}

#[test]
fn lines_come_out_whole_however_they_were_written() {
    assert_eq!(
        lines(&[b"one\ntwo\r\n", b"th", b"ree", b"\n\nfour"]),
        ["one", "two", "three", "four"]
    );
    assert_eq!(lines(&[b"", b"\n"]), [] as [&str; 0]);
}

#[test]
fn a_line_without_an_end_is_cut() {
    let endless = vec![b'x'; 2 * LINE + 1];
    let lengths: Vec<usize> = lines(&[&endless, b"\nnext"])
        .iter()
        .map(String::len)
        .collect();
    assert_eq!(lengths, [LINE, LINE, 1, 4]);
}

#[test]
fn the_tail_is_the_last_of_what_was_written() {
    let tail = StderrTail::default();
    tail.extend(&[b'a'; 10]);
    assert_eq!(tail.text(), "aaaaaaaaaa");
    tail.extend(&[b'b'; TAIL - 1]);
    assert_eq!(tail.text(), format!("a{}", "b".repeat(TAIL - 1)));
    tail.extend(&[b'c'; 3 * TAIL]);
    assert_eq!(tail.text(), "c".repeat(TAIL));
    tail.clear();
    assert_eq!(tail.text(), "");
}
