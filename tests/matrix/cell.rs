//! The sides of the matrix, and how a cell becomes a request.

use crate::signer::{Call, V4, cloudstack, iso, v2_header, zstack};
use crate::support::naive::{Keys, now};
use crate::{AGENT, READER, local};

/// How each scheme stands in a route.
pub const SCHEMES: [&str; 5] = [
    "cloudstack = { credential = \"key\" }",
    "zstack = { credential = \"key\" }",
    "s3-v4 = { credential = \"key\", region = \"us-east-1\" }",
    "s3-v2 = { credential = \"key\", dialect = \"ceph\" }",
    "aws-v4 = { credential = \"key\", region = \"us-east-1\", service = \"redshift\" }",
];

/// The clients of each route; none: it has no `clients`.
pub const LISTS: [&[&str]; 11] = [
    &[],
    &["me"],
    &["else"],
    &["net"],
    &["loop", "me"],
    &["partner"],
    &["agent"],
    &["job"],
    &["farjob"],
    &["agent", "job", "partner"],
    &["reader", "loop"],
];

/// The lines that decide in each route; `READ` and `WRITE` stand for the scheme's operations.
pub const POLICIES: [&str; 6] = [
    "",
    "allow = [\"READ\"]",
    "deny = [\"WRITE\"]",
    "read-only = true",
    "policy = \"learn\"\nallow = [\"READ\"]",
    "secrets = \"allow\"",
];

/// An operation of a scheme.
pub struct Operation {
    pub name: &'static str,
    pub method: &'static str,
    pub target: &'static str,
}

const fn operation(name: &'static str, method: &'static str, target: &'static str) -> Operation {
    Operation { name, method, target }
}

/// Of each scheme a read, a write, one about keys, and one that nobody knows.
pub const OPERATIONS: [[Operation; 4]; 5] = [
    [
        operation("listZones", "GET", "command=listZones"),
        operation("destroyVirtualMachine", "GET", "command=destroyVirtualMachine"),
        operation("registerUserKeys", "GET", "command=registerUserKeys"),
        operation("frobnicate", "GET", "command=frobnicate"),
    ],
    [
        operation("GET /v1/zones", "GET", "/zstack/v1/zones"),
        operation(
            "DELETE /v1/vm-instances/{uuid}",
            "DELETE",
            "/zstack/v1/vm-instances/0123456789abcdef0123456789abcdef",
        ),
        operation("GET /v1/accesskeys", "GET", "/zstack/v1/accesskeys"),
        operation("GET /v1/frobnications", "GET", "/zstack/v1/frobnications"),
    ],
    S3,
    S3,
    [
        operation("redshift:DescribeClusters", "GET", "/?Action=DescribeClusters"),
        operation("redshift:CreateCluster", "GET", "/?Action=CreateCluster"),
        operation("redshift:GetClusterCredentials", "GET", "/?Action=GetClusterCredentials"),
        operation("redshift:Frobnicate", "GET", "/?Action=Frobnicate"),
    ],
];

const S3: [Operation; 4] = [
    operation("s3:GetObject", "GET", "/b/k"),
    operation("s3:DeleteObject", "DELETE", "/b/k"),
    operation("s3:CreateSession", "GET", "/b?session"),
    operation("s3:PATCH", "PATCH", "/b/k"),
];

/// What a caller shows with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    AgentToken,
    ReaderToken,
    WrongToken,
    JobKey,
    FarJobKey,
    WrongSecret,
    UnknownKey,
    StaleKey,
}

pub const SHOWN: [Shown; 9] = [
    Shown::Nothing,
    Shown::AgentToken,
    Shown::ReaderToken,
    Shown::WrongToken,
    Shown::JobKey,
    Shown::FarJobKey,
    Shown::WrongSecret,
    Shown::UnknownKey,
    Shown::StaleKey,
];

/// How it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Tcp,
    Unix,
    /// HTTP/1.1 over TLS with the certificate of `partner.example`.
    TlsPartner,
    /// The same with another name.
    TlsStranger,
    /// HTTP/2 over TLS without a certificate.
    TlsBare,
    /// HTTP/2 in the clear.
    H2c,
    /// Through a trusted proxy, for 10.20.0.9.
    ProxyNear,
    /// Through a trusted proxy, for 192.0.2.9.
    ProxyFar,
}

pub const TRANSPORTS: [Transport; 8] = [
    Transport::Tcp,
    Transport::Unix,
    Transport::TlsPartner,
    Transport::TlsStranger,
    Transport::TlsBare,
    Transport::H2c,
    Transport::ProxyNear,
    Transport::ProxyFar,
];

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub scheme: usize,
    pub list: usize,
    pub policy: usize,
    pub operation: usize,
    pub shown: Shown,
    pub transport: Transport,
}

impl Cell {
    /// The route's name.
    pub fn route(&self) -> String {
        format!("r{}-{}-{}", self.scheme, self.list, self.policy)
    }

    /// The request, with what the caller shows.
    pub fn call(&self) -> Call {
        let host = format!("{}.test", self.route());
        let Operation { method, target, .. } = OPERATIONS[self.scheme][self.operation];
        let keys = match self.shown {
            Shown::JobKey | Shown::StaleKey => local("LOCALJOB01"),
            Shown::FarJobKey => local("LOCALFAR01"),
            Shown::WrongSecret => {
                Keys { secret: "local-canary/Sekret+of=the JOB".into(), ..local("LOCALJOB01") }
            }
            Shown::UnknownKey => local("LOCALNOBODY"),
            Shown::Nothing | Shown::AgentToken | Shown::ReaderToken | Shown::WrongToken => {
                let target =
                    if self.scheme == 0 { format!("/client/api?{target}") } else { target.to_owned() };
                let call = Call::new(method, &host, &target);
                let token = match self.shown {
                    Shown::AgentToken => AGENT,
                    Shown::ReaderToken => READER,
                    Shown::WrongToken => "the-token-of-nobody-0123456789012",
                    _ => return call,
                };
                return call.header("Authorization", &format!("Bearer {token}"));
            }
        };
        // A clock that is an hour late.
        let ahead = if self.shown == Shown::StaleKey { -3600 } else { 0 };
        match self.scheme {
            0 => {
                let command = target.strip_prefix("command=").unwrap();
                let until = iso(now() + 300 + ahead);
                let query = cloudstack(&[("command", command)], &keys, Some(&until));
                Call::new(method, &host, &format!("/client/api?{query}"))
            }
            1 => zstack(&Call::new(method, &host, target), &keys, ahead),
            2 => V4 { ahead, ..V4::S3 }.header(&Call::new(method, &host, target), &keys, None).0,
            3 => v2_header(&Call::new(method, &host, target), &keys, ahead, None),
            _ => {
                let redshift = V4 { region: "us-east-1", service: "redshift", s3: false, ahead };
                redshift.header(&Call::new(method, &host, target), &keys, None).0
            }
        }
    }
}
