//! `countersign status`, against a running gateway and against none.

use std::process::Command;

use super::*;

fn status(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("status").args(arguments).env_remove("COUNTERSIGN_CONFIG").env_remove("COUNTERSIGN_ADMIN");
    let ended = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
}

#[test]
fn a_ready_gateway_is_exit_0() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    gateway.call(&calls()[3].1).passed(200);
    gateway.wait_for_records(1);
    let (code, out, err) = status(&["--admin", &gateway.admin.to_string()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["routes"][3]["requests"], 1, "{told}");
    // Through the configuration, and for people.
    let (code, out, _) = status(&["--config", gateway.file.to_str().unwrap(), "--format", "text"]);
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with(&format!("countersign {} is ready, up 0 h 0 min", env!("CARGO_PKG_VERSION"))),
        "{out}"
    );
    let row = out.lines().find(|line| line.starts_with("s3 ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[1], cells.last()), ("1", Some(&"key")), "{out}");
}

#[test]
fn one_that_is_not_ready_is_exit_4_and_says_why() {
    let upstream = Upstream::ok();
    let gateway = not_ready(&upstream);
    let (code, out, _) = status(&["--admin", &gateway.admin.to_string(), "--format", "text"]);
    assert_eq!(code, Some(4));
    assert!(out.contains("is not ready") && out.contains("credential-unavailable missing"), "{out}");
    assert!(out.contains("missing (unavailable)"), "{out}");
}

#[test]
fn nobody_there_is_exit_5() {
    let nobody = support::gateway::free_address().to_string();
    let (code, out, err) = status(&["--admin", &nobody]);
    assert_eq!((code, out.as_str()), (Some(5), ""));
    assert!(err.contains(&format!("no gateway answers on {nobody}")), "{err}");
    // Something else that speaks HTTP is no gateway.
    let other = Upstream::ok();
    let (code, _, err) = status(&["--admin", &other.address.to_string()]);
    assert_eq!(code, Some(5), "{err}");
    assert!(err.contains("is no gateway of this version"), "{err}");
}

#[test]
fn without_an_address_it_is_exit_2() {
    assert_eq!(status(&[]).0, Some(2));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    let listen = "version = 1\n[server]\nlisten = [\"127.0.0.1:0\"]\n[credentials.key]\naccess-key = { env = \"A\" }\n\
                  secret-key = { env = \"B\" }\n";
    let text = listen.to_owned()
        + &route("a", "path = \"/a\"", "\"http://127.0.0.1:9\"", "zstack = { credential = \"key\" }");
    std::fs::write(&file, text).unwrap();
    let (code, _, err) = status(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(err.contains("server.admin"), "{err}");
}

/// Whoever answers may be somebody else, and its text ends on a terminal.
#[test]
fn what_is_told_cannot_command_a_terminal() {
    let upstream = Upstream::ok();
    let mut told = json(&Gateway::with(&every_scheme(&upstream)), "/status");
    let red = "\u{1b}[31mred\u{7}";
    told["version"] = red.into();
    told["faults"] = serde_json::json!([red]);
    told["routes"][0]["name"] = red.into();
    told["routes"][0]["credential"] = red.into();
    told["credentials"][0] =
        serde_json::json!({ "name": red, "ready": false, "expires": null, "failures": 1 });
    told["audit"]["head"] = red.into();
    told["audit"]["obstacle"] = red.into();
    let body = told.to_string();
    let hostile = Upstream::answering(move |_| answer(200, &[], body.as_bytes()));
    let (code, out, _) = status(&["--admin", &hostile.address.to_string(), "--format", "text"]);
    assert_eq!(code, Some(0));
    assert!(!out.contains(['\u{1b}', '\u{7}']), "{out:?}");
    assert_eq!(out.matches("\\u{1b}[31mred").count(), 7, "{out}");
    // An answer that is none is not read.
    let body = told.to_string();
    let failing = Upstream::answering(move |_| answer(503, &[], body.as_bytes()));
    let (code, _, err) = status(&["--admin", &failing.address.to_string()]);
    assert_eq!(code, Some(5));
    assert!(err.contains("status 503"), "{err}");
}
