//! Numbers of users and groups that mean one user or group.
//!
//! In a user namespace that does not map everybody, the kernel reports all others by one overflow number
//! (`user_namespaces(7)`), which is also that of the real `nobody` and `nogroup`: there, it names nobody in particular.

use std::fs::read_to_string;
use std::sync::OnceLock;

/// The user of this number, unless it may be any.
pub fn user(id: u32) -> Option<u32> {
    static OVERFLOW: OnceLock<Option<u32>> = OnceLock::new();
    let overflow = OVERFLOW.get_or_init(|| read("/proc/self/uid_map", "/proc/sys/kernel/overflowuid"));
    unless(*overflow, id)
}

/// The group of this number, unless it may be any.
pub fn group(id: u32) -> Option<u32> {
    static OVERFLOW: OnceLock<Option<u32>> = OnceLock::new();
    let overflow = OVERFLOW.get_or_init(|| read("/proc/self/gid_map", "/proc/sys/kernel/overflowgid"));
    unless(*overflow, id)
}

/// The largest number is the kernel's own word for "none".
fn unless(overflow: Option<u32>, id: u32) -> Option<u32> {
    (overflow != Some(id) && id != u32::MAX).then_some(id)
}

fn read(map: &str, overflow: &str) -> Option<u32> {
    standing_for_others(
        &read_to_string(map).unwrap_or_default(),
        &read_to_string(overflow).unwrap_or_default(),
    )
}

/// The number that stands for all that are not mapped, unless `map` leaves none out.
fn standing_for_others(map: &str, overflow: &str) -> Option<u32> {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    let mapped: u64 = map.lines().filter_map(count).sum();
    (mapped < u64::from(u32::MAX)).then(|| overflow.trim().parse().unwrap_or(65534))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmapped_users_are_nobody_in_particular() {
        assert_eq!(standing_for_others("         0          0 4294967295\n", "65534\n"), None);
        assert_eq!(standing_for_others("0 100000 65536\n", "65534\n"), Some(65534));
        assert_eq!(standing_for_others("0 1000 1\n1 100000 65535\n", "12\n"), Some(12));
        assert_eq!(standing_for_others("", ""), Some(65534));
        assert_eq!(unless(Some(65534), 65534), None);
        assert_eq!(unless(None, 65534), Some(65534));
        assert_eq!(unless(Some(65534), 0), Some(0));
        assert_eq!(unless(None, u32::MAX), None);
    }
}
