//! What a request asks for: one name for every call, what it is about, whether it changes anything, and whether its
//! answer may carry secrets.
//!
//! Pure: it looks at rebuilt values only, so that what policy judges is what is sent. Names follow the service:
//! CloudStack's `command`; `GET /v1/vm-instances/{uuid}` or the action key of a body for ZStack; IAM action names for
//! S3; `service:Action` elsewhere. It allows and refuses nothing but requests that name two calls at once.

pub mod aws;
mod cloudstack;
pub mod s3;
pub mod zstack;

use std::borrow::Cow;

pub use cloudstack::cloudstack;

/// The longest name that a record keeps.
const LONGEST: usize = 128;

/// What a call does to the upstream's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It changes nothing.
    Read,
    /// It changes something.
    Write,
    /// No table knows the call.
    Unknown,
}

/// Which secrets a call deals in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// None that is known.
    None,
    /// Its answer may carry passwords, private keys, tokens, settings.
    Material,
    /// It mints, plants or returns keys of the API itself.
    Keys,
}

/// One thing that a request asks leave for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What policy matches.
    pub name: Cow<'static, str>,
    /// The API's own name of the call where it differs: `s3:HeadObject` is authorised as `s3:GetObject`.
    pub alias: Option<&'static str>,
    /// What it is about: `bucket`, `bucket/key`; empty where there is nothing to name.
    pub resource: String,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The call itself; its name is the operation's in records, metrics and errors. Of a list of objects to be
    /// deleted it is the first.
    pub ask: Ask,
    /// Authority that body and headers carry: every other key of a list, the source of a copy, an ACL that is set on
    /// the way. All of it must be allowed.
    pub further: Vec<Ask>,
    /// What the call does to the upstream's state.
    pub access: Access,
    /// Which secrets it deals in.
    pub tier: Tier,
}

/// The systems whose calls are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Apache CloudStack.
    Cloudstack,
    /// ZStack Cloud.
    Zstack,
    /// S3 and what its servers offer at the same endpoint: ostor, MinIO's and RADOS Gateway's administration.
    S3,
    /// Other AWS services and services that speak like them.
    Aws,
}

impl Ask {
    fn new(name: impl Into<Cow<'static, str>>, resource: impl Into<String>) -> Self {
        Self { name: name.into(), alias: None, resource: resource.into() }
    }
}

impl Operation {
    fn new(ask: Ask, access: Access, tier: Tier) -> Self {
        Self { ask, further: Vec::new(), access, tier }
    }

    /// Everything that must be allowed, the call itself first.
    pub fn asks(&self) -> impl Iterator<Item = &Ask> {
        std::iter::once(&self.ask).chain(&self.further)
    }

    /// The API's own name of the call.
    pub fn call(&self) -> &str {
        self.ask.alias.unwrap_or(&self.ask.name)
    }

    /// The operation's name, cut to what a record should hold of a name that a caller chose.
    pub fn label(&self) -> &str {
        cut(&self.ask.name)
    }

    /// The API's own name of the call, cut in the same way.
    pub fn call_label(&self) -> &str {
        cut(self.call())
    }
}

/// As much of a name as a record keeps.
fn cut(name: &str) -> &str {
    name.char_indices().nth(LONGEST).map_or(name, |(end, _)| &name[..end])
}

/// Every call that is known to deal in secrets. Of services that are secret-bearing as a whole, each known name.
pub fn secret_bearing() -> impl Iterator<Item = (System, Cow<'static, str>, Tier)> {
    let of = |system| move |(name, tier): (Cow<'static, str>, Tier)| (system, name, tier);
    let cloudstack = cloudstack::secret_bearing().map(of(System::Cloudstack));
    let zstack = zstack::secret_bearing().map(of(System::Zstack));
    let s3 = s3::secret_bearing().map(of(System::S3));
    cloudstack.chain(zstack).chain(s3).chain(aws::secret_bearing().map(of(System::Aws)))
}

/// Bytes as text that no two byte strings share: what is no UTF-8 or a control character is written `%XX`, and so
/// is `%` itself.
fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    push_text(bytes, &mut out);
    out
}

fn push_text(bytes: &[u8], out: &mut String) {
    // All bytes are looked at, which takes less time than to stop at the first.
    let is_odd = |byte: u8| !(0x20..0x7f).contains(&byte) || byte == b'%';
    if !bytes.iter().fold(false, |found, byte| found | is_odd(*byte))
        && let Ok(plain) = std::str::from_utf8(bytes)
    {
        out.push_str(plain);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                let mut buffer = [0; 4];
                escaped(c.encode_utf8(&mut buffer).as_bytes(), out);
            } else {
                out.push(c);
            }
        }
        escaped(chunk.invalid(), out);
    }
}

fn escaped(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.push('%');
        out.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
    }
}

#[cfg(test)]
mod tests;
