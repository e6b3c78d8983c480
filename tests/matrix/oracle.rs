//! What must become of a cell, written from the rules alone.

use crate::cell::{Cell, LISTS, Shown, Transport};

/// What must become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is sent on, for this client; `learnt` if only because nothing is enforced.
    Forwarded { client: &'static str, learnt: bool },
    /// It is refused with this code; the client is known if policy refused it.
    Refused { client: Option<&'static str>, code: &'static str },
}

/// The oracle.
pub fn expected(cell: &Cell) -> Expected {
    let client = match who(cell) {
        Ok(client) => client,
        Err(code) => return Expected::Refused { client: None, code },
    };
    match may(cell, client) {
        Ok(learnt) => Expected::Forwarded { client, learnt },
        Err(code) => Expected::Refused { client: Some(client), code },
    }
}

/// What the connection alone proves.
fn holds(client: &str, transport: Transport) -> bool {
    let proxied = matches!(transport, Transport::ProxyNear | Transport::ProxyFar);
    match client {
        "me" => !proxied,
        "net" => transport == Transport::ProxyNear,
        "loop" => !proxied && transport != Transport::Unix,
        "partner" => transport == Transport::TlsPartner,
        _ => false,
    }
}

fn who(cell: &Cell) -> Result<&'static str, &'static str> {
    let list = LISTS[cell.list];
    if list.is_empty() {
        return Ok("anonymous");
    }
    let has = |name: &str| list.contains(&name);
    let (keys, tokens) = (has("job") || has("farjob"), has("agent") || has("reader"));
    let owner = match cell.shown {
        Shown::JobKey | Shown::WrongSecret | Shown::StaleKey => Some("job"),
        Shown::FarJobKey => Some("farjob"),
        Shown::UnknownKey => Some("nobody"),
        _ => None,
    };
    if let (Some(owner), true) = (owner, keys) {
        return match cell.shown {
            _ if !has(owner) => Err("unknown-access-key"),
            Shown::WrongSecret => Err("signature-mismatch"),
            Shown::StaleKey if cell.scheme == 0 => Err("signature-expired"),
            Shown::StaleKey => Err("clock-skew"),
            Shown::FarJobKey if !holds("net", cell.transport) => Err("client-not-allowed"),
            _ => Ok(owner),
        };
    }
    let bearer = match cell.shown {
        Shown::AgentToken => Some("agent"),
        Shown::ReaderToken => Some("reader"),
        Shown::WrongToken => Some("nobody"),
        _ => None,
    };
    if let (Some(bearer), true) = (bearer, tokens) {
        return if has(bearer) { Ok(bearer) } else { Err("token-unknown") };
    }
    let found = list.iter().find(|client| holds(client, cell.transport));
    found.copied().ok_or(if keys || tokens { "not-authenticated" } else { "client-not-allowed" })
}

/// Whether it passes only because the route learns, or the code of the refusal.
fn may(cell: &Cell, client: &str) -> Result<bool, &'static str> {
    let (read, write, about_keys) = (cell.operation == 0, cell.operation == 1, cell.operation == 2);
    if cell.policy == 2 && write {
        return Err("operation-denied");
    }
    if about_keys && cell.policy != 5 {
        return Err("secrets-denied");
    }
    let learns = cell.policy == 4;
    // ZStack's access keys are read; every other call about keys makes some.
    let changes = !(read || cell.scheme == 1 && about_keys);
    let refusal = if (cell.policy == 3 || client == "reader") && changes {
        Some("read-only")
    } else if matches!(cell.policy, 1 | 4) && !read {
        Some("operation-not-allowed")
    } else {
        None
    };
    match refusal {
        Some(code) if !learns => Err(code),
        refusal => Ok(refusal.is_some()),
    }
}
