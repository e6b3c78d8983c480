//! What a connection must tell for a client to be behind it: `from`, `unix-user`, `unix-group`, `certificate`.
//!
//! What is not known of a connection holds no condition.

use ipnet::IpNet;

use super::account;
use crate::caller::{Peer, is_within};
use crate::config;

/// The conditions of one client, all of which must hold; none at all hold for anyone.
pub(super) struct Conditions {
    from: Vec<IpNet>,
    user: Option<Account>,
    group: Option<Account>,
    certificate: Option<String>,
}

/// A user or group of this machine.
#[derive(Clone, Copy)]
enum Account {
    Id(u32),
    /// The account database does not know the name: nobody is it.
    Unknown,
}

impl Account {
    fn is(self, holds: impl FnOnce(u32) -> bool) -> bool {
        matches!(self, Self::Id(id) if holds(id))
    }
}

impl Conditions {
    /// Prepares a client's conditions; names of accounts are looked up now.
    pub(super) fn new(client: &config::Client) -> Self {
        let config::Conditions { from, unix_user, unix_group, certificate, .. } = &client.conditions;
        let account = |found: Option<u32>| found.map_or(Account::Unknown, Account::Id);
        Self {
            from: from.clone(),
            user: unix_user.as_ref().map(|name| account(account::user_id(name))),
            group: unix_group.as_ref().map(|name| account(account::group_id(name))),
            certificate: certificate.clone(),
        }
    }

    /// `user` or `group`, where the account database does not know it.
    pub(super) fn unknown(&self) -> Option<&'static str> {
        let unknown = |account: Option<Account>| matches!(account, Some(Account::Unknown));
        if unknown(self.user) {
            return Some("user");
        }
        unknown(self.group).then_some("group")
    }

    /// The first condition that does not hold, as the configuration names it.
    pub(super) fn failing(&self, peer: &Peer) -> Option<&'static str> {
        let from = self.from.is_empty() || peer.address.is_some_and(|ip| is_within(&self.from, ip));
        let user = self.user.is_none_or(|user| user.is(|id| peer.user == Some(id)));
        let group = self.group.is_none_or(|group| group.is(|id| peer.is_in_group(id)));
        let certificate = self.certificate.as_ref();
        let certificate = certificate.is_none_or(|name| peer.names.iter().any(|known| known == name));
        [("certificate", certificate), ("unix-user", user), ("unix-group", group), ("from", from)]
            .into_iter()
            .find_map(|(name, holds)| (!holds).then_some(name))
    }

    /// The strongest of these conditions, as the configuration names it; empty when there are none.
    pub(super) fn strongest(&self) -> &'static str {
        let stated = [
            ("certificate", self.certificate.is_some()),
            ("unix-user", self.user.is_some()),
            ("unix-group", self.group.is_some()),
            ("from", !self.from.is_empty()),
        ];
        stated.into_iter().find_map(|(name, stated)| stated.then_some(name)).unwrap_or_default()
    }
}
