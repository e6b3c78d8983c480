//! W3C Trace Context: a caller's trace goes on through the gateway to the upstream (<https://www.w3.org/TR/trace-context/>).
//!
//! Nothing that a caller wrote is forwarded: a valid `traceparent` is read, and one with the same trace and a span of
//! our own is written. An invalid one, or two of them, is none. `tracestate`, which belongs to vendors and has no
//! bounds worth the name, ends here.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header's name.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a call stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 16 bytes, not all zero.
    id: [u8; 16],
    /// The caller's span, of which ours is a child; none when the trace begins here.
    parent: Option<[u8; 8]>,
    /// Our own span.
    span: [u8; 8],
    flags: u8,
}

/// The flags that are defined: sampled, and a random trace id.
const FLAGS: u8 = 0b11;
/// The flag of a trace that is kept.
const SAMPLED: u8 = 0b01;

impl Trace {
    /// The trace that the caller is in, with a new span for this call.
    pub fn continued(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::read(value.as_bytes())
    }

    /// A new trace that begins here.
    pub fn begun() -> Self {
        Self { id: Uuid::new_v4().into_bytes(), parent: None, span: new_span(), flags: FLAGS }
    }

    /// `VERSION-TRACE-SPAN-FLAGS` in lower-case hex; of later versions, what this version knows of them.
    fn read(text: &[u8]) -> Option<Self> {
        let separated = |at: usize| text.get(at) == Some(&b'-');
        if !(separated(2) && separated(35) && separated(52)) {
            return None;
        }
        let [version] = hex(&text[..2])?;
        let ends = text.len() == 55 || version > 0 && separated(55);
        let id = hex(&text[3..35]).filter(|id| *id != [0; 16])?;
        let parent = hex(&text[36..52]).filter(|span| *span != [0; 8])?;
        let [flags] = hex(text.get(53..55)?)?;
        (version != 0xff && ends).then(|| Self {
            id,
            parent: Some(parent),
            span: new_span(),
            flags: flags & FLAGS,
        })
    }

    /// The header for the upstream: the same trace, and the span of this call, below which its spans hang.
    pub fn outgoing(&self) -> HeaderValue {
        let text = format!("00-{}-{}-{:02x}", Hex(&self.id), Hex(&self.span), self.flags);
        // Hex digits and dashes are a header's value.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }

    /// The trace's id: 32 hex digits.
    pub fn id(&self) -> String {
        Hex(&self.id).to_string()
    }

    /// The trace's id as bytes.
    pub fn id_bytes(&self) -> [u8; 16] {
        self.id
    }

    /// The span of this call.
    pub fn span_bytes(&self) -> [u8; 8] {
        self.span
    }

    /// The caller's span, when the trace is the caller's.
    pub fn parent_bytes(&self) -> Option<[u8; 8]> {
        self.parent
    }

    /// Whether the trace is kept.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Eight random bytes that are not all zero: the version of a UUID stands in the first half.
fn new_span() -> [u8; 8] {
    let mut span = [0; 8];
    span.copy_from_slice(&Uuid::new_v4().as_bytes()[..8]);
    span
}

/// Lower-case digits only, as the specification has it.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (text.len() == 2 * N).then_some(bytes)
}

struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn continued(values: &[&str]) -> Option<Trace> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("")));
        }
        Trace::continued(&headers)
    }

    #[test]
    fn a_valid_header_goes_on_with_another_span() {
        let given = format!("00-{ID}-00f067aa0ba902b7-01");
        let trace = continued(&[&given]).unwrap_or_else(Trace::begun);
        assert_eq!(trace.id(), ID);
        assert_eq!(trace.parent_bytes(), Some([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        assert!(trace.is_sampled());
        let sent = trace.outgoing();
        let sent = sent.to_str().unwrap_or_default();
        assert!(sent.starts_with(&format!("00-{ID}-")) && sent.ends_with("-01"), "{sent}");
        assert_eq!(sent.len(), 55);
        assert!(!sent.contains("00f067aa0ba902b7"), "{sent}");
        assert!(sent.contains(&format!("-{}-", Hex(&trace.span_bytes()))), "{sent}");
        assert_ne!(Some(trace.span_bytes()), continued(&[&given]).map(|again| again.span_bytes()));
        // What is written can be read.
        assert_eq!(continued(&[sent]).map(|trace| trace.id()), Some(ID.to_owned()));
    }

    #[test]
    fn later_versions_are_read_as_far_as_known_and_undefined_flags_end_here() {
        let trace = continued(&[&format!("cc-{ID}-00f067aa0ba902b7-ff-what the future brings")]);
        let sent = trace.map(|trace| trace.outgoing());
        let sent = sent.as_ref().and_then(|sent| sent.to_str().ok()).unwrap_or_default();
        assert!(sent.starts_with("00-") && sent.ends_with("-03"), "{sent}");
        assert!(
            continued(&[&format!("00-{ID}-00f067aa0ba902b7-00")]).is_some_and(|trace| !trace.is_sampled())
        );
    }

    #[test]
    fn whatever_is_not_one_valid_header_is_none() {
        let good = format!("00-{ID}-00f067aa0ba902b7-01");
        assert!(continued(&[&good]).is_some());
        assert_eq!(continued(&[]), None);
        assert_eq!(continued(&[&good, &good]), None);
        for bad in [
            "",
            "00",
            &good[..54],
            &format!("{good}-x"),
            &format!("{good}0"),
            &format!("cc-{ID}-00f067aa0ba902b7-011"),
            &good.to_uppercase(),
            &good.replacen("00-", "ff-", 1),
            &good.replacen("00-", "0g-", 1),
            &good.replace(ID, &"0".repeat(32)),
            &good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &good.replace('-', "_"),
            &format!(" {good}"),
        ] {
            assert_eq!(continued(&[bad]), None, "{bad:?}");
        }
    }
}
