//! Which CloudStack commands only read, by the server's own rule.

/// Commands that read though their names do not say so (`ApiServlet`, the exceptions of
/// `enforce.post.requests.and.timestamps`).
const READS: [&str; 9] = [
    "isaccountallowedtocreateofferingswithtags",
    "readyforshutdown",
    "cloudianisenabled",
    "quotabalance",
    "quotasummary",
    "quotatarifflist",
    "quotaisenabled",
    "quotastatement",
    "verifyoauthcodeandgetuser",
];

/// Whether a command may come by GET under `enforce.post.requests.and.timestamps`: `^(get|list|query|find)\w+$`
/// without regard to letter case, and a short list (`ApiServlet.isStateChangingCommandNotUsingPOST`).
pub fn is_read_command(command: &str) -> bool {
    let by_name = ["get", "list", "query", "find"].iter().any(|verb| {
        command.split_at_checked(verb.len()).is_some_and(|(head, rest)| {
            head.eq_ignore_ascii_case(verb)
                && !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
    });
    by_name || READS.iter().any(|read| command.eq_ignore_ascii_case(read))
}

#[cfg(test)]
mod tests {
    use super::is_read_command;

    #[test]
    fn the_servers_rule() {
        for read in
            ["listUsers", "LISTusers", "queryAsyncJobResult", "getVMPassword", "findHostsForMigration"]
        {
            assert!(is_read_command(read), "{read}");
        }
        for read in ["quotaSummary", "readyForShutdown", "verifyOAuthCodeAndGetUser"] {
            assert!(is_read_command(read), "{read}");
        }
        for change in
            ["", "list", "get", "deployVirtualMachine", "destroyX", "list-users", "listé", "relist", "listA "]
        {
            assert!(!is_read_command(change), "{change}");
        }
    }
}
