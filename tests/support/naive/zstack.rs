//! ZStack's access key digest, as `RestServer` and the access key backend judge it.

use super::super::Request;
use super::{Keys, decoded, hmac_sha1, mail_date, no_leftovers, now};

/// Judges a request for a server whose local time is `offset` seconds ahead of UTC. The zone's name is parsed and
/// then ignored, as `rest.checkTimeZone = false` does; it is given back.
pub fn zstack(request: &Request, keys: &Keys, context_path: &str, offset: i64) -> Result<String, String> {
    no_leftovers(request)?;
    let date = request.headers.one("date").ok_or("'Date' must be included in request header")?;
    let (wall, zone) = mail_date(date).ok_or(format!("'Date' format error: {date}"))?;
    if (wall - offset - now()).abs() > super::SKEW {
        return Err("requestTimeTooSkewed".to_owned());
    }
    let authorization = request.headers.one("authorization").ok_or("missing header 'Authorization'")?;
    let rest = authorization.strip_prefix("ZStack ").ok_or("not a ZStack authorization")?;
    let (id, signature) = rest.split_once(':').ok_or("no colon")?;
    if id != keys.id || signature.contains(':') {
        return Err(format!("access key id {id:?}"));
    }
    let path = request.path().strip_prefix(context_path).ok_or("the path lies outside the context path")?;
    let path = String::from_utf8(decoded(path, false)?).map_err(|_| "the path is not UTF-8")?;
    let signed = format!("{}\n{date}\n{path}", request.method);
    if signature != hmac_sha1(keys.secret.as_bytes(), signed.as_bytes()) {
        return Err("wrong accessKey signature".to_owned());
    }
    Ok(zone.to_owned())
}
