//! Which query parameters each family of servers signs. The lists differ between servers of one version even, which
//! is why a route can add to them.

/// A server family's list of signed sub-resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Amazon S3, as botocore's and boto's lists have it.
    Aws,
    /// Ceph RADOS Gateway (`rgw_auth_s3.cc`).
    Ceph,
    /// `MinIO` while it still spoke version 2 (`cmd/signature-v2.go`).
    Minio,
    /// Zenko, `CloudServer` and Arsenal (`lib/auth/v2/getCanonicalizedResource`).
    Arsenal,
    /// Virtuozzo and Acronis object storage with its management calls.
    Ostor,
}

/// Signed by every server.
const CORE: &[&str] = &[
    "acl",
    "delete",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

const AWS: &[&str] = &[
    "accelerate",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "inventory",
    "metrics",
    "object-lock",
    "replication",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
];

const CEPH: &[&str] =
    &["cors", "encryption", "object-lock", "policyStatus", "publicAccessBlock", "tagging", "torrent"];

const MINIO: &[&str] = &["torrent"];

const ARSENAL: &[&str] = &["cors", "replication", "tagging", "torrent"];

const OSTOR: &[&str] = &[
    "ostor-accounts",
    "ostor-buckets",
    "ostor-limits",
    "ostor-quotas",
    "ostor-usage",
    "ostor-users",
    "replication",
];

/// The first letters of a dialect's names, by the length of the name: a bit for each letter, either case. Nearly every
/// name that is not listed is told by this alone.
type Firsts = [u32; 32];

const fn firsts(more: &[&str]) -> Firsts {
    let mut table = [0; 32];
    let mut at = 0;
    while at < CORE.len() + more.len() {
        let name = if at < CORE.len() { CORE[at] } else { more[at - CORE.len()] }.as_bytes();
        table[name.len()] |= 1 << (name[0] & 31);
        at += 1;
    }
    table
}

const AWS_FIRSTS: &Firsts = &firsts(AWS);
const CEPH_FIRSTS: &Firsts = &firsts(CEPH);
const MINIO_FIRSTS: &Firsts = &firsts(MINIO);
const ARSENAL_FIRSTS: &Firsts = &firsts(ARSENAL);
const OSTOR_FIRSTS: &Firsts = &firsts(OSTOR);

impl Dialect {
    /// All of them, with the names that a configuration uses.
    const NAMED: [(&'static str, Self); 5] = [
        ("aws", Self::Aws),
        ("ceph", Self::Ceph),
        ("minio", Self::Minio),
        ("arsenal", Self::Arsenal),
        ("ostor", Self::Ostor),
    ];

    /// The dialect of a configured name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(known, _)| *known == name).map(|(_, dialect)| dialect)
    }

    /// The names that [`Dialect::from_name`] knows.
    pub fn names() -> [&'static str; 5] {
        Self::NAMED.map(|(name, _)| name)
    }

    /// Whether a decoded query name is signed.
    pub fn is_sub_resource(self, name: &[u8]) -> bool {
        let (more, firsts) = match self {
            Self::Aws => (AWS, AWS_FIRSTS),
            Self::Ceph => (CEPH, CEPH_FIRSTS),
            Self::Minio => (MINIO, MINIO_FIRSTS),
            Self::Arsenal => (ARSENAL, ARSENAL_FIRSTS),
            Self::Ostor => (OSTOR, OSTOR_FIRSTS),
        };
        let (Some(first), Some(bits)) = (name.first(), firsts.get(name.len())) else { return false };
        bits >> (first & 31) & 1 == 1 && CORE.iter().chain(more).any(|listed| listed.as_bytes() == name)
    }

    /// Whether `response-*` overrides come after all other sub-resources instead of among them.
    pub(super) fn overrides_last(self) -> bool {
        self == Self::Arsenal
    }

    /// Whether `x-amz-*` parameters of a signed URL are signed as if they were headers.
    pub(super) fn signs_amz_parameters(self) -> bool {
        matches!(self, Self::Aws | Self::Ceph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for name in Dialect::names() {
            assert!(Dialect::from_name(name).is_some(), "{name}");
        }
        assert_eq!(Dialect::from_name("AWS"), None);
    }

    /// The table of first letters leaves no listed name out.
    #[test]
    fn every_listed_name_is_found() {
        let lists = [AWS, CEPH, MINIO, ARSENAL, OSTOR];
        for ((name, dialect), more) in Dialect::NAMED.into_iter().zip(lists) {
            for listed in CORE.iter().chain(more) {
                assert!(dialect.is_sub_resource(listed.as_bytes()), "{name} {listed}");
                assert!(!dialect.is_sub_resource(listed.to_uppercase().as_bytes()), "{name} {listed}");
                assert!(!dialect.is_sub_resource(&listed.as_bytes()[1..]), "{name} {listed}");
            }
            assert!(!dialect.is_sub_resource(b"") && !dialect.is_sub_resource(&[b'a'; 99]), "{name}");
        }
    }

    #[test]
    fn lists_differ_where_the_servers_do() {
        let signs = |name: &str| {
            Dialect::NAMED
                .into_iter()
                .filter(|(_, d)| d.is_sub_resource(name.as_bytes()))
                .map(|(n, _)| n)
                .collect()
        };
        let lists: [(&str, Vec<&str>); 6] = [
            ("acl", vec!["aws", "ceph", "minio", "arsenal", "ostor"]),
            ("tagging", vec!["aws", "ceph", "arsenal"]),
            ("publicAccessBlock", vec!["ceph"]),
            ("replication", vec!["aws", "arsenal", "ostor"]),
            ("ostor-users", vec!["ostor"]),
            ("prefix", vec![]),
        ];
        for (name, dialects) in lists {
            let found: Vec<&str> = signs(name);
            assert_eq!(found, dialects, "{name}");
        }
    }
}
