//! Where the frames of a zstd file begin, found without decompressing: what lies in a sealed segment is reached
//! through the frame that holds it (RFC 8878, section 3.1).
//!
//! Only lengths are read. A file that is cut or no zstd gives the frames before the fault; whoever decompresses it
//! meets the fault again.

use std::io::{self, Read, Seek, SeekFrom};

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where it begins in the file.
    pub compressed: u64,
    /// Where its content begins in what the file decompresses to.
    pub content: u64,
}

/// The frames of a file in their order, as far as the lengths of their contents are stated. There is always a first.
pub(super) fn frames(file: &mut (impl Read + Seek)) -> io::Result<Vec<Frame>> {
    let mut found = vec![Frame { compressed: 0, content: 0 }];
    let mut at = file.seek(SeekFrom::Start(0))?;
    let mut content = 0;
    loop {
        let Some((length, holds)) = frame(file)? else { return Ok(found) };
        (at, content) = (at.saturating_add(length), u64::saturating_add(content, holds));
        found.push(Frame { compressed: at, content });
    }
}

/// The length of the frame at the cursor, which is then behind it, and of its content; nothing where it does not say,
/// or is no frame.
fn frame(file: &mut (impl Read + Seek)) -> io::Result<Option<(u64, u64)>> {
    let Some(magic) = number(file, 4)? else { return Ok(None) };
    if magic & 0xffff_fff0 == 0x184d_2a50 {
        let Some(length) = number(file, 4)? else { return Ok(None) };
        skip(file, length)?;
        return Ok(Some((8 + length, 0)));
    }
    let Some(descriptor) = number(file, 1)?.filter(|_| magic == 0xfd2f_b528) else { return Ok(None) };
    let single = descriptor >> 5 & 1;
    let window = 1 - single;
    let dictionary = [0, 1, 2, 4][(descriptor & 3) as usize];
    let size = match descriptor >> 6 {
        0 => single,
        flag => 1 << flag,
    };
    if size == 0 || number(file, window + dictionary)?.is_none() {
        return Ok(None);
    }
    let Some(stated) = number(file, size)? else { return Ok(None) };
    let content = if size == 2 { stated + 256 } else { stated };
    let mut length = 5 + window + dictionary + size;
    loop {
        let Some(block) = number(file, 3)? else { return Ok(None) };
        // A block of one repeated byte states how often, and holds it once.
        let body = if block >> 1 & 3 == 1 { 1 } else { block >> 3 };
        length += 3 + body;
        skip(file, body)?;
        if block & 1 == 1 {
            let checksum = if descriptor >> 2 & 1 == 1 { 4 } else { 0 };
            skip(file, checksum)?;
            return Ok(Some((length + checksum, content)));
        }
    }
}

/// Passes over bytes; a buffer that holds them is kept.
fn skip(file: &mut impl Seek, bytes: u64) -> io::Result<()> {
    file.seek_relative(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// A number of at most eight bytes, least first; nothing where the file ends before.
fn number(file: &mut impl Read, bytes: u64) -> io::Result<Option<u64>> {
    let mut value = [0; 8];
    let bytes = usize::try_from(bytes).unwrap_or(8).min(8);
    match file.read_exact(&mut value[..bytes]) {
        Ok(()) => Ok(Some(u64::from_le_bytes(value))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn frames_of_every_size_are_found_where_they_are() {
        let sizes = [1_usize, 200, 255, 256, 300, 65_791, 65_792, 200_000, 3_000_000];
        let mut state = 1_u32;
        let mut noise = |length: usize| -> Vec<u8> {
            (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if state >> 31 == 0 { b'a' } else { (state >> 24) as u8 }
                })
                .collect()
        };
        let (mut file, mut expected, mut content) = (Vec::new(), Vec::new(), 0);
        for size in sizes {
            for text in [noise(size), vec![b'x'; size]] {
                expected.push(Frame { compressed: file.len() as u64, content });
                file.extend(zstd::bulk::compress(&text, 1).unwrap());
                content += size as u64;
            }
        }
        // A frame that may be skipped holds nothing of ours.
        expected.push(Frame { compressed: file.len() as u64, content });
        file.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);
        expected.push(Frame { compressed: file.len() as u64, content });
        assert_eq!(frames(&mut Cursor::new(&file)).unwrap(), expected);
        for cut in [0, 1, 5, 9, 100] {
            let found = frames(&mut Cursor::new(&file[..cut])).unwrap();
            assert!(expected.starts_with(&found), "{cut}: {found:?}");
        }
    }

    #[test]
    fn a_frame_without_a_stated_size_ends_the_search() {
        let mut file = zstd::bulk::compress(&[7; 300], 1).unwrap();
        let second = file.len() as u64;
        file.extend(zstd::stream::encode_all(&[8; 900][..], 1).unwrap());
        let expected = [Frame { compressed: 0, content: 0 }, Frame { compressed: second, content: 300 }];
        assert_eq!(frames(&mut Cursor::new(&file)).unwrap(), expected);
        assert_eq!(frames(&mut Cursor::new(b"plain text\n")).unwrap(), expected[..1]);
    }
}
