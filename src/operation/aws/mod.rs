//! AWS services and those that speak like them: `service:Action`.
//!
//! The action stands in one of four places: `Action` of the query, `Action` of a form, the last part of
//! `x-amz-target`, or the path of Smithy's RPC protocol. A request that names it in two places is refused, for nobody
//! here knows which one the service believes. REST services name none: theirs is `service:METHOD /path`, which no table
//! knows.

mod secrets;

use std::borrow::Cow;

use http::HeaderMap;

use super::{Access, Ask, Operation, Tier};
use crate::reason::Reason;
use crate::target::Parameter;
use secrets::{KEYS, MATERIAL};

/// A rebuilt request to an AWS service.
pub struct Call<'r> {
    /// The service that the route signs for.
    pub service: &'r str,
    /// The method.
    pub method: &'r str,
    /// The strictly encoded path as it is sent.
    pub path: &'r str,
    /// The decoded query.
    pub query: &'r [Parameter],
    /// The decoded fields of a form body; empty when the body is none.
    pub form: &'r [Parameter],
    /// Whether there is a body that is no form.
    pub other_body: bool,
    /// The headers as they are sent.
    pub headers: &'r HeaderMap,
}

/// Names the call.
pub fn aws(call: &Call<'_>) -> Result<Operation, Reason> {
    let service = call.service;
    let rest = || format!("{service}:{} {}", call.method, call.path);
    let in_query = action(call.query)?;
    let in_form = action(call.form)?;
    if in_query.is_some() && in_form.is_some() {
        return Err(Reason::BadParameter("Action".into(), "it stands in the query and in the form"));
    }
    let target = target(call.headers)?;
    let in_path = rpc(call.path);
    let by_parameter = in_query.as_ref().or(in_form.as_ref());
    if let (Some(action), Some(target)) = (by_parameter, target)
        && action != target
    {
        return Err(Reason::BadHeader("x-amz-target".into(), "it names another call than `Action`"));
    }
    let named = by_parameter.map(|action| &**action).or(target);
    if let (Some(named), Some(in_path)) = (named, in_path)
        && named != in_path
    {
        return Err(Reason::BadPath("it names another call than `Action` or x-amz-target"));
    }
    let Some(action) = named.or(in_path) else {
        let tier = if deals_in_keys(service) { Tier::Keys } else { Tier::None };
        return Ok(Operation::new(Ask::new(rest(), ""), Access::Unknown, tier));
    };
    let mut operation = named_by(service, action);
    if in_query.is_some() && call.other_body {
        // Whether the service looks for an `Action` in such a body too, nobody here knows.
        operation.further.push(Ask::new(rest(), ""));
        operation.access = Access::Unknown;
    }
    Ok(operation)
}

/// A call of IAM, STS or SNS that an S3 server takes at its root (RADOS Gateway, `MinIO`): the action tells the
/// service. What no table knows could be about keys.
pub(super) fn at_root(parameters: &[&[Parameter]]) -> Result<Option<Operation>, Reason> {
    let mut found = None;
    for fields in parameters {
        if let Some(action) = action(fields)?
            && found.replace(action).is_some()
        {
            return Err(Reason::BadParameter("Action".into(), "it stands in the query and in the form"));
        }
    }
    let Some(action) = found else { return Ok(None) };
    let session = ["AssumeRole", "GetCallerIdentity", "GetSessionToken", "GetFederationToken"];
    let service = match &*action {
        name if session.iter().any(|call| name.starts_with(call)) => "sts",
        name if name.contains("Topic") || name.starts_with("Subscri") => "sns",
        _ => "iam",
    };
    Ok(Some(named_by(service, &action)))
}

/// The one `Action` among some fields.
fn action(fields: &[Parameter]) -> Result<Option<Cow<'_, str>>, Reason> {
    let mut actions = fields.iter().filter(|field| field.name == b"Action");
    let Some(action) = actions.next() else { return Ok(None) };
    if actions.next().is_some() {
        return Err(Reason::DuplicateParameter("Action".into()));
    }
    let value = String::from_utf8_lossy(action.value.as_deref().unwrap_or_default());
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Reason::BadParameter("Action".into(), "letters and digits only"));
    }
    Ok(Some(value))
}

/// `DynamoDB_20120810.GetItem` names `GetItem`.
fn target(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let bad = |why| Reason::BadHeader("x-amz-target".into(), why);
    let mut targets = headers.get_all("x-amz-target").iter();
    let Some(target) = targets.next() else { return Ok(None) };
    if targets.next().is_some() {
        return Err(bad("it stands more than once"));
    }
    let text = target.to_str().map_err(|_| bad("not plain text"))?;
    let action = text.rsplit('.').next().unwrap_or(text);
    if action.is_empty() || !action.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(bad("the name of a call is letters and digits only"));
    }
    Ok(Some(action))
}

/// `/service/NAME/operation/ACTION`, Smithy's RPC v2.
fn rpc(path: &str) -> Option<&str> {
    let (_, rest) = path.rsplit_once("/service/")?;
    let (service, action) = rest.split_once("/operation/")?;
    let plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (plain(service) && plain(action)).then_some(action)
}

fn named_by(service: &str, action: &str) -> Operation {
    let name = format!("{service}:{action}");
    let find = |list: &[&'static str]| list.iter().find(|known| known.eq_ignore_ascii_case(&name)).copied();
    let (known, tier) = match (find(&KEYS), find(&MATERIAL)) {
        (Some(known), _) => (Some(known), Tier::Keys),
        (None, Some(known)) => (Some(known), Tier::Material),
        (None, None) => (None, Tier::None),
    };
    let access = access(action);
    let tier = if access == Access::Unknown && deals_in_keys(service) { Tier::Keys } else { tier };
    let name = known.filter(|known| *known == name).map_or(Cow::Owned(name), Cow::Borrowed);
    Operation::new(Ask::new(name, ""), access, tier)
}

/// Services whose unknown calls are taken for ones that deal in keys.
fn deals_in_keys(service: &str) -> bool {
    ["iam", "sts", "sso", "sso-oauth", "signin"].contains(&service)
}

/// Verbs that begin the names of calls which change nothing.
const READS: [&str; 17] = [
    "BatchDescribe",
    "BatchGet",
    "Check",
    "Count",
    "Describe",
    "Estimate",
    "Filter",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Query",
    "Scan",
    "Search",
    "Select",
    "Simulate",
    "TransactGet",
];

/// Verbs that begin the names of calls which change something, or use a key.
#[rustfmt::skip]
const WRITES: [&str; 80] = [
    "Abort", "Accept", "Activate", "Add", "Admin", "Allocate", "Apply", "Approve", "Assign", "Associate", "Assume",
    "Attach", "Authorize", "BatchDelete", "BatchPut", "BatchUpdate", "BatchWrite", "Cancel", "Change", "Complete",
    "Confirm", "Copy", "Create", "Deactivate", "Decrypt", "Delete", "Deploy", "Deregister", "Derive", "Detach",
    "Disable", "Disassociate", "Enable", "Encrypt", "Execute", "Export", "Generate", "Import", "Initiate", "Invoke",
    "Merge", "Modify", "Move", "Pause", "Promote", "Publish", "Purchase", "Purge", "Put", "ReEncrypt", "Reboot",
    "Receive", "Register", "Reject", "Release", "Remove", "Replace", "Request", "Reset", "Restore", "Resume", "Revoke",
    "Rotate", "Run", "Schedule", "Send", "Set", "Sign", "Start", "Stop", "Submit", "Subscribe", "Tag", "Terminate",
    "TransactWrite", "Unassign", "Unsubscribe", "Untag", "Update", "Upload",
];

/// By the verb: AWS names calls so, and the word after it begins with a capital. Other verbs are unknown.
fn access(action: &str) -> Access {
    let begins = |verbs: &[&str]| {
        verbs.iter().any(|verb| {
            let rest = action.strip_prefix(verb);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
    };
    match action {
        _ if begins(&WRITES) => Access::Write,
        _ if begins(&READS) => Access::Read,
        _ => Access::Unknown,
    }
}

pub(super) fn secret_bearing() -> impl Iterator<Item = (Cow<'static, str>, Tier)> {
    let of = |tier| move |name: &&'static str| (Cow::Borrowed(*name), tier);
    KEYS.iter().map(of(Tier::Keys)).chain(MATERIAL.iter().map(of(Tier::Material)))
}

#[cfg(test)]
mod tests;
