//! Policy, asked about a call: the decision goes into the record, a refusal to the caller.

use http::HeaderMap;

use crate::audit::Record;
use crate::audit::parameters::Hasher;
use crate::config::Enforcement;
use crate::operation::{Access, Operation, Tier};
use crate::policy::{self, By, Cause, Decision, Verdict, learn};
use crate::reason::{Reason, Refused};
use crate::snapshot::{Grant, Route};

use super::watch::family;

/// What judges a call, and notes it in the record on the way.
pub(super) struct Desk<'d> {
    /// The call's route.
    pub(super) route: &'d Route,
    /// What the client may do, where one was told.
    pub(super) client: Option<&'d Grant>,
    /// Stands for values that are not shown.
    pub(super) hasher: &'d Hasher,
    /// What is known of the call.
    pub(super) record: &'d mut Record,
    /// An empty map, for the headers of what is rebuilt.
    pub(super) headers: HeaderMap,
}

impl Desk<'_> {
    /// Notes the call's parameters, decoded; before the call is judged, so that refused calls have theirs too.
    pub(super) fn note<'p>(&mut self, pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>) {
        self.record.parameters.note(family(self.route), pairs, self.hasher);
    }

    /// Judges what the call asks for, before anything of it is sent.
    pub(super) fn judge(&mut self, operation: &Operation) -> Result<(), Reason> {
        let decision = decide(self.route, self.client, operation);
        let record = &mut *self.record;
        operation.label().clone_into(&mut record.operation);
        operation.call_label().clone_into(&mut record.call);
        record.read_only = operation.access == Access::Read;
        record.decision = Some(decision.verdict);
        record.rule = Some(decision.rule.clone());
        record.is_about(&decision.ask.resource);
        let others = operation.asks().map(|ask| &ask.resource);
        for other in others.filter(|resource| !resource.is_empty()) {
            // Their count is bounded by the length of the body that names them.
            if *other != record.resources[0] {
                record.resources.push(other.clone());
            }
        }
        if self.route.enforcement == Enforcement::Learn && decision.verdict != Verdict::Deny {
            record.asks = learn::Learnt::from_call(operation);
        }
        refusal(&decision, &self.route.name, record.who.name()).map_or(Ok(()), Err)
    }
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
