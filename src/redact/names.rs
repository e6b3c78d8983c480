//! Names of fields whose values are secrets, at any depth and in any spelling.
//!
//! Names are compared without regard to letter case and without `-`, `_`, `.` and blanks, and by their end:
//! `secretkey`, `Secret-Key`, `userSecretKey` and `ldap.secret_key` are one. It decides by the name alone and never
//! sees a value.

use super::Level;

/// The keys of the APIs themselves: CloudStack's `apikey` and `secretkey` (`UserResponse`, `RegisterUserKeysResponse`,
/// `BucketResponse`), ZStack's `AccessKeyID` and `AccessKeySecret`, Amazon's four.
const API_KEYS: [&str; 10] = [
    "accesskeyid",
    "accesskeysecret",
    "apikey",
    "secretaccesskey",
    "secretkey",
    "securitytoken",
    "sessionkey",
    "sessiontoken",
    "sessionuuid",
    "signingkey",
];

/// The one of them that is no plural's: `AWSAccessKeys` are objects, whose members have names of their own.
const ACCESS_KEY: &[u8] = b"accesskey";

/// Everything else that whoever reads it can use.
const SECRETS: [&str; 42] = [
    "activationcode",
    "adminpass",
    "authkey",
    "authorization",
    "authorizedurl",
    "base32stringseed",
    "bearer",
    "clientkey",
    "configdata",
    "consoleurl",
    "devicecode",
    "embedurl",
    "encryptionkey",
    "jsessionid",
    "keymaterial",
    "kubeconfig",
    "masterkey",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passworddata",
    "plaintext",
    "presharedkey",
    "presignedurl",
    "privatekey",
    "privatekeybase64",
    "privatekeyplaintext",
    "psk",
    "pwd",
    "qrcodepng",
    "secret",
    "secretbinary",
    "secretcode",
    "secretstring",
    "serverkey",
    "signedurl",
    "sslkey",
    "token",
    "tokenvalue",
    "usercode",
    "userdata",
];

/// Names that end like a secret's and are none: places in a list, and what makes a call happen once.
const NO_SECRETS: [&str; 14] = [
    "clientrequesttoken",
    "clienttoken",
    "continuationtoken",
    "hastoken",
    "haspassword",
    "idempotencytoken",
    "nextbackwardtoken",
    "nextcontinuationtoken",
    "nextforwardtoken",
    "nextpagetoken",
    "nexttoken",
    "pagetoken",
    "paginationtoken",
    "synctoken",
];

/// What an S3 server shows of a request whose signature it refused: it lets a reader learn the upstream's signature.
const SIGNATURES: [&str; 6] = [
    "awsaccesskeyid",
    "canonicalrequest",
    "canonicalrequestbytes",
    "signatureprovided",
    "stringtosign",
    "stringtosignbytes",
];

/// Members of a pair that name what stands in its other member.
const PAIR_NAMES: [&str; 6] = ["attributename", "key", "name", "optionname", "parameterkey", "parametername"];

/// The other member.
const PAIR_VALUES: [&str; 4] = ["attributevalue", "defaultvalue", "parametervalue", "value"];

/// Parameters of a URL that make it a bearer of its signer's rights.
const URL_SIGNATURES: [&str; 3] = ["sig", "signature", "xamzsignature"];

/// Answers whose secret has a name that elsewhere is none: the operation (`*` stands for any beginning or end), the
/// fields. For routes that redact all secrets; elsewhere these calls are refused or pass by themselves.
const OF_OPERATIONS: [(&str, &[&str]); 30] = [
    ("apigateway:*", &["value"]),
    ("appsync:*", &["id"]),
    ("createconsoleendpoint", &["url", "extra"]),
    ("datapipeline:*", &["stringvalue"]),
    ("directconnect:*", &["customerrouterconfig"]),
    ("downloadimagestoreobject", &["url"]),
    ("ec2:exportclientvpnclientconfiguration", &["clientconfiguration"]),
    ("ec2:getconsole*", &["output", "imagedata"]),
    ("ec2:getvpn*", &["vpnconnectiondevicesampleconfiguration"]),
    ("elasticbeanstalk:*", &["message"]),
    ("extract*", &["url"]),
    ("getcloudidentifier", &["signature"]),
    ("getdiagnosticsdata", &["url"]),
    ("getuploadparamsfor*", &["posturl", "metadata", "signature"]),
    ("kms:*", &["mac", "signature"]),
    ("lambda:*", &["location"]),
    ("listasyncjobs", &["url", "posturl", "metadata"]),
    ("login*", &["uuid"]),
    ("*/login", &["uuid"]),
    ("queryasyncjobresult", &["url", "posturl", "metadata"]),
    ("rds:download*", &["logfiledata"]),
    ("renewsession", &["uuid"]),
    ("samlsso", &["url"]),
    ("ssm:get*", &["value", "standardoutputcontent", "standarderrorcontent"]),
    ("ssm:putparameter", &["value"]),
    ("ssm:*session", &["streamurl"]),
    ("ecs:executecommand", &["streamurl"]),
    ("takevmconsolescreenshot", &["imagedata"]),
    ("validatetwofactorauthentication", &["uuid"]),
    ("*/console-screenshot", &["imagedata"]),
];

/// Letters that names end in.
const LETTERS: usize = 26;

/// The longest end of a name that is looked at.
const LONGEST: usize = 96;

/// What a field's name says of its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    #[default]
    Plain,
    /// It is a secret.
    Secret,
    /// It shows how a request was signed.
    Signature,
    /// It may name what stands beside it.
    PairName,
    /// What it is, a name beside it may say.
    PairValue,
}

/// The names of one route.
pub(super) struct Names {
    level: Level,
    /// What a secret's name ends in, by its last letter; what ends in none stands last.
    endings: [Vec<&'static [u8]>; LETTERS + 1],
    /// The route's own, as [`Normal`] writes them.
    further: Box<[Box<[u8]>]>,
}

/// A name without what spellings differ in.
struct Normal {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Normal {
    /// The end of `name`, lower case, without separators and without a plural's `s`.
    fn of(name: &[u8]) -> Self {
        let mut normal = Self { bytes: [0; LONGEST], length: 0 };
        let kept = name.iter().rev().filter(|byte| !matches!(byte, b'-' | b'_' | b'.' | b' '));
        for (slot, byte) in normal.bytes.iter_mut().rev().zip(kept) {
            *slot = byte.to_ascii_lowercase();
            normal.length += 1;
        }
        normal
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[LONGEST - self.length..]
    }
}

impl Names {
    pub(super) fn new(level: Level, further: &[String]) -> Self {
        let further = further.iter().map(|name| Normal::of(name.as_bytes()).as_slice().into());
        let secrets: &[&str] = if level == Level::AllSecrets { &SECRETS } else { &[] };
        let mut endings: [Vec<&'static [u8]>; LETTERS + 1] = Default::default();
        for ending in API_KEYS.iter().chain(secrets).map(|ending| ending.as_bytes()) {
            endings[letter(ending)].push(ending);
        }
        Self { level, endings, further: further.collect() }
    }

    /// What a field's name says; `also` are the names of the operation. A prefix before a colon does not count.
    pub(super) fn meaning(&self, name: &[u8], also: &[&str]) -> Meaning {
        let local = name.rsplit(|&byte| byte == b':').next().unwrap_or(name);
        let normal = Normal::of(local);
        let name = normal.as_slice();
        if has(&SIGNATURES, name) {
            Meaning::Signature
        } else if self.names_secret(name, also) || self.is_dotted_secret(local, also) {
            Meaning::Secret
        } else if has(&PAIR_NAMES, name) {
            Meaning::PairName
        } else if has(&PAIR_VALUES, name) {
            Meaning::PairValue
        } else {
            Meaning::Plain
        }
    }

    /// Whether a name, also one that is a value of a pair, is a secret's.
    pub(super) fn is_secret(&self, name: &[u8], also: &[&str]) -> bool {
        matches!(self.meaning(name, also), Meaning::Secret | Meaning::Signature)
    }

    /// Whether a URL's parameter is a secret or makes the URL one.
    pub(super) fn is_secret_parameter(&self, name: &[u8], also: &[&str]) -> bool {
        let normal = Normal::of(name);
        self.level == Level::AllSecrets && has(&URL_SIGNATURES, normal.as_slice())
            || self.is_secret(name, also)
    }

    /// `category.name`, as settings are called.
    fn is_dotted_secret(&self, name: &[u8], also: &[&str]) -> bool {
        let last = name.iter().rposition(|&byte| byte == b'.').map(|at| &name[at + 1..]);
        last.is_some_and(|last| self.names_secret(Normal::of(last).as_slice(), also))
    }

    fn names_secret(&self, name: &[u8], also: &[&str]) -> bool {
        let singular = name.strip_suffix(b"s").unwrap_or(name);
        (self.ends_like_secret(name) || self.ends_like_secret(singular)) && !has(&NO_SECRETS, name)
            || name.ends_with(ACCESS_KEY)
            || self.further.iter().any(|further| **further == *name)
            || has(also, name)
    }

    fn ends_like_secret(&self, name: &[u8]) -> bool {
        self.endings[letter(name)].iter().any(|ending| name.ends_with(ending))
    }
}

/// The place of a name's last letter in the alphabet; beyond it when the name ends in no lower-case letter.
fn letter(name: &[u8]) -> usize {
    let last = name.last().copied().unwrap_or_default();
    LETTERS.min(usize::from(last.wrapping_sub(b'a')))
}

fn has(list: &[&str], name: &[u8]) -> bool {
    list.iter().any(|known| known.as_bytes() == name)
}

/// The fields that are secrets in the answers of one operation, when all secrets are redacted.
pub(super) fn of_operation(level: Level, operation: &str) -> &'static [&'static str] {
    if level != Level::AllSecrets {
        return &[];
    }
    let matches = |pattern: &str| {
        let (prefix, suffix) = pattern.split_once('*').unwrap_or((pattern, ""));
        let operation = operation.as_bytes();
        let rest = operation.get(prefix.len()..).unwrap_or_default();
        let ends = rest.len().checked_sub(suffix.len()).map(|at| &rest[at..]);
        operation.get(..prefix.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(prefix.as_bytes()))
            && ends.is_some_and(|ends| ends.eq_ignore_ascii_case(suffix.as_bytes()))
            && (pattern.contains('*') || rest.is_empty())
    };
    OF_OPERATIONS.iter().find(|(pattern, _)| matches(pattern)).map_or(&[], |(_, fields)| fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(level: Level, name: &str) -> Meaning {
        Names::new(level, &["Vnc_Display".to_owned()]).meaning(name.as_bytes(), &["url"])
    }

    #[test]
    fn spellings_are_one() {
        for name in [
            "secretkey",
            "secretKey",
            "SECRET_KEY",
            "secret-key",
            "userSecretKey",
            "aws.secret.key",
            "x:SecretKey",
            "secretkeys",
            "apikey",
            "AccessKeySecret",
            "AWSSecretAccessKeys",
            "SessionToken",
            "vncdisplay",
            "URL",
        ] {
            assert_eq!(meaning(Level::ApiKeys, name), Meaning::Secret, "{name}");
            assert_eq!(meaning(Level::AllSecrets, name), Meaning::Secret, "{name}");
        }
        for name in [
            "password",
            "userdata",
            "privateKeyBase64",
            "PrivateKey",
            "ipsec_psk",
            "token",
            "rootPassword",
            "KeyMaterial",
        ] {
            assert_eq!(meaning(Level::ApiKeys, name), Meaning::Plain, "{name}");
            assert_eq!(meaning(Level::AllSecrets, name), Meaning::Secret, "{name}");
        }
        for name in
            ["id", "secretkeyid", "passwordenabled", "NextToken", "continuation-token", "keypair", "tokens2"]
        {
            assert_eq!(meaning(Level::AllSecrets, name), Meaning::Plain, "{name}");
        }
        assert_eq!(meaning(Level::ApiKeys, "AWSAccessKeyId"), Meaning::Signature);
        assert_eq!(meaning(Level::ApiKeys, "Key"), Meaning::PairName);
        assert_eq!(meaning(Level::ApiKeys, "value"), Meaning::PairValue);
        let long = "x".repeat(1000) + "_password";
        assert_eq!(meaning(Level::AllSecrets, &long), Meaning::Secret);
    }

    #[test]
    fn operations_have_fields_of_their_own() {
        assert_eq!(of_operation(Level::AllSecrets, "extractTemplate"), ["url"]);
        assert_eq!(of_operation(Level::AllSecrets, "logInByAccount"), ["uuid"]);
        assert_eq!(of_operation(Level::AllSecrets, "PUT /v1/accounts/login"), ["uuid"]);
        assert_eq!(of_operation(Level::AllSecrets, "ssm:StartSession"), ["streamurl"]);
        assert_eq!(of_operation(Level::AllSecrets, "samlSso"), ["url"]);
        for none in ["listZones", "samlSsoX", "xLogin", "ssm:Start", "lambda", ""] {
            assert!(of_operation(Level::AllSecrets, none).is_empty(), "{none}");
        }
        assert!(of_operation(Level::ApiKeys, "extractTemplate").is_empty());
    }
}
