//! Switches of a route that stand beside its signing: `wait` and `hand-over`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::table::{Field, Findings, Table};
use crate::config::{HandOver, Shape, Wait, WaitWhen};

use super::upstream;

/// Below a second nothing has been polled yet; beyond an hour no caller's connection lives.
const WAIT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Below this a redirect costs more than it saves.
const HAND_OVER_FROM: u64 = 8 << 20;

/// `wait` and `wait-by-default`.
pub(super) fn wait(table: &mut Table<'_>, shape: Option<&Shape>, findings: &mut Findings) -> Option<Wait> {
    let longest_field = table.optional(findings, "wait");
    let default_field = table.optional(findings, "wait-by-default");
    let longest = longest_field.as_ref().map(|field| field.duration(findings, WAIT));
    let by_default = default_field.as_ref().and_then(|field| field.boolean(findings));
    let has_jobs = shape.is_none_or(|shape| matches!(shape, Shape::Cloudstack { .. } | Shape::Zstack));
    if let (Some(field), false) = (longest_field.as_ref().or(default_field.as_ref()), has_jobs) {
        let problem = field.problem(format!("`{}` is for CloudStack and ZStack routes only", field.path));
        findings.push(problem.help("no other scheme has jobs to wait for; remove the key"));
        return None;
    }
    if let (Some(field), None) = (&default_field, &longest_field) {
        let problem = field.problem(format!("`{}` needs `wait`", field.path));
        findings.push(problem.help("say how long at most, like `wait = \"120s\"`"));
    }
    let when = if by_default == Some(true) { WaitWhen::Always } else { WaitWhen::Asked };
    longest.flatten().map(|longest| Wait { longest, when })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Off,
    Redirect,
}

/// `hand-over` and `hand-over-from`.
pub(super) fn hand_over(
    table: &mut Table<'_>,
    shape: Option<&Shape>,
    upstream: Option<&upstream::Read>,
    findings: &mut Findings,
) -> Option<HandOver> {
    let field = table.optional(findings, "hand-over");
    let from_field = table.optional(findings, "hand-over-from");
    let rules = [("off", Rule::Off), ("redirect", Rule::Redirect)];
    let rule = field.as_ref().map(|field| field.one_of(findings, &rules));
    let from = from_field.as_ref().and_then(|field| {
        let from = field.size(findings)?;
        if from == 0 {
            findings.push(field.problem(format!("`{}` must be at least 1 byte", field.path)));
        }
        Some(from)
    });
    let is_s3 = shape.is_none_or(|shape| matches!(shape, Shape::S3 { .. }));
    if let (Some(field), false) = (field.as_ref().or(from_field.as_ref()), is_s3) {
        let problem = field.problem(format!("`{}` is for S3 routes only", field.path));
        findings.push(problem.help("only objects are handed over; remove the key"));
        return None;
    }
    if let (Some(field), None | Some(Some(Rule::Off))) = (&from_field, rule) {
        let problem = field.problem(format!("`{}` belongs to `hand-over = \"redirect\"` only", field.path));
        findings.push(problem.help("add that, or remove the key"));
    }
    if rule.flatten() != Some(Rule::Redirect) {
        return None;
    }
    refuse_exposed(field.as_ref(), upstream, findings);
    Some(HandOver { from: from.unwrap_or(HAND_OVER_FROM) })
}

fn refuse_exposed(field: Option<&Field<'_>>, upstream: Option<&upstream::Read>, findings: &mut Findings) {
    if let (Some(field), Some(upstream::Read { exposed: true, .. })) = (field, upstream) {
        let message = "a presigned URL over plain http is anybody's who sees it on its way";
        findings.push(field.problem(message).help("use https, or remove the key"));
    }
}
