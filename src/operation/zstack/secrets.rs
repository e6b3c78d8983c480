//! Which of ZStack's calls deal in secrets: told from the path, from the action, and from the fields that a query
//! compares, sorts or asks for.

use crate::operation::Tier;
use crate::target::Parameter;

/// Paths of access keys, log-in, sessions and query languages that reach any table, with all that is below them.
const KEY_PATHS: [&str; 10] = [
    "/v1/accesskeys",
    "/v1/accounts/sessions",
    "/v1/batch-queries",
    "/v1/hybrid/aliyun/key",
    "/v1/hybrid/hybrid/key",
    "/v1/hybrid/key",
    "/v1/sso-token",
    "/v1/two-factor-authentication",
    "/v1/twofactor",
    "/v1/zql",
];

/// Calls that plant passwords of the platform's own accounts.
const KEY_CALLS: [&str; 15] = [
    "POST /v1/accounts",
    "POST /v1/accounts/users",
    "POST /v1/iam2/virtual-ids",
    "POST /v1/ldap/bindings",
    "changeAccessKeyState",
    "changeIAM2VirtualIDPassword",
    "loginIAM2Platform",
    "loginIAM2Project",
    "loginIAM2VirtualID",
    "loginIAM2VirtualIDWithLdap",
    "renewSession",
    "updateAccount",
    "updateIAM2VirtualID",
    "updateUser",
    "validateTwoFactorAuthentication",
];

/// Paths whose answers may carry passwords, private keys, tokens, settings or the results of any job.
const MATERIAL_PATHS: [&str; 49] = [
    "/v1/api-jobs",
    "/v1/backup-storage",
    "/v1/baremetal/chassis",
    "/v1/baremetal/pxeservers",
    "/v1/baremetal2/chassis",
    "/v1/baremetal2/gateways",
    "/v1/cdp-backup-storage",
    "/v1/certificates",
    "/v1/cloudformation",
    "/v1/console-proxies",
    "/v1/consoles",
    "/v1/encrypt",
    "/v1/global-configurations",
    "/v1/hosts/web-ssh",
    "/v1/hosts/{uuid}/web-ssh",
    "/v1/iam2/virtual-ids",
    "/v1/images/upload-job",
    "/v1/ipsec",
    "/v1/iscsi-servers",
    "/v1/kms",
    "/v1/ldap",
    "/v1/license",
    "/v1/licenses",
    "/v1/log",
    "/v1/log-servers",
    "/v1/long-jobs",
    "/v1/preconfiguration-templates",
    "/v1/primary-storage",
    "/v1/resource-configurations",
    "/v1/resource-stack",
    "/v1/scheduler/jobs",
    "/v1/sdn-controllers",
    "/v1/secret-resource-pool",
    "/v1/security-machine",
    "/v1/snmp",
    "/v1/sns/application-endpoints",
    "/v1/sns/application-platforms",
    "/v1/ssh-key-pair",
    "/v1/ssh-key-pairs",
    "/v1/sso",
    "/v1/storage-devices",
    "/v1/system-tags",
    "/v1/vcenters",
    "/v1/vm-instances/scripts",
    "/v1/vm-instances/{uuid}/console-passwords",
    "/v1/vm-instances/{uuid}/ssh-keys",
    "/v1/vm-instances/{uuid}/vnc-url",
    "/v1/web-hooks",
    "/v1/webhooks",
];

/// Calls elsewhere whose answers may carry such.
const MATERIAL_CALLS: [&str; 26] = [
    "GET /v1/vm-instances/{uuid}/console-screenshot",
    "GET /v1/vm-instances/{uuid}/xml",
    "GET /v1/vm-instances/{uuid}/xml-hook",
    "GET /v1/zwatch/auditdata",
    "GET /v1/zwatch/audits",
    "POST /v1/hosts/esx",
    "POST /v1/hosts/kvm",
    "POST /v1/hosts/kvm/config-file",
    "POST /v1/hosts/kvm/from-file",
    "POST /v1/vm-instances",
    "attachGuestToolsIsoToVm",
    "batchCreateVmInstances",
    "changeBareMetal2InstancePassword",
    "changeHostPassword",
    "changeVmPassword",
    "cloneVmInstance",
    "createIAM2ProjectFromTemplate",
    "executeGuestVmScript",
    "setVmConsolePassword",
    "setVmHostname",
    "setVmSshKey",
    "setVmUserDefinedXml",
    "takeVmConsoleScreenshot",
    "updateHostIpmi",
    "updateKVMHost",
    "updateVmUserDefinedXml",
];

/// Actions that change nothing.
pub(super) const READING_ACTIONS: [&str; 11] = [
    "calculateAccountSpending",
    "checkApiPermission",
    "checkVipPortAvailability",
    "getCurrentTime",
    "getEventData",
    "getManagementNodeArch",
    "getManagementNodeOS",
    "getUploadImageJobDetails",
    "getVersion",
    "getVmInstanceFirstBootDevice",
    "getVolumeSnapshotSize",
];

/// By the path's template and the operation's name. Letter case does not count: what no table knows shall not be
/// harmless for its spelling.
pub(super) fn of_call(method: &str, path: &str, name: &str) -> Tier {
    let path = path.trim_end_matches('/');
    let below = |root: &&str| {
        path.get(..root.len()).is_some_and(|head| head.eq_ignore_ascii_case(root))
            && matches!(path.as_bytes().get(root.len()), None | Some(b'/'))
    };
    let named = |list: &[&str]| list.iter().any(|call| call.eq_ignore_ascii_case(name));
    let mut segments = path.split('/');
    let logs_in = segments.any(|segment| segment.eq_ignore_ascii_case("login"))
        || (method == "PUT" && name.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case("login")));
    if logs_in || KEY_PATHS.iter().any(below) || named(&KEY_CALLS) {
        Tier::Keys
    } else if MATERIAL_PATHS.iter().any(below) || named(&MATERIAL_CALLS) {
        Tier::Material
    } else {
        Tier::None
    }
}

/// Words in the names of fields that no condition may be put on: a query that answers how many passwords begin with
/// `a` answers the password in the end.
const SECRET_WORDS: [&str; 8] =
    ["password", "passwd", "secret", "privatekey", "passphrase", "token", "credential", "apikey"];

/// By the fields that a query names: conditions (`q`), and what is asked for, grouped or sorted by, across joins.
pub(super) fn of_query(query: &[Parameter]) -> Tier {
    let mut tier = Tier::None;
    for parameter in query {
        let name = String::from_utf8_lossy(&parameter.name).to_ascii_lowercase();
        let value = String::from_utf8_lossy(parameter.value.as_deref().unwrap_or_default());
        // Lists may come as `q.0`, `q.1` (`RestServer.normalizeCollectionParameters`).
        let paths: Vec<&str> = match name.split('.').next().unwrap_or_default() {
            "q" | "conditions" => {
                let end = value.find(['=', '!', '>', '<', '~', '?']).unwrap_or(value.len());
                let field = value[..end].trim();
                vec![field.split_whitespace().next().unwrap_or_default()]
            }
            "fields" | "groupby" | "sort" | "sortby" => {
                value.split(|c: char| c == ',' || c.is_whitespace()).collect()
            }
            "filtername" | "having" => vec![&*value],
            _ => continue,
        };
        tier = paths.into_iter().map(of_field).fold(tier, Tier::max);
    }
    tier
}

/// By the last part of a path such as `vmNics.eip.name`.
fn of_field(path: &str) -> Tier {
    let field = path.trim_matches(['+', '-', '"', '\'', '[', ']']).rsplit('.').next().unwrap_or_default();
    let field = field.to_ascii_lowercase().replace('_', "");
    if SECRET_WORDS.iter().any(|word| field.contains(word)) {
        Tier::Keys
    } else if field == "systemtag" || field == "usertag" {
        Tier::Material
    } else {
        Tier::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::parameters;

    #[test]
    fn the_lists_stand_once() {
        for list in [KEY_PATHS.as_slice(), &KEY_CALLS, &MATERIAL_PATHS, &MATERIAL_CALLS, &READING_ACTIONS] {
            for (index, name) in list.iter().enumerate() {
                assert!(!list[..index].contains(name), "{name}");
            }
        }
    }

    #[test]
    fn fields_with_secrets_are_not_asked_about() {
        for (query, tier) in [
            ("q=name%3Dpassword", Tier::None),
            ("q=uuid%3F%3Da,b&limit=10&sort=%2Bname&fields=uuid,name", Tier::None),
            ("q=password%7E%3Da%25", Tier::Keys),
            ("q=account.users.password%21%3Dx", Tier::Keys),
            ("q=AccessKeySecret%20is%20null", Tier::Keys),
            ("q=%20accessKeySecret%20%3E%20a", Tier::Keys),
            ("q.0=secretKey%3C%3Da", Tier::Keys),
            ("Q=password%3Da", Tier::Keys),
            ("q=password%21%7E%3Da", Tier::Keys),
            ("q=password%3F%3Da", Tier::Keys),
            ("fields=uuid,password", Tier::Keys),
            ("groupBy=host.password", Tier::Keys),
            ("sort=-password", Tier::Keys),
            ("sort=+password", Tier::Keys),
            ("q=__systemTag__%7E%3DconsolePassword%3A%3A1%25", Tier::Material),
            ("name=password", Tier::None),
        ] {
            assert_eq!(of_query(&parameters(query, 9).unwrap_or_default()), tier, "{query}");
        }
    }

    #[test]
    fn what_is_below_a_path_is_not_what_begins_like_it() {
        assert_eq!(of_call("GET", "/v1/accesskeys/x/y", ""), Tier::Keys);
        assert_eq!(of_call("GET", "/v1/AccessKeys", ""), Tier::Keys);
        assert_eq!(of_call("GET", "/v1/accesskeysx", ""), Tier::None);
        assert_eq!(of_call("DELETE", "/v1/new/login/way", ""), Tier::Keys);
        assert_eq!(of_call("PUT", "/v1/x/actions", "LoginByMagic"), Tier::Keys);
        assert_eq!(of_call("GET", "/v1/kms/", ""), Tier::Material);
    }
}
