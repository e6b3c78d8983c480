//! Tokens: `Authorization: Bearer TOKEN`, or `Basic` with the token as the password.
//!
//! A token is hashed as it is read and compared as a hash, so that neither time nor memory tells it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use crate::reason::Reason;
use crate::sign::digest::sha256;

/// The SHA-256 of the token that a head shows; of a `Basic` that cannot be read, that of nothing, which is no token.
///
/// # Errors
/// Two `Authorization` headers: one of them would be the wrong one.
pub(super) fn shown(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Reason::AmbiguousRequest("two Authorization headers"));
    }
    let value = value.as_bytes();
    let Some(space) = value.iter().position(|&byte| byte == b' ') else { return Ok(None) };
    let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(Some(sha256(rest)));
    }
    if scheme.eq_ignore_ascii_case(b"basic") {
        let pair = STANDARD.decode(rest).map(Zeroizing::new).unwrap_or_default();
        let password = pair.iter().position(|&byte| byte == b':').map_or(&[][..], |colon| &pair[colon + 1..]);
        return Ok(Some(sha256(password)));
    }
    Ok(None)
}
