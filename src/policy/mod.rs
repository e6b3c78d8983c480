//! Whether a caller may do what it asks for: rules, tiers of secrets, and what is only learnt.
//!
//! Pure: it judges names and resources, never a request. `docs/policy.md` says the same in the words of the
//! configuration.

mod decision;
mod glob;
pub mod learn;
mod rule;

use std::sync::Arc;

pub use decision::{By, Cause, Decision, Verdict};

use crate::config::{Enforcement, Rules, Secrets};
use crate::operation::{Access, Operation, Tier};
use rule::{Rule, Subject};

/// The rules of a route or of a client, prepared.
pub struct Policy {
    allow: Option<Vec<Rule>>,
    deny: Vec<Rule>,
    read_only: bool,
}

impl Policy {
    /// Prepares the rules of the configuration.
    pub fn new(rules: &Rules) -> Self {
        Self {
            allow: rules.allow.as_ref().map(|list| list.iter().map(Rule::new).collect()),
            deny: rules.deny.iter().map(Rule::new).collect(),
            read_only: rules.read_only,
        }
    }
}

/// Judges an operation by the rules of its route, and of the client where there is one; both must let it pass.
///
/// Entries of `deny` are looked at first, then the tiers of secrets, `read-only`, and last `allow`; each for the call
/// itself and for all that its body and headers ask for beside. Where `enforcement` is to learn, the last two refuse
/// nothing.
pub fn judge<'o>(
    route: &Policy,
    client: Option<&Policy>,
    secrets: Secrets,
    enforcement: Enforcement,
    operation: &'o Operation,
) -> Decision<'o> {
    let holders = || [(By::Route, Some(route)), (By::Client, client)];
    let holders = || holders().into_iter().filter_map(|(by, policy)| Some((by, policy?)));
    let refused = |cause, rule: &Arc<str>, by, ask| {
        let learnt =
            matches!(cause, Cause::ReadOnly | Cause::NotAllowed) && enforcement == Enforcement::Learn;
        let verdict = if learnt { Verdict::Learn } else { Verdict::Deny };
        Decision { verdict, cause: Some(cause), rule: rule.clone(), by, ask }
    };

    for (by, policy) in holders() {
        for subject in subjects(operation) {
            if let Some(rule) = policy.deny.iter().find(|rule| rule.denies(&subject)) {
                return refused(Cause::Denied, &rule.text, by, subject.ask);
            }
        }
    }
    if !passes(secrets, operation.tier) {
        return refused(Cause::Secrets(operation.tier), &"secrets".into(), By::Route, &operation.ask);
    }
    if operation.access != Access::Read
        && let Some((by, _)) = holders().find(|(_, policy)| policy.read_only)
    {
        return refused(Cause::ReadOnly, &"read-only".into(), by, &operation.ask);
    }
    let mut admitting: Option<(By, &Rule)> = None;
    for (by, policy) in holders() {
        let Some(allow) = &policy.allow else { continue };
        for subject in subjects(operation) {
            match allow.iter().find(|rule| rule.allows(&subject)) {
                None => return refused(Cause::NotAllowed, &"allow".into(), by, subject.ask),
                Some(rule) => admitting = admitting.or(Some((by, rule))),
            }
        }
    }
    let (by, rule) = match admitting {
        Some((by, rule)) => (by, rule.text.clone()),
        None => (By::Route, Arc::default()),
    };
    Decision { verdict: Verdict::Allow, cause: None, rule, by, ask: &operation.ask }
}

/// Whether a route's `secrets` let a tier pass. No rule opens a tier: this switch alone does, because it says too
/// what becomes of the answer.
fn passes(secrets: Secrets, tier: Tier) -> bool {
    match (tier, secrets) {
        (Tier::None, _) | (_, Secrets::Redact | Secrets::Allow) | (Tier::Material, Secrets::Default) => true,
        (Tier::Material | Tier::Keys, Secrets::Deny) | (Tier::Keys, Secrets::Default) => false,
    }
}

/// The call itself, and what its body and headers ask for beside.
fn subjects(operation: &Operation) -> impl Iterator<Item = Subject<'_>> {
    std::iter::once(Subject::call(operation)).chain(Subject::further(operation))
}
