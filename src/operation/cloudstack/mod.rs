//! CloudStack: the operation is the command itself.

mod commands;

use std::borrow::Cow;

use super::{Access, Ask, Operation, Tier};
use crate::sign::cloudstack::is_read_command;
use commands::{CHANGES, COMMANDS, KEYS, MATERIAL};

/// Names the call of a `command`. Known is what the server's own list spells so; anything else keeps its name.
pub fn cloudstack(command: &str) -> Operation {
    let (name, access) = match COMMANDS.binary_search(&command) {
        Ok(at) => (Cow::Borrowed(COMMANDS[at]), access(COMMANDS[at])),
        Err(_) => (Cow::Owned(command.to_owned()), Access::Unknown),
    };
    Operation::new(Ask::new(name, ""), access, tier(command))
}

fn access(command: &str) -> Access {
    if is_read_command(command) && !CHANGES.contains(&command) { Access::Read } else { Access::Write }
}

/// Without regard to letter case: the server looks log-in commands up so (`APIAuthenticationManagerImpl`).
fn tier(command: &str) -> Tier {
    let is_in = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(command));
    match command {
        _ if is_in(&KEYS) => Tier::Keys,
        _ if is_in(&MATERIAL) => Tier::Material,
        _ => Tier::None,
    }
}

pub(super) fn secret_bearing() -> impl Iterator<Item = (Cow<'static, str>, Tier)> {
    let of = |tier| move |name: &&'static str| (Cow::Borrowed(*name), tier);
    KEYS.iter().map(of(Tier::Keys)).chain(MATERIAL.iter().map(of(Tier::Material)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_spelled_as_the_commands() {
        for list in [COMMANDS.as_slice(), &CHANGES, &KEYS, &MATERIAL] {
            assert!(list.is_sorted_by(|a, b| a < b));
            for name in list {
                assert!(COMMANDS.contains(name), "{name}");
            }
        }
        assert!(!KEYS.iter().any(|name| MATERIAL.contains(name)));
        assert!(COMMANDS.len() > 700);
    }

    #[test]
    fn commands_are_known_by_their_exact_spelling() {
        for (command, access, tier) in [
            ("listZones", Access::Read, Tier::None),
            ("deployVirtualMachine", Access::Write, Tier::Material),
            ("getVMPassword", Access::Read, Tier::Material),
            ("getUploadParamsForIso", Access::Write, Tier::Material),
            ("quotaSummary", Access::Read, Tier::None),
            ("queryAsyncJobResult", Access::Read, Tier::Material),
            ("getUserKeys", Access::Read, Tier::Keys),
            ("registerUserKeys", Access::Write, Tier::Keys),
            ("REGISTERUSERKEYS", Access::Unknown, Tier::Keys),
            ("LogIn", Access::Unknown, Tier::Keys),
            ("listzones", Access::Unknown, Tier::None),
            ("listNewThings", Access::Unknown, Tier::None),
            ("list Zones", Access::Unknown, Tier::None),
        ] {
            let operation = cloudstack(command);
            assert_eq!((operation.access, operation.tier), (access, tier), "{command}");
            assert_eq!((&*operation.ask.name, operation.ask.alias), (command, None));
        }
    }
}
