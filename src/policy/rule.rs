//! One entry of `allow` or `deny`, prepared, and whether it speaks of what is asked for.
//!
//! The two are not opposites. An `allow` rule must cover all that is asked for; a `deny` rule matches where it
//! touches any of it. What is in doubt is thereby refused, whichever way a rule is meant.

use std::borrow::Cow;
use std::sync::Arc;

use super::glob::{Case, Glob};
use crate::config::{self, Selector};
use crate::operation::{Access, Ask, Operation, Tier};

/// A prepared rule.
pub(super) struct Rule {
    /// As it stands in the file.
    pub(super) text: Arc<str>,
    operations: Operations,
    /// Absent: any, and calls without one.
    resource: Option<Glob>,
}

enum Operations {
    Glob(Glob),
    Read,
    Write,
    Tier(Tier),
}

/// One thing that is asked for, as rules look at it.
pub(super) struct Subject<'o> {
    /// Name and resource.
    pub(super) ask: &'o Ask,
    access: Access,
    tier: Tier,
}

/// Calls that show the names of what is in a bucket, below a prefix if one is given: their resource is
/// `bucket/prefix` (S3's `ListObjects`, `ListObjectVersions`, `ListMultipartUploads`).
const LISTINGS: [&str; 3] = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"];
/// Authorised as a listing, and shows no name.
const HEAD_BUCKET: &str = "s3:HeadBucket";

/// Whether calls of this name are listings.
pub(super) fn is_listing(name: &str) -> bool {
    LISTINGS.contains(&name)
}

impl<'o> Subject<'o> {
    /// The call itself.
    pub(super) fn call(operation: &'o Operation) -> Self {
        Self { ask: &operation.ask, access: operation.access, tier: operation.tier }
    }

    /// What body and headers ask for beside the call. A read asks for reads only; in a call that changes something,
    /// IAM's names tell the reads (the source of a copy) from the rest.
    pub(super) fn further(operation: &'o Operation) -> impl Iterator<Item = Self> {
        operation.further.iter().map(|ask| {
            let action = ask.name.split_once(':').map_or(&*ask.name, |(_, action)| action);
            let reads = action.starts_with("Get") || action.starts_with("List");
            Self { ask, access: if reads { Access::Read } else { operation.access }, tier: Tier::None }
        })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        [&*self.ask.name].into_iter().chain(self.ask.alias)
    }

    fn is_listing(&self) -> bool {
        is_listing(&self.ask.name) && self.ask.alias != Some(HEAD_BUCKET)
    }

    /// An empty prefix or key is none.
    fn resource(&self) -> &str {
        let resource = self.ask.resource.as_str();
        resource.strip_suffix('/').filter(|bucket| !bucket.contains('/')).unwrap_or(resource)
    }
}

impl Rule {
    pub(super) fn new(rule: &config::Rule) -> Self {
        let operations = match &rule.selector {
            Selector::Glob(glob) => Operations::Glob(Glob::new(glob, Case::Ignored)),
            Selector::Read => Operations::Read,
            Selector::Write => Operations::Write,
            Selector::Keys => Operations::Tier(Tier::Keys),
            Selector::Material => Operations::Tier(Tier::Material),
        };
        let resource = rule.resource.as_deref().map(|glob| Glob::new(glob, Case::Sensitive));
        Self { text: rule.text.as_str().into(), operations, resource: resource.filter(|glob| !glob.is_any()) }
    }

    /// Whether the rule admits all of this. What no table knows is admitted by its own full name or by the lone `*`
    /// only: not by a pattern or a set that was written with other operations in mind.
    pub(super) fn allows(&self, subject: &Subject<'_>) -> bool {
        let known = subject.access != Access::Unknown;
        let operation = match &self.operations {
            Operations::Glob(glob) => {
                (known || glob.is_exact() || glob.is_any()) && subject.names().any(|name| glob.matches(name))
            }
            Operations::Read => subject.access == Access::Read,
            Operations::Write => subject.access == Access::Write,
            Operations::Tier(tier) => known && subject.tier == *tier,
        };
        operation && self.resource.as_ref().is_none_or(|glob| covers(glob, subject))
    }

    /// Whether the rule forbids any of this.
    pub(super) fn denies(&self, subject: &Subject<'_>) -> bool {
        let operation = match &self.operations {
            Operations::Glob(glob) => subject.names().any(|name| glob.matches(name) || is_bare(glob, name)),
            Operations::Read => subject.access == Access::Read,
            Operations::Write => subject.access != Access::Read,
            Operations::Tier(tier) => subject.tier == *tier,
        };
        operation && self.resource.as_ref().is_none_or(|glob| touches(glob, subject))
    }
}

/// `DeleteObject` for `s3:DeleteObject`: a ban that was meant for it must not be void.
fn is_bare(glob: &Glob, name: &str) -> bool {
    glob.is_exact() && name.split_once(':').is_some_and(|(_, action)| glob.matches(action))
}

/// Whether a pattern stands for the whole resource. A pattern without `/` names buckets, and a bucket's listings.
fn covers(glob: &Glob, subject: &Subject<'_>) -> bool {
    let resource = subject.resource();
    let bucket = resource.split_once('/').map_or(resource, |(bucket, _)| bucket);
    let listed = subject.is_listing() && glob.matches(bucket);
    !resource.is_empty() && (listed || glob.matches(resource))
}

/// Whether a pattern stands for anything of the resource: a denied bucket is denied with all that is in it, `logs/*`
/// denies what is done to `logs`, and a listing is about every name that it could show.
fn touches(glob: &Glob, subject: &Subject<'_>) -> bool {
    let resource = subject.resource();
    if resource.is_empty() {
        return false;
    }
    let (bucket, below) = match resource.split_once('/') {
        Some((bucket, _)) => (bucket, Cow::Borrowed(resource)),
        None => (resource, format!("{resource}/").into()),
    };
    let shown = subject.is_listing() && glob.matches_some_beginning_with(&below);
    glob.matches(bucket) || shown || glob.matches(&below)
}
