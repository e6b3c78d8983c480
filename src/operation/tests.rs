#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn resources_are_text_that_no_two_keys_share() {
    for (bytes, shown) in [
        (&b"logs/a b"[..], "logs/a b"),
        ("\u{4e2d}/\u{fc}".as_bytes(), "\u{4e2d}/\u{fc}"),
        (b"100%", "100%25"),
        (b"%01", "%2501"),
        (b"\x01", "%01"),
        (b"a\xffb\r\n", "a%FFb%0D%0A"),
        ("\u{85}".as_bytes(), "%C2%85"),
        (b"\xe4\xb8", "%E4%B8"),
    ] {
        assert_eq!(text(bytes), shown);
    }
}

#[test]
fn many_calls_are_known_to_deal_in_secrets() {
    let all: Vec<_> = secret_bearing().collect();
    for system in [System::Cloudstack, System::Zstack, System::S3, System::Aws] {
        assert!(all.iter().any(|(of, _, tier)| *of == system && *tier == Tier::Keys), "{system:?}");
    }
    let count = |tier| all.iter().filter(|(_, _, of)| *of == tier).count();
    assert!(count(Tier::Keys) >= 80 && count(Tier::Material) >= 150 && count(Tier::None) == 0);
    let mut names: Vec<_> = all.iter().map(|(system, name, _)| format!("{system:?} {name}")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "each is named once");
}
