//! The spellings of a moment: what each scheme writes, and what its servers read back.
//!
//! Never reads a clock. Writers append to a buffer and allocate nothing; readers are strict and return `None` for
//! anything that the server would not read.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::SignError;

/// How far a request's date may be from the verifier's clock, either way: 15 minutes in every scheme here.
pub const SKEW: SignedDuration = SignedDuration::from_mins(15);

const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The UTC fields of a moment; only years 1970 to 9999 are written, which is where every form below is defined.
pub fn utc(moment: Timestamp) -> Result<DateTime, SignError> {
    in_range(Offset::UTC.to_datetime(moment))
}

/// Refuses the years for which the forms below have no spelling.
pub fn in_range(fields: DateTime) -> Result<DateTime, SignError> {
    if (1970..=9999).contains(&fields.year()) { Ok(fields) } else { Err(SignError::Clock) }
}

/// The latest spelling of a form: whoever signs many requests in one second spells it once.
#[derive(Default)]
pub struct Latest<const LENGTH: usize>(Option<(i64, [u8; LENGTH])>);

impl<const LENGTH: usize> Latest<LENGTH> {
    /// What `spell` makes of the second that `moment` is in.
    pub fn spell(
        &mut self,
        moment: Timestamp,
        spell: impl FnOnce(Timestamp) -> Result<[u8; LENGTH], SignError>,
    ) -> Result<[u8; LENGTH], SignError> {
        let second = moment.as_second();
        match self.0 {
            // At zero, the second is that of the moments before as well, which have no spelling.
            Some((latest, text)) if latest == second && second > 0 => Ok(text),
            _ => {
                let text = spell(moment)?;
                self.0 = Some((second, text));
                Ok(text)
            }
        }
    }
}

/// Whether `moment` lies within [`SKEW`] of `now`.
pub fn is_near(moment: Timestamp, now: Timestamp) -> bool {
    now.duration_since(moment).abs() <= SKEW
}

/// `YYYYMMDDTHHMMSSZ`, of which the first eight bytes are the credential scope's day.
pub fn amz(moment: Timestamp) -> Result<[u8; 16], SignError> {
    let t = utc(moment)?;
    let mut text = *b"YYYYMMDDThhmmssZ";
    year(&t, &mut text[..4]);
    two(t.month(), &mut text[4..6]);
    two(t.day(), &mut text[6..8]);
    two(t.hour(), &mut text[9..11]);
    two(t.minute(), &mut text[11..13]);
    two(t.second(), &mut text[13..15]);
    Ok(text)
}

/// Reads `YYYYMMDDTHHMMSSZ`.
pub fn read_amz(text: &[u8]) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix(b"Z")?.split_at_checked(8)?;
    let time = time.strip_prefix(b"T")?;
    if time.len() != 6 {
        return None;
    }
    let fields = fields(
        [number(&date[..4])?, number(&date[4..6])?, number(&date[6..])?],
        [number(&time[..2])?, number(&time[2..4])?, number(&time[4..])?],
        0,
    )?;
    Offset::UTC.to_timestamp(fields).ok()
}

/// `EEE, dd MMM yyyy HH:mm:ss zone` in English: RFC 1123 when the zone is `GMT`, ZStack's `Date` otherwise.
pub fn rfc1123(t: DateTime, zone: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&clock_text(&t));
    out.extend_from_slice(zone.as_bytes());
}

/// The same in UTC.
pub fn http(moment: Timestamp) -> Result<[u8; 29], SignError> {
    let mut text = [0; 29];
    let (clock, zone) = text.split_at_mut(26);
    clock.copy_from_slice(&clock_text(&utc(moment)?));
    zone.copy_from_slice(b"GMT");
    Ok(text)
}

/// All of it but the zone.
fn clock_text(t: &DateTime) -> [u8; 26] {
    let mut text = *b"EEE, dd MMM yyyy hh:mm:ss ";
    text[..3].copy_from_slice(DAYS[day_index(t.weekday())]);
    two(t.day(), &mut text[5..7]);
    let month = usize::try_from(t.month() - 1).unwrap_or(0);
    text[8..11].copy_from_slice(MONTHS[month]);
    year(t, &mut text[12..16]);
    two(t.hour(), &mut text[17..19]);
    two(t.minute(), &mut text[20..22]);
    two(t.second(), &mut text[23..25]);
    text
}

/// Reads `EEE, dd MMM yyyy HH:mm:ss zone` into the wall clock and the zone's text. The weekday must agree with the
/// date, as `java.time` demands.
pub fn read_rfc1123(text: &[u8]) -> Option<(DateTime, &str)> {
    let (head, zone) = text.split_at_checked(26)?;
    let separators =
        [(3, b", ".as_slice()), (7, b" "), (11, b" "), (16, b" "), (19, b":"), (22, b":"), (25, b" ")];
    if separators.iter().any(|&(at, mark)| !head[at..].starts_with(mark)) {
        return None;
    }
    let month = MONTHS.iter().position(|m| m.as_slice() == &head[8..11])?;
    let fields = fields(
        [number(&head[12..16])?, i16::try_from(month).ok()? + 1, number(&head[5..7])?],
        [number(&head[17..19])?, number(&head[20..22])?, number(&head[23..25])?],
        0,
    )?;
    let zone = std::str::from_utf8(zone).ok().filter(|zone| !zone.is_empty())?;
    (DAYS[day_index(fields.weekday())] == &head[..3]).then_some((fields, zone))
}

/// Reads an HTTP date as S3 servers do: RFC 1123 with `GMT`, `UTC` or a numeric offset.
pub fn read_http(text: &[u8]) -> Option<Timestamp> {
    let (fields, zone) = read_rfc1123(text)?;
    let offset = match zone {
        "GMT" | "UTC" => Offset::UTC,
        numeric => read_offset(numeric.as_bytes(), Colon::Never)?,
    };
    offset.to_timestamp(fields).ok()
}

/// `YYYY-MM-DDTHH:MM:SS+0000`, the form of CloudStack's `expires` that every version reads.
pub fn iso(moment: Timestamp) -> Result<[u8; 24], SignError> {
    let t = utc(moment)?;
    let mut text = *b"YYYY-MM-DDThh:mm:ss+0000";
    year(&t, &mut text[..4]);
    two(t.month(), &mut text[5..7]);
    two(t.day(), &mut text[8..10]);
    two(t.hour(), &mut text[11..13]);
    two(t.minute(), &mut text[14..16]);
    two(t.second(), &mut text[17..19]);
    Ok(text)
}

/// The same as a query carries it, strictly encoded.
pub fn iso_escaped(moment: Timestamp) -> Result<[u8; 30], SignError> {
    let mut text = *b"YYYY-MM-DDThh%3Amm%3Ass%2B0000";
    let plain = iso(moment)?;
    for (to, from) in [(0..13, 0..13), (16..18, 14..16), (21..23, 17..19)] {
        text[to].copy_from_slice(&plain[from]);
    }
    Ok(text)
}

/// Reads CloudStack's `expires` (`DateUtil.parseTZDateString`): ISO-8601 with `Z`, `+hh:mm` or `+hhmm`, a fraction
/// of a second with the first two, and the legacy `Z+hhmm`. No zone, a bare date or a number is refused.
pub fn read_iso(text: &[u8]) -> Option<Timestamp> {
    let (head, tail) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, mark)| head[at] != mark) {
        return None;
    }
    let (nanosecond, zone, colon) = match tail.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            (read_fraction(&fraction[..digits])?, &fraction[digits..], Colon::Always)
        }
        None => (0, tail, Colon::Either),
    };
    let offset = match zone {
        b"Z" => Offset::UTC,
        [b'Z', legacy @ ..] if colon == Colon::Either => read_offset(legacy, Colon::Never)?,
        offset => read_offset(offset, colon)?,
    };
    let fields = fields(
        [number(&head[..4])?, number(&head[5..7])?, number(&head[8..10])?],
        [number(&head[11..13])?, number(&head[14..16])?, number(&head[17..19])?],
        nanosecond,
    )?;
    offset.to_timestamp(fields).ok()
}

/// Whether an offset has a colon in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colon {
    Always,
    Never,
    Either,
}

fn read_offset(text: &[u8], colon: Colon) -> Option<Offset> {
    let (sign, hours, minutes) = match *text {
        [sign, a, b, b':', c, d] if colon != Colon::Never => (sign, [a, b], [c, d]),
        [sign, a, b, c, d] if colon != Colon::Always => (sign, [a, b], [c, d]),
        _ => return None,
    };
    let (hours, minutes) = (i32::from(number(&hours)?), i32::from(number(&minutes)?));
    if hours > 18 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' => Offset::from_seconds(seconds).ok(),
        b'-' => Offset::from_seconds(-seconds).ok(),
        _ => None,
    }
}

/// Up to nine digits after the point, as nanoseconds.
fn read_fraction(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    (0..9).try_fold(0, |sum: i32, place| {
        let digit = digits.get(place).map_or(Some(0), |d| d.is_ascii_digit().then(|| i32::from(d - b'0')))?;
        Some(sum * 10 + digit)
    })
}

fn fields(
    [year, month, day]: [i16; 3],
    [hour, minute, second]: [i16; 3],
    nanosecond: i32,
) -> Option<DateTime> {
    let small = |n: i16| i8::try_from(n).ok();
    DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, nanosecond)
        .ok()
}

/// At most four decimal digits.
fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0, |sum: i16, d| {
        d.is_ascii_digit()
            .then(|| i16::from(d - b'0'))
            .and_then(|digit| sum.checked_mul(10)?.checked_add(digit))
    })
}

fn two(number: i8, out: &mut [u8]) {
    let number = number.unsigned_abs();
    out[0] = b'0' + number / 10;
    out[1] = b'0' + number % 10;
}

fn year(t: &DateTime, out: &mut [u8]) {
    let year = t.year();
    for (place, slot) in [1000, 100, 10, 1].into_iter().zip(out) {
        *slot = b'0' + u8::try_from(year / place % 10).unwrap_or(0);
    }
}

fn day_index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
#[path = "date/tests.rs"]
mod tests;
