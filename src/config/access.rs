//! Who may call and what they may ask for: `[clients.*]` and the switches of a route that decide.
//!
//! Plain values; judging is the business of other rooms.

use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

use super::SecretRef;

/// `[clients.NAME]`: a named identity, and what it may do.
#[derive(Debug)]
pub struct Client {
    /// Its name, as in records, metrics and messages.
    pub name: String,
    /// What must hold for a caller to be this client: all of it.
    pub conditions: Conditions,
    /// What it may ask for, on every route that lists it.
    pub rules: Rules,
    /// How much it may ask for, over all routes.
    pub quota: Quota,
}

/// The conditions of a client; at least one is there, and all must hold.
#[derive(Debug, Default)]
pub struct Conditions {
    /// `from`: the caller's address lies in one of these networks; empty: anywhere.
    pub from: Vec<IpNet>,
    /// `unix-user`: name or number.
    pub unix_user: Option<String>,
    /// `unix-group`: name or number.
    pub unix_group: Option<String>,
    /// `certificate`: an exact subject alternative name.
    pub certificate: Option<String>,
    /// `token`: any one of these.
    pub tokens: Vec<SecretRef>,
    /// `keys`: any one of these local keys.
    pub keys: Vec<LocalKey>,
}

/// A key that works only here.
#[derive(Debug)]
pub struct LocalKey {
    /// Its id, unique over all clients.
    pub access_key: String,
    /// Where the secret is kept.
    pub secret_key: SecretRef,
}

/// `allow`, `deny` and `read-only`, of a client or of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `allow`: with it, everything else is refused.
    pub allow: Option<Vec<Rule>>,
    /// `deny`: wins over everything.
    pub deny: Vec<Rule>,
    /// `read-only`: what is not known to be a read is refused.
    pub read_only: bool,
}

/// One entry of `allow` or `deny`: operations, and the resources that they are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As it stands in the file; refusals name it.
    pub text: String,
    /// Which operations.
    pub selector: Selector,
    /// A glob on the resource (`logs/*`); absent: any.
    pub resource: Option<String>,
}

/// Which operations a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A glob on the name, without regard to letter case.
    Glob(String),
    /// `@read`: what is known to change nothing.
    Read,
    /// `@write`: everything else.
    Write,
    /// `@keys`: calls that mint, plant or return keys of the API itself.
    Keys,
    /// `@material`: calls whose answers may carry secrets.
    Material,
}

/// `rate`, `burst` and `concurrency`, of a client or of a route; absent: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests over time.
    pub rate: Option<Rate>,
    /// Requests at once.
    pub concurrency: Option<NonZeroU32>,
}

/// A rate of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: NonZeroU32,
    /// In what time.
    pub per: Duration,
    /// `burst`: how many may come at once after a pause; by default as many as `requests`.
    pub burst: NonZeroU32,
}

/// `secrets`: what becomes of calls that mint, plant or return secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// Absent: calls about keys are refused; others pass, with keys of the API redacted from their answers.
    #[default]
    Default,
    /// `deny`: calls whose answers may carry any secret are refused too.
    Deny,
    /// `redact`: all calls pass, with every secret redacted from their answers.
    Redact,
    /// `allow`: all calls and their answers pass as they are.
    Allow,
}

/// `policy`: whether `allow` and `read-only` are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// They are.
    #[default]
    Enforce,
    /// What they would refuse passes and is recorded as such.
    Learn,
}

/// `client-address` of a listener: how its `trusted-proxies` tell whom they speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// A PROXY protocol header (version 1 or 2) in front of each connection.
    ProxyProtocol,
    /// The header `X-Forwarded-For` of each request.
    XForwardedFor,
    /// The header `Forwarded` of each request (RFC 7239).
    Forwarded,
}

/// `client-auth` of a listener's `tls`: what becomes of callers without a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// The handshake fails.
    #[default]
    Required,
    /// They may connect, and be known by another proof.
    Optional,
}
