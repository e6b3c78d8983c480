//! Whether bytes that arrive in pieces are UTF-8. A byte order mark at the start is let through and not shown on.
//!
//! Everything behind this file may take each byte from 0x80 as part of a letter.

use super::Unreadable;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// What is known of the bytes so far.
#[derive(Default)]
pub(super) struct Utf8 {
    /// The beginning of a letter that is not whole.
    open: Vec<u8>,
    /// How many bytes there were, at most as many as a byte order mark has.
    seen: usize,
}

impl Utf8 {
    /// Checks the next bytes and gives them without a byte order mark, which goes to `out`.
    pub(super) fn check<'b>(
        &mut self,
        mut bytes: &'b [u8],
        out: &mut Vec<u8>,
    ) -> Result<&'b [u8], Unreadable> {
        while self.seen < MARK.len() && bytes.first() == Some(&MARK[self.seen]) {
            self.seen += 1;
            out.push(bytes[0]);
            bytes = &bytes[1..];
        }
        if bytes.is_empty() {
            return Ok(bytes);
        }
        // Neither format begins with another letter of these first bytes.
        if (1..MARK.len()).contains(&self.seen) {
            return Err(Unreadable("not UTF-8"));
        }
        self.seen = MARK.len();
        self.letters(bytes)?;
        Ok(bytes)
    }

    fn letters(&mut self, mut bytes: &[u8]) -> Result<(), Unreadable> {
        while !self.open.is_empty() {
            let [next, rest @ ..] = bytes else { return Ok(()) };
            self.open.push(*next);
            bytes = rest;
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Unreadable("not UTF-8")),
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.open.extend_from_slice(&bytes[error.valid_up_to()..]);
                Ok(())
            }
            Err(_) => Err(Unreadable("not UTF-8")),
        }
    }

    /// The bytes are over.
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        if self.open.is_empty() { Ok(()) } else { Err(Unreadable("ends within a letter")) }
    }
}
