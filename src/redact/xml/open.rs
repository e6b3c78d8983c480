//! The names of the elements that are open, in one buffer.
//!
//! Each is followed by one byte: two bits of what is known of the element, six of its name's length; a longer name
//! has its length in two more bytes before that one. Ten thousand levels of short names fit.

use crate::redact::run::room;
use crate::redact::{DEEPEST, Unreadable};

/// The most bytes of all names together.
const MOST: usize = 22 << 10;

/// Says that the length stands in two bytes of its own.
const LONG: u8 = 63;

/// A child has named another one.
pub(super) const NAMED: u8 = 1;
/// And it is a secret.
pub(super) const SECRET: u8 = 2;

/// See the module.
#[derive(Default)]
pub(super) struct Open {
    names: Vec<u8>,
    count: usize,
}

impl Open {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, name: &[u8]) -> Result<(), Unreadable> {
        if self.count >= DEEPEST || self.names.len() + name.len() + 3 > MOST {
            return Err(Unreadable("nested too deep"));
        }
        room(&mut self.names, name.len() + 3, MOST);
        self.names.extend_from_slice(name);
        match u8::try_from(name.len()) {
            Ok(length) if length < LONG => self.names.push(length),
            _ => {
                let length = u16::try_from(name.len()).map_err(|_| Unreadable("a name that is too long"))?;
                self.names.extend_from_slice(&length.to_le_bytes());
                self.names.push(LONG);
            }
        }
        self.count += 1;
        Ok(())
    }

    /// The innermost name.
    pub(super) fn last(&self) -> Option<&[u8]> {
        let (name, length) = self.place()?;
        Some(&self.names[name..name + length])
    }

    /// Closes the innermost element.
    pub(super) fn pop(&mut self) {
        if let Some((name, _)) = self.place() {
            self.names.truncate(name);
            self.count -= 1;
        }
    }

    /// What is known of the innermost element.
    pub(super) fn flags(&self) -> u8 {
        self.names.last().map_or(0, |last| last >> 6)
    }

    /// Remembers more of the innermost element.
    pub(super) fn flag(&mut self, flags: u8) {
        if let Some(last) = self.names.last_mut() {
            *last |= flags << 6;
        }
    }

    pub(super) fn footprint(&self) -> usize {
        self.names.capacity()
    }

    /// Where the innermost name begins, and its length.
    fn place(&self) -> Option<(usize, usize)> {
        let (last, rest) = self.names.split_last()?;
        let short = last & LONG;
        if short < LONG {
            let length = usize::from(short);
            return Some((rest.len().checked_sub(length)?, length));
        }
        let (rest, length) = rest.split_last_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        Some((rest.len().checked_sub(length)?, length))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let names = ["a".to_owned(), "x".repeat(62), "y".repeat(63), "z".repeat(700), "ä".to_owned()];
        let mut open = Open::default();
        for name in &names {
            open.push(name.as_bytes()).unwrap();
            open.flag(NAMED);
        }
        open.flag(SECRET);
        assert_eq!(open.flags(), NAMED | SECRET);
        for (count, name) in names.iter().enumerate().rev() {
            assert_eq!((open.last(), open.count()), (Some(name.as_bytes()), count + 1));
            open.pop();
        }
        assert_eq!((open.last(), open.flags(), open.count()), (None, 0, 0));
    }

    #[test]
    fn ten_thousand_fit_and_no_more() {
        let mut open = Open::default();
        for _ in 0..DEEPEST {
            open.push(b"a").unwrap();
        }
        assert!(open.push(b"a").is_err());
        assert!(open.footprint() <= MOST);
        assert!(Open::default().push(&[b'a'; MOST]).is_err());
    }
}
