//! The bytes of an accumulator: numbers in as few bytes as they need (LEB128), and parts behind their lengths.

/// What is left to be read. Nothing of it is trusted: it may be damaged.
pub struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    pub fn number(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(damaged())
    }

    pub fn signed(&mut self) -> Result<i64, String> {
        // The sign is the last bit, so that small numbers are short.
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (array, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*array)
    }

    pub fn part(&mut self) -> Result<&'b [u8], String> {
        let length = usize::try_from(self.number()?).ok();
        let split = length.and_then(|length| self.0.split_at_checked(length));
        let (part, rest) = split.ok_or_else(damaged)?;
        self.0 = rest;
        Ok(part)
    }
}

pub fn number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

pub fn signed(to: &mut Vec<u8>, number: i64) {
    self::number(to, (number << 1 ^ number >> 63).cast_unsigned());
}

/// A part, written by `content`.
pub fn part(to: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    // The length of most is one byte.
    to.push(0);
    content(to);
    let length = to.len() - start - 1;
    match to.get_mut(start) {
        Some(byte) if length < 0x80 => *byte = length as u8,
        _ => {
            let mut bytes = Vec::new();
            number(&mut bytes, length as u64);
            to.splice(start..=start, bytes);
        }
    }
}

pub fn damaged() -> String {
    "the accumulator is damaged".to_owned()
}
