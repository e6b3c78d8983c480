//! Which parameters of a call stand in the record as they are: ids, switches and names of things, by a list for each
//! family of APIs. Of every other one the record holds its length and a keyed hash, which tells equal values from
//! different ones and nothing else.
//!
//! Never a secret: no name of a credential, token, password or signature is on a list, and what is on one must also
//! look like an id or a word.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::line::{Object, cut, name, nested, quoted};
use crate::secret::Secret;
use crate::sign::digest::MacSha256;

/// Parameters that an event names; the rest is counted.
const MOST: usize = 64;
/// Characters of a name, which is the caller's text.
const NAME: usize = 64;
/// Bytes of a value that stands as it is; S3 keys are the longest.
const PLAIN: usize = 1_024;

/// Whose list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// CloudStack commands; names without regard to letter case.
    Cloudstack,
    /// ZStack's API: queries, and fields of bodies by their path (`params.zoneUuid`), of which the last part counts.
    Zstack,
    /// S3 and what is built like it.
    S3,
    /// Virtuozzo's management of object storage.
    Ostor,
    /// Every other service: only the call's own name is known not to be a secret.
    Aws,
}

/// Ids, switches and sizes of CloudStack commands.
#[rustfmt::skip]
const CLOUDSTACK: &[&str] = &[
    "account", "accountid", "affinitygroupids", "algorithm", "allocatedonly", "asyncjobid", "backupid",
    "cidrlist", "clusterid", "command", "customid", "diskofferingid", "domainid", "domainids", "endport",
    "endpointid", "expunge", "fordisplay", "forced", "hostid", "hypervisor", "icmpcode", "icmptype", "id",
    "ids", "imagestoreid", "instanceid", "ipaddressid", "isofilter", "isoid", "isrecursive", "issourcenat",
    "isstaticnat", "jobid", "kubernetesversionid", "level", "listall", "managementserverid",
    "networkfilter", "networkid", "networkids", "networkofferingid", "nicid", "ostypeid", "page",
    "pagesize", "physicalnetworkid", "podid", "poolid", "portforwardingserviceid", "privateport",
    "projectid", "protocol", "publicendport", "publicipid", "publicport", "resourceids", "resourcetype",
    "response", "roleid", "roletype", "routerid", "rootdisksize", "scheduleid", "securitygroupid",
    "securitygroupids", "serviceofferingid", "size", "snapshotid", "snapshotpolicyid", "startip",
    "startport", "startvm", "state", "storageid", "systemvmid", "templatefilter", "templateid",
    "traffictype", "type", "userid", "virtualmachineid", "virtualmachineids", "vlanid", "vmsnapshotid",
    "vnfapplianceid", "volumeid", "vpcid", "vpcofferingid", "vpngatewayid", "zoneid", "zoneids",
    "zonetype",
];
#[rustfmt::skip]
const ZSTACK: &[&str] = &[
    "clusterUuid", "count", "dataDiskOfferingUuids", "defaultL3NetworkUuid", "diskOfferingUuid", "fields",
    "groupBy", "hostUuid", "imageUuid", "instanceOfferingUuid", "l2NetworkUuid", "l3NetworkUuid",
    "l3NetworkUuids", "limit", "primaryStorageUuid", "replyWithCount", "resourceUuid",
    "rootDiskOfferingUuid", "rootVolumeUuid", "sort", "sortBy", "sortDirection", "start", "strategy",
    "type", "uuid", "uuids", "vmInstanceUuid", "vmNicUuid", "volumeUuid", "zoneUuid",
];
#[rustfmt::skip]
const S3: &[&str] = &[
    "acl", "attributes", "bucketName", "continuation-token", "copySource", "cors", "delete", "delimiter",
    "encoding-type", "encryption", "fetch-owner", "key", "key-marker", "legal-hold", "lifecycle",
    "list-type", "location", "logging", "marker", "max-buckets", "max-keys", "max-parts", "max-uploads",
    "notification", "object-lock", "part-number-marker", "partNumber", "policy", "policyStatus", "prefix",
    "publicAccessBlock", "range", "replication", "requestPayment", "restore", "retention", "start-after",
    "storageClass", "tagging", "torrent", "upload-id-marker", "uploadId", "uploads", "version-id-marker",
    "versionId", "versioning", "versions", "website", "x-id",
];
#[rustfmt::skip]
const OSTOR: &[&str] = &[
    "bucket", "disable", "emailAddress", "enable", "genKey", "limit", "obj", "ostor-limits",
    "ostor-quotas", "ostor-usage", "ostor-users", "revokeKey", "userId",
];
const AWS: &[&str] = &["Action", "Version"];

/// Makes the hashes that stand for values. Clones share the one key.
#[derive(Clone)]
pub struct Hasher(Arc<MacSha256>);

impl Hasher {
    /// For one run of the process: hashes of different runs cannot be compared.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self(MacSha256::new(&*key).into())
    }

    /// From the key of the record: the same value has the same hash for as long as the key is used. The chain's MACs
    /// are of other messages, so the key is bent before it is used here.
    pub fn keyed(key: &Secret) -> Self {
        let bent = Zeroizing::new(MacSha256::new(key.expose()).sign(b"countersign: hashes of parameters"));
        Self(MacSha256::new(&*bent).into())
    }

    fn hash(&self, value: &[u8]) -> [u8; 8] {
        let mut hash = [0; 8];
        hash.copy_from_slice(&self.0.sign(value)[..8]);
        hash
    }
}

/// What stands for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// The text up to here.
    Plain(usize),
    Hashed {
        length: usize,
        hash: [u8; 8],
    },
}

/// Parameters as the record shows them. All their names and values stand in one text, which is reused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    text: String,
    /// Where each name ends in the text, and what follows it.
    shown: Vec<(usize, Shown)>,
    omitted: usize,
}

impl Parameters {
    /// Shows decoded names and values; a parameter without a value has an empty one.
    pub fn of<'p>(
        family: Family,
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
        hasher: &Hasher,
    ) -> Self {
        let mut parameters = Self::default();
        parameters.note(family, pairs, hasher);
        parameters
    }

    /// Shows these in the place of all that there were.
    pub fn note<'p>(
        &mut self,
        family: Family,
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
        hasher: &Hasher,
    ) {
        self.clear();
        let mut pairs = pairs.into_iter();
        for (name, value) in pairs.by_ref().take(MOST) {
            let begin = self.text.len();
            // Names repeat on S3 and AWS routes; in a JSON object they must not.
            let shown = shown_name(name);
            self.text.push_str(&shown);
            let mut count = 1;
            while self.text[begin..] == *OMITTED || self.names().any(|other| *other == self.text[begin..]) {
                count += 1;
                self.text.truncate(begin);
                let _ = write!(self.text, "{shown} ({count})");
            }
            let end = self.text.len();
            let value = match plain(family, name, value) {
                Some(text) => {
                    self.text.push_str(text);
                    Shown::Plain(self.text.len())
                }
                None => Shown::Hashed { length: value.len(), hash: hasher.hash(value) },
            };
            self.shown.push((end, value));
        }
        self.omitted = pairs.count();
    }

    /// Forgets all, and keeps the room.
    pub fn clear(&mut self) {
        self.text.clear();
        self.shown.clear();
        self.omitted = 0;
    }

    /// Gives back what is beyond this many bytes of room.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.text.shrink_to(bytes);
        self.shown.shrink_to(bytes / size_of::<(usize, Shown)>());
    }

    /// Whether the call has none.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let mut begin = 0;
        self.shown.iter().map(move |&(end, shown)| {
            let name = &self.text[begin..end];
            begin = end;
            let value = match shown {
                Shown::Plain(after) => {
                    begin = after;
                    Value::Plain(&self.text[end..after])
                }
                Shown::Hashed { length, hash } => Value::Hashed { length, hash },
            };
            (name, value)
        })
    }
}

/// What stands for a value, as it is written.
enum Value<'p> {
    Plain(&'p str),
    Hashed { length: usize, hash: [u8; 8] },
}

fn shown_name(name: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(name) {
        Cow::Borrowed(name) => cut(name, NAME),
        Cow::Owned(name) => cut(&name, NAME).into_owned().into(),
    }
}

/// Whether the value of a parameter may be shown as it is; name and value are decoded.
pub fn may_show(family: Family, name: &[u8], value: &[u8]) -> bool {
    plain(family, name, value).is_some()
}

/// The value, when it may stand as it is.
fn plain<'v>(family: Family, name: &[u8], value: &'v [u8]) -> Option<&'v str> {
    let (list, name) = match family {
        Family::Cloudstack => (CLOUDSTACK, name),
        Family::Zstack => (ZSTACK, name.rsplit(|byte| *byte == b'.').next().unwrap_or(name)),
        Family::S3 => (S3, name),
        Family::Ostor => (OSTOR, name),
        Family::Aws => (AWS, name),
    };
    // CloudStack finds parameters without regard to letter case.
    let listed = match family {
        Family::Cloudstack => list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)),
        _ => list.iter().any(|known| known.as_bytes() == name),
    };
    let telling = match family {
        Family::S3 | Family::Ostor => true,
        Family::Cloudstack | Family::Zstack | Family::Aws => value.iter().all(|byte| is_of_an_id(*byte)),
    };
    (listed && telling && value.len() <= PLAIN).then(|| std::str::from_utf8(value).ok()).flatten()
}

/// Ids, words, numbers, networks, and lists of them.
fn is_of_an_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:,/".contains(&byte)
}

/// The name under which the count of further parameters stands; no API has a parameter of this name.
const OMITTED: &str = "(omitted)";

impl Parameters {
    /// Writes one field for each.
    pub(super) fn write(&self, line: &mut Object<'_>) {
        for (name, value) in self.iter() {
            line.stranger(name, |out| match value {
                Value::Plain(text) => quoted(text, out),
                Value::Hashed { length, hash } => nested(out, |object| {
                    object.count(name!("length"), length);
                    object.hex(name!("hash"), &hash);
                }),
            });
        }
        if self.omitted > 0 {
            line.count(name!("(omitted)"), self.omitted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::line;

    fn value(found: &Parameters) -> serde_json::Value {
        let mut text = line::of(|line| found.write(line));
        text.push(b'}');
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn shown(family: Family, pairs: &[(&str, &str)], hasher: &Hasher) -> serde_json::Value {
        let pairs = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let found = Parameters::of(family, pairs.clone(), hasher);
        let shown = value(&found);
        // The room of earlier ones tells nothing of them.
        let mut again = Parameters::of(Family::S3, [(&b"key"[..], &b"earlier"[..]); 3], hasher);
        again.note(family, pairs, hasher);
        assert_eq!(again, found);
        shown
    }

    #[test]
    fn only_what_is_listed_and_looks_like_an_id_is_shown() {
        let hasher = Hasher::random();
        let id = "0b3f1c2e-98a7-4d5e-8f10-aabbccddeeff";
        let found = shown(
            Family::Cloudstack,
            &[("zoneId", id), ("name", "web-1"), ("password", "CANARY"), ("hostid", "CANARY with words")],
            &hasher,
        );
        assert_eq!(found["zoneId"], id);
        assert_eq!(found["name"]["length"], 5);
        assert_eq!(found["password"]["hash"].as_str().map(str::len), Some(16));
        assert!(!found.to_string().contains("CANARY"), "{found}");

        let found =
            shown(Family::Zstack, &[("params.zoneUuid", "abc"), ("params.password", "CANARY")], &hasher);
        assert_eq!(found["params.zoneUuid"], "abc");
        assert!(!found.to_string().contains("CANARY"), "{found}");

        let found = shown(Family::S3, &[("key", "a b/\u{e4}"), ("X-Amz-Signature", "CANARY")], &hasher);
        assert_eq!(found["key"], "a b/\u{e4}");
        assert!(!found.to_string().contains("CANARY"), "{found}");

        for family in [Family::Zstack, Family::Aws, Family::Cloudstack] {
            let pairs = [("zoneUuid", "CANARY, a word"), ("Action", "CANARY=1"), ("zoneid", "CANARY;")];
            assert!(!shown(family, &pairs, &hasher).to_string().contains("CANARY"), "{family:?}");
        }
        // Each family has its own list, and only one of them ignores letter case.
        let found = shown(Family::Ostor, &[("userId", "a b"), ("key", "CANARY")], &hasher);
        assert_eq!(found["userId"], "a b");
        assert!(!found.to_string().contains("CANARY"), "{found}");
        let found = shown(Family::S3, &[("Key", "CANARY"), ("versionid", "CANARY")], &hasher);
        assert!(!found.to_string().contains("CANARY"), "{found}");

        let found = shown(Family::Aws, &[("Action", "SendMessage"), ("MessageBody", "CANARY")], &hasher);
        assert_eq!(found["Action"], "SendMessage");
        assert!(!found.to_string().contains("CANARY"), "{found}");
    }

    #[test]
    fn no_list_names_a_secret() {
        for list in [CLOUDSTACK, ZSTACK, S3, OSTOR, AWS] {
            for name in list {
                let name = name.to_ascii_lowercase();
                // A continuation token is a place in a listing; a policy, the sub-resource of that name.
                for word in
                    ["secret", "token", "password", "passwd", "signature", "apikey", "credential", "session"]
                {
                    assert!(!name.contains(word) || name == "continuation-token", "{name}");
                }
            }
        }
    }

    #[test]
    fn equal_values_have_equal_hashes_under_one_key_only() {
        let hash = |hasher: &Hasher| shown(Family::Aws, &[("a", "same")], hasher)["a"]["hash"].to_string();
        let (one, two) = (Hasher::keyed(&Secret::from("one")), Hasher::keyed(&Secret::from("two")));
        assert_eq!(hash(&one), hash(&Hasher::keyed(&Secret::from("one"))));
        assert_ne!(hash(&one), hash(&two));
        // Computed with Python's hmac, twice: the key is bent first.
        assert_eq!(hash(&one), "\"a52dd1f2b3de8675\"");
        assert_ne!(hash(&Hasher::random()), hash(&Hasher::random()));
    }

    #[test]
    fn many_and_long_ones_are_cut() {
        let hasher = Hasher::random();
        let names: Vec<String> = (0..70).map(|index| format!("{index:0>200}")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let found = shown(Family::S3, &pairs, &hasher);
        assert_eq!(found[OMITTED], 6);
        // All are alike once cut.
        assert_eq!(found.as_object().map(serde_json::Map::len), Some(MOST + 1));
        // Nobody speaks for the record.
        let found = shown(Family::S3, &[(OMITTED, "7"), ("key", "a"), ("key", "b")], &hasher);
        assert!(found.get(OMITTED).is_none() && found["(omitted) (2)"]["length"] == 1, "{found}");
        assert_eq!((&found["key"], &found["key (2)"]), (&"a".into(), &"b".into()));
        let long = "x".repeat(2_000);
        assert_eq!(shown(Family::S3, &[("key", &long)], &hasher)["key"]["length"], 2_000);
    }
}
