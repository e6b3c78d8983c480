//! CloudStack, as `ApiServlet` builds its map and `ApiServer.verifyRequest` judges it.

use std::collections::BTreeMap;

use super::super::Request;
use super::super::message::Framing;
use super::{Keys, decoded, hmac_sha1, no_leftovers, now, seconds};

/// Judges a request; gives its parameters without those of the signature.
///
/// Stricter than the server in one thing: a name may stand once only, in any letter case, as the gateway promises.
pub fn cloudstack(request: &Request, keys: &Keys) -> Result<BTreeMap<String, String>, String> {
    no_leftovers(request)?;
    let mut pairs = Vec::new();
    let mut read = |text: &str| -> Result<(), String> {
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let text = |part| String::from_utf8(decoded(part, true)?).map_err(|_| "not UTF-8".to_owned());
            pairs.push((text(name)?, text(value)?));
        }
        Ok(())
    };
    read(request.query().unwrap_or_default())?;
    match request.method.as_str() {
        "GET" if request.framing == Framing::None => {}
        "POST" if request.headers.one("content-type") == Some("application/x-www-form-urlencoded") => {
            read(&request.text())?;
        }
        _ => return Err(format!("{} with {:?} is not read by the server", request.method, request.framing)),
    }
    let mut lower: Vec<String> = pairs.iter().map(|(name, _)| name.to_lowercase()).collect();
    lower.sort();
    if let Some([twice, _]) = lower.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{twice} stands twice"));
    }
    let find = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.clone()).ok_or(format!("no {wanted}"))
    };
    if find("apiKey")? != keys.id || find("signatureVersion")? != "3" {
        return Err("another key or signature version".to_owned());
    }
    let ahead = expires(&find("expires")?)? - now();
    if !(0..=15 * 60).contains(&ahead) {
        return Err(format!("expires {ahead} s ahead"));
    }

    let mut signed: Vec<&(String, String)> =
        pairs.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("signature")).collect();
    signed.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<u16>>());
    let pieces: Vec<String> =
        signed.iter().map(|(name, value)| format!("{name}={}", java(value.as_bytes()))).collect();
    let expected = hmac_sha1(keys.secret.as_bytes(), pieces.join("&").to_lowercase().as_bytes());
    if find("signature")? != expected {
        return Err("unable to verify user credentials and/or request signature".to_owned());
    }
    let own = ["apikey", "signature", "signatureversion", "expires"];
    Ok(pairs.into_iter().filter(|(name, _)| !own.contains(&name.to_lowercase().as_str())).collect())
}

/// Java's `URLEncoder`, with its `+` turned into `%20`.
fn java(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() || ".-*_".contains(c) => out.push(c),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `DateUtil.parseTZDateString`, of its forms the two with a zone in digits or `Z`.
fn expires(text: &str) -> Result<i64, String> {
    let bad = || format!("expires {text:?}");
    let stem =
        text.strip_suffix("+0000").or_else(|| text.strip_suffix("+00:00")).or_else(|| text.strip_suffix('Z'));
    let stem = stem.ok_or_else(bad)?;
    let (date, clock) = stem.split_once('T').ok_or_else(bad)?;
    let fields: Vec<&str> = date.split('-').chain(clock.split(':')).collect();
    seconds(fields.try_into().map_err(|_| bad())?).ok_or_else(bad)
}
