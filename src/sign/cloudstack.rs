//! CloudStack: HMAC-SHA1 over the sorted parameters of the query and the form (`ApiServer.verifyRequest`).
//!
//! `sign` rebuilds the request: the caller's own key parameters are dropped, signature version 3 with `expires` is
//! added, and what is emitted is strictly encoded. It never signs what the server would read in another way: a name
//! given twice, or one that holds `&` or `=`, is refused, because names enter the string to sign unencoded.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::digest::MacSha1;
use super::edits::{Field, text};
use super::encode::{self, Copied, Keep, Piece, Plus};
use super::{BodyNeed, Edits, Head, Payload, Scratch, SignError, Stages, VerifyError};
use crate::secret::Key;

mod command;
mod verify;

pub use command::is_read_command;
pub(super) use verify::claimed;

/// The farthest that `expires` may lie ahead; servers that enforce timestamps refuse more
/// (`enforce.post.requests.and.timestamps`).
pub const MAX_EXPIRES: Duration = Duration::from_secs(15 * 60);

/// The default of `expires`.
pub const DEFAULT_EXPIRES: Duration = Duration::from_secs(10 * 60);

/// Options of `sign.cloudstack`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a signed request holds; [`MAX_EXPIRES`] at most, and no more than that is ever written.
    pub expires: Duration,
    /// Whether `verify` judges like a server with `enforce.post.requests.and.timestamps`. Signing always complies.
    pub enforce_post_and_timestamps: bool,
    /// Whether `verify` refuses an `expires` more than [`MAX_EXPIRES`] ahead, as it does for local keys.
    pub bound_expires: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { expires: DEFAULT_EXPIRES, enforce_post_and_timestamps: false, bound_expires: false }
    }
}

/// Whether a parameter is the gateway's own: what a caller sends under such a name, in any letter case, is dropped.
pub fn is_reserved(name: &str) -> bool {
    reserved(name.as_bytes())
}

fn reserved(name: &[u8]) -> bool {
    [API_KEY, SIGNATURE, SIGNATURE_VERSION, EXPIRES, b"sessionkey"]
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word))
}

/// Whether a parameter, by its decoded name, says that a request is signed.
pub(super) fn is_claim(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(API_KEY) || name.eq_ignore_ascii_case(SIGNATURE)
}

const API_KEY: &[u8] = b"apiKey";
const SIGNATURE: &[u8] = b"signature";
const SIGNATURE_VERSION: &[u8] = b"signatureVersion";
const EXPIRES: &[u8] = b"expires";

/// Writes the string to sign of decoded parameters: `signature` (in any letter case) left out, sorted by name, names
/// raw, values Java-encoded, all in lower case.
///
/// Allocates only for a name that holds `Σ`, whose lower case depends on its neighbours.
pub fn string_to_sign<'a, 's>(
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    scratch: &'s mut Scratch,
) -> Result<&'s [u8], SignError> {
    scratch.clear();
    for (name, value) in parameters {
        push(scratch, name.as_bytes(), value.as_bytes())?;
    }
    sort(scratch);
    write_string_to_sign(scratch, &[])?;
    Ok(&scratch.to_sign)
}

/// CloudStack with a key in it.
pub struct Signer {
    options: Options,
    id: String,
    /// The gateway's own parameters but for the moment that ends them, as they are emitted.
    own: Vec<u8>,
    /// `apiKey` and its value, as they are signed.
    signed_key: Vec<u8>,
    mac: MacSha1,
}

/// One of the gateway's own parameters: its name, and all of it as it is signed but for letter case.
type Own<'a> = (&'static [u8], &'a [u8]);

impl Signer {
    /// Prepares the keyed state; a session token does not exist in CloudStack and is refused.
    pub fn new(options: Options, key: Key) -> Result<Self, SignError> {
        super::usable(&key)?;
        if key.session_token.is_some() {
            return Err(SignError::Credential("CloudStack has no session tokens"));
        }
        let mut own = Vec::with_capacity(64 + key.id.len());
        emit_pair(API_KEY, key.id.as_bytes(), &mut own);
        emit_pair(SIGNATURE_VERSION, b"3", &mut own);
        emit_pair(EXPIRES, b"", &mut own);
        let mut signed_key = [API_KEY, b"="].concat();
        encode::java(key.id.as_bytes(), &mut signed_key);
        Ok(Self { options, own, signed_key, mac: MacSha1::new(key.secret.expose()), id: key.id })
    }

    /// Signs the fields, which are sorted, and the gateway's own.
    fn finish(&self, scratch: &mut Scratch, own: &[Own<'_>]) -> Result<[u8; 28], SignError> {
        write_string_to_sign(scratch, own)?;
        let signature = encode::base64(&self.mac.sign(&scratch.to_sign));
        scratch.signature.extend_from_slice(&signature);
        Ok(signature)
    }
}

impl super::Signer for Signer {
    fn body_need(&self, head: &Head<'_>) -> BodyNeed {
        if is_form(head) { BodyNeed::Form } else { BodyNeed::Nothing }
    }

    fn sign<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &'s mut Scratch,
    ) -> Result<Edits<'s>, SignError> {
        scratch.clear();
        let Scratch { arena, fields, query, form: new_form, iso, .. } = &mut *scratch;
        rewrite(head.query.unwrap_or_default().as_bytes(), "query", arena, fields, query)?;
        let form = form_of(head, payload);
        if let Some(form) = form {
            rewrite(form, "form", arena, fields, new_form)?;
        }
        let expires = now.checked_add(self.options.expires.min(MAX_EXPIRES)).map_err(|_| SignError::Clock)?;
        let expires = iso.spell(expires, super::date::iso_escaped)?;
        // Everything the gateway adds goes where the form is; into the query only when there is no form.
        let out = if form.is_some() { new_form } else { query };
        if !out.is_empty() {
            out.push(b'&');
        }
        out.extend_from_slice(&self.own);
        out.extend_from_slice(&expires);

        refuse_repeated(scratch, if form.is_some() { "query and form" } else { "query" })?;
        let mut signed_expires = *b"expires=YYYY-MM-DDThh%3Amm%3Ass%2B0000";
        signed_expires[EXPIRES.len() + 1..].copy_from_slice(&expires);
        let own: [Own<'_>; 3] = [
            (API_KEY, &self.signed_key),
            (EXPIRES, &signed_expires),
            (SIGNATURE_VERSION, b"signatureVersion=3"),
        ];
        let signature = self.finish(scratch, &own)?;
        let Scratch { query, form: new_form, .. } = &mut *scratch;
        let out = if form.is_some() { new_form } else { query };
        out.extend_from_slice(b"&signature=");
        encode::base64_escaped(&signature, out);

        let scratch = &*scratch;
        Ok(Edits {
            headers: [const { None }; super::edits::MAX_HEADERS],
            query: match form {
                Some(_) if head.query.is_none() => None,
                _ => Some(text(&scratch.query, "query")?),
            },
            form: form.map(|_| text(&scratch.form, "form")).transpose()?,
            stages: scratch.stages()?,
        })
    }

    fn verify(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        self.judge(head, payload, now, scratch)
    }

    fn expected<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<Stages<'s>, VerifyError> {
        verify::read_parameters(head, payload, scratch)?;
        sort(scratch);
        self.finish(scratch, &[])?;
        Ok(scratch.stages()?)
    }
}

/// Whether the body is a form, by its media type; parameters such as a charset do not matter.
fn is_form(head: &Head<'_>) -> bool {
    super::sole(head, "content-type").is_some_and(|value| {
        let media = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        media.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

fn form_of<'p>(head: &Head<'_>, payload: Payload<'p>) -> Option<&'p [u8]> {
    match payload {
        Payload::Whole(body) if !body.is_empty() && is_form(head) => Some(body),
        _ => None,
    }
}

fn push(scratch: &mut Scratch, name: &[u8], value: &[u8]) -> Result<(), SignError> {
    let arena = &mut scratch.arena;
    let start = arena.len();
    arena.extend_from_slice(name);
    let middle = arena.len();
    arena.push(b'=');
    arena.extend_from_slice(value);
    scratch.fields.push(Field::closing_pair(arena, start, middle)?);
    Ok(())
}

/// Decodes one wire piece to the end of the arena, as `name=value`.
fn decode_field(arena: &mut Vec<u8>, piece: &Piece<'_>, what: &'static str) -> Result<Field, SignError> {
    let value = piece.value.unwrap_or_default();
    let start = arena.len();
    if piece.spelling.is_plain() {
        arena.extend_from_slice(piece.whole);
        if piece.value.is_none() {
            arena.push(b'=');
        }
        let middle = start + piece.name.len();
        return Ok(Field::closing_pair(arena, start, middle)?.with_ready(true));
    }
    encode::decode(piece.name, Plus::Space, arena).map_err(|_| SignError::Encoding(what))?;
    let middle = arena.len();
    arena.push(b'=');
    encode::decode(value, Plus::Space, arena).map_err(|_| SignError::Encoding(what))?;
    for part in [&arena[start..middle], &arena[middle..]] {
        text(part, what)?;
    }
    Field::closing_pair(arena, start, middle)
}

/// Takes the caller's parameters, without those that the gateway sets, as fields and to be sent.
///
/// Most are spelled as they will be sent, and as they will be signed but for letter case. Those are not decoded;
/// neighbours among them are copied at once.
fn rewrite(
    wire: &[u8],
    what: &'static str,
    arena: &mut Vec<u8>,
    fields: &mut Vec<Field>,
    out: &mut Vec<u8>,
) -> Result<(), SignError> {
    let base = arena.len();
    arena.extend_from_slice(wire);
    let mut copied = Copied::new(wire);
    for piece in encode::scan(wire) {
        let (start, end) = (piece.start, piece.start + piece.whole.len());
        let is_pair = piece.value.is_some() && !piece.name.is_empty();
        if is_pair && piece.spelling.is_common() {
            if reserved(piece.name) {
                continue;
            }
            if !piece.spelling.is_ascii() {
                check_text(piece.value.unwrap_or_default(), what, arena)?;
            }
            let middle = base + start + piece.name.len();
            fields.push(Field::pair_within(arena, base + start, middle, base + end)?.with_ready(true));
        } else {
            let field = decode_field(arena, &piece, what)?;
            let name = field.name(arena);
            if reserved(name) {
                continue;
            }
            if name.iter().any(|&b| encode::is_control(b)) {
                return Err(SignError::Control("parameter name"));
            }
            // Tomcat drops a parameter without a name from one of its two readings and keeps it in the other.
            if name.is_empty() || name.iter().any(|&b| matches!(b, b'=' | b'&')) {
                return Err(SignError::Ambiguous("parameter name"));
            }
            fields.push(field);
            if !(is_pair && piece.spelling.is_strict()) {
                copied.finish(out);
                emit_pair(field.name(arena), field.value(arena), out);
                continue;
            }
        }
        copied.take(&piece, piece.whole.len(), out);
    }
    copied.finish(out);
    Ok(())
}

/// Refuses a value whose bytes are no text.
fn check_text(wire: &[u8], what: &'static str, arena: &mut Vec<u8>) -> Result<(), SignError> {
    let start = arena.len();
    encode::decode(wire, Plus::Space, arena).map_err(|_| SignError::Encoding(what))?;
    text(&arena[start..], what)?;
    arena.truncate(start);
    Ok(())
}

fn emit_pair(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b'&');
    }
    encode::percent(name, Keep::Unreserved, out);
    out.push(b'=');
    encode::percent(value, Keep::Unreserved, out);
}

/// Java's `String.compareTo`: by UTF-16 code unit, which differs from UTF-8's order above U+FFFF.
fn java_order(a: &[u8], b: &[u8]) -> Ordering {
    match (std::str::from_utf8(a), std::str::from_utf8(b)) {
        (Ok(a), Ok(b)) => a.encode_utf16().cmp(b.encode_utf16()),
        _ => a.cmp(b),
    }
}

fn sort(scratch: &mut Scratch) {
    let Scratch { arena, fields, .. } = scratch;
    let is_ascii = fields.iter().all(|field| field.is_ready() || field.name(arena).is_ascii());
    fields.sort_unstable_by(|a, b| {
        // Where all names are ASCII, code units are bytes.
        let by_name = if is_ascii { a.by_name(b, arena) } else { java_order(a.name(arena), b.name(arena)) };
        by_name.then_with(|| a.position().cmp(&b.position()))
    });
}

/// Sorts the fields and refuses two of one name.
fn refuse_repeated(scratch: &mut Scratch, what: &'static str) -> Result<(), SignError> {
    sort(scratch);
    let Scratch { arena, fields, .. } = scratch;
    let twice = fields.windows(2).any(|pair| pair[0].has_name_of(&pair[1], arena));
    if twice { Err(SignError::Repeated(what)) } else { Ok(()) }
}

/// Writes the sorted fields as they are signed, and among them the gateway's own, which are sorted too.
fn write_string_to_sign(scratch: &mut Scratch, mut own: &[Own<'_>]) -> Result<(), SignError> {
    let Scratch { arena, fields, to_sign, .. } = scratch;
    for field in fields.iter() {
        while let [(name, signed), rest @ ..] = own {
            // Own names are ASCII, which comes first in any order.
            if !field.comes_after(name, arena) {
                break;
            }
            to_sign.extend_from_slice(signed);
            to_sign.push(b'&');
            own = rest;
        }
        let name = field.name(arena);
        if name.eq_ignore_ascii_case(SIGNATURE) {
            continue;
        }
        if field.is_ready() {
            to_sign.extend_from_slice(field.whole(arena));
        } else {
            if name.is_ascii() {
                to_sign.extend_from_slice(name);
            } else {
                lower(text(name, "parameter name")?, to_sign);
            }
            to_sign.push(b'=');
            encode::java(field.value(arena), to_sign);
        }
        to_sign.push(b'&');
    }
    for (_, signed) in own {
        to_sign.extend_from_slice(signed);
        to_sign.push(b'&');
    }
    // That of the last one.
    to_sign.pop();
    // Values are ASCII by now, and a name that is not is in lower case already.
    to_sign.make_ascii_lowercase();
    Ok(())
}

/// Java's `String.toLowerCase`. The `&` and `=` around a name end the context that a final sigma looks at, so a name
/// alone folds as it does inside the whole string.
fn lower(name: &str, out: &mut Vec<u8>) {
    if name.contains('\u{3a3}') {
        out.extend_from_slice(name.to_lowercase().as_bytes());
        return;
    }
    for c in name.chars().flat_map(char::to_lowercase) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests;
