//! `rate` and `concurrency`: whether a call may begin now.

use std::time::Duration;

use crate::reason::Reason;
use crate::snapshot::quota::{InFlight, Quota};

/// The places that a call takes until its last byte: the route's and the client's.
pub(super) type Places = (InFlight, Option<InFlight>);

/// Takes places for a call, and one request from each rate. Places are taken first, since they can be given back; of
/// the rates the client's own comes first, so that whoever exceeds it takes nothing from others on the route.
pub(super) fn begin(route: &Quota, client: Option<&Quota>) -> Result<Places, Reason> {
    let begun = |quota: &Quota| quota.begin().ok_or(Reason::ConcurrencyLimited);
    let places = (begun(route)?, client.map(begun).transpose()?);
    for quota in client.into_iter().chain([route]) {
        quota.pace().map_err(|wait| Reason::RateLimited(seconds(wait)))?;
    }
    Ok(places)
}

/// Whole seconds, at least one: what `Retry-After` can say.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.as_secs() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_whole_seconds() {
        for (milliseconds, whole) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), whole, "{milliseconds}");
        }
    }
}
