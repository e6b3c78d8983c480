//! Users and groups of this machine, by name or number, as its account database has them (`nsswitch.conf(5)`: files,
//! LDAP, systemd, …).
//!
//! Every look-up may wait for a service elsewhere: none is made on a worker's thread. Nothing here decides anything.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// The number of a user, given its name or the number itself; `None` when there is no such user.
pub fn user_id(name_or_number: &str) -> Option<u32> {
    match number(name_or_number) {
        Some(number) => number,
        None => User::from_name(name_or_number).ok()?.map(|user| user.uid.as_raw()),
    }
}

/// The number of a group, given its name or the number itself; `None` when there is no such group.
pub fn group_id(name_or_number: &str) -> Option<u32> {
    match number(name_or_number) {
        Some(number) => number,
        None => Group::from_name(name_or_number).ok()?.map(|group| group.gid.as_raw()),
    }
}

/// A text of digits is a number, and one that names nobody when it is too large or the one that the kernel takes for
/// "none" (-1).
#[allow(clippy::option_option, reason = "whether it is a number, and which")]
fn number(text: &str) -> Option<Option<u32>> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok().filter(|number| *number != u32::MAX))
}

/// The groups of a user: its primary one and those that list it. Empty when the database does not know the user, or
/// cannot be asked.
pub fn groups(user: u32) -> Vec<u32> {
    groups_within(user).unwrap_or_default()
}

fn groups_within(user: u32) -> Option<Vec<u32>> {
    let user = User::from_uid(Uid::from_raw(user)).ok()??;
    let name = CString::new(user.name).ok()?;
    Some(getgrouplist(&name, user.gid).ok()?.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_both_taken() {
        assert_eq!(user_id("root"), Some(0));
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(user_id("1234567"), Some(1_234_567), "a number needs no entry");
        assert_eq!(group_id("007"), Some(7));
        for bad in [
            "",
            "no such user",
            "4294967295",
            "4294967296",
            "-1",
            "+1",
            "1 ",
            "root\0",
            "99999999999999999999",
        ] {
            assert_eq!((user_id(bad), group_id(bad)), (None, None), "{bad:?}");
        }
    }

    #[test]
    fn membership_is_what_the_database_says() {
        // `id` asks the same database by its own code.
        let told = |user: &str| {
            let output = std::process::Command::new("id").args(["-G", user]).output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let mut groups: Vec<u32> =
                text.unwrap_or_default().split_whitespace().filter_map(|group| group.parse().ok()).collect();
            groups.sort_unstable();
            groups
        };
        let mut compared = 0;
        for name in ["root", "daemon", "bin", "nobody", "backup", "www-data"] {
            let Some(user) = user_id(name) else { continue };
            let expected = told(name);
            if expected.is_empty() {
                continue;
            }
            let mut found = groups(user);
            found.sort_unstable();
            assert_eq!(found, expected, "{name}");
            compared += 1;
        }
        assert!(compared > 0, "no user to compare");
        assert_eq!(groups(3_999_999_999), Vec::<u32>::new());
    }
}
