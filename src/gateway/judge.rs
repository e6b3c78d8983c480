//! Policy, asked about a call: the decision goes into the record, a refusal to the caller.

use crate::audit::Record;
use crate::config::Enforcement;
use crate::operation::{Operation, Tier};
use crate::policy::{self, By, Cause, Decision, Verdict, learn};
use crate::reason::{Reason, Refused};
use crate::snapshot::{Grant, Route};

/// Judges what a call asks for, before anything of it is sent.
pub(super) fn judge(
    route: &Route,
    client: Option<&Grant>,
    operation: &Operation,
    record: &mut Record,
) -> Result<(), Reason> {
    let decision = decide(route, client, operation);
    record.operation = operation.label();
    record.decision = decision.word();
    record.rule = decision.rule.clone();
    record.resource.clone_from(&decision.ask.resource);
    if route.enforcement == Enforcement::Learn && decision.verdict != Verdict::Deny {
        record.asks = learn::Learnt::from_call(operation);
    }
    refusal(&decision, &route.name, &record.client).map_or(Ok(()), Err)
}

/// The decision alone.
pub(super) fn decide<'o>(route: &Route, client: Option<&Grant>, operation: &'o Operation) -> Decision<'o> {
    let client = client.map(|grant| &grant.policy);
    policy::judge(&route.grant.policy, client, route.secrets, route.enforcement, operation)
}

/// What the caller is told by a route of this name to a client of this name; nothing when the call passes.
pub(super) fn refusal(decision: &Decision<'_>, route: &str, client: &str) -> Option<Reason> {
    let cause = decision.cause.filter(|_| decision.verdict == Verdict::Deny)?;
    let refused = Box::new(Refused {
        operation: decision.ask.name.to_string(),
        resource: decision.ask.resource.clone(),
        rule: decision.rule.clone(),
        holder: match decision.by {
            By::Route => format!("route `{route}`"),
            By::Client => format!("client `{client}`"),
        },
    });
    Some(match cause {
        Cause::Denied => Reason::OperationDenied(refused),
        Cause::Secrets(Tier::Keys) => Reason::KeysDenied(refused),
        Cause::Secrets(Tier::Material | Tier::None) => Reason::MaterialDenied(refused),
        Cause::ReadOnly => Reason::ReadOnly(refused),
        Cause::NotAllowed => Reason::OperationNotAllowed(refused),
    })
}
