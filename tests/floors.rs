//! Holds the map in `src/lib.rs`: a room imports only from the floors below it.
//!
//! Reads the source text; compiles nothing. A convention with a test stays true.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, bottom first. Rooms on one floor do not import each other.
const FLOORS: [&[&str]; 13] = [
    &["secret"],
    &["sign", "checksum", "trace"],
    &["config", "reason", "caller", "metrics", "audit", "live"],
    &["target", "credentials", "ledger", "otlp"],
    &["route", "operation", "body", "identify", "redact"],
    &["policy"],
    &["snapshot", "outbound"],
    &["upstream"],
    &["gateway", "reload"],
    &["listen"],
    &["worker", "admin"],
    &["server", "demo"],
    &["cli"],
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn floors() -> HashMap<&'static str, usize> {
    FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor)))
        .collect()
}

/// Every `.rs` file under `folder`, with its path relative to it.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(folder).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The room of a file, and how many modules deep the file lies below the crate.
fn place(file: &Path) -> (String, usize) {
    let parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let depth = if parts.last().is_some_and(|last| last == "mod") { parts.len() - 1 } else { parts.len() };
    (parts[0].clone(), depth)
}

/// The rooms that a file names by `crate::` or by climbing out of its own room, with the line of each.
fn imports(text: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inner = 0;
    let mut list: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        // rustfmt puts the braces of a top-level module in the first column.
        if line.starts_with("mod ") && line.ends_with('{') {
            inner = 1;
        } else if line == "}" {
            inner = 0;
        }
        let code = line.split("//").next().unwrap_or_default();
        if let Some((start, mut names)) = list.take() {
            names.push_str(code);
            if names.contains("};") {
                found.extend(listed(&names).into_iter().map(|name| (start, name)));
            } else {
                list = Some((start, names));
            }
            continue;
        }
        for rest in rooted(code, depth + inner) {
            if let Some(braced) = rest.strip_prefix('{') {
                if braced.contains('}') {
                    found.extend(listed(braced).into_iter().map(|name| (number, name)));
                } else {
                    list = Some((number, braced.to_owned()));
                }
            } else {
                found.push((number, word(rest)));
            }
        }
    }
    found
}

/// What follows each path in `code` that begins at the crate's root.
fn rooted(code: &str, depth: usize) -> Vec<&str> {
    let absolute = code.match_indices("crate::").map(|(at, _)| at).filter(|&at| !inside_word(code, at));
    let mut found: Vec<&str> = absolute.map(|at| &code[at + "crate::".len()..]).collect();
    let mut from = 0;
    while let Some(at) = code[from..].find("super::").map(|at| at + from) {
        let mut rest = &code[at..];
        let mut climbs = 0;
        while let Some(up) = rest.strip_prefix("super::") {
            (rest, climbs) = (up, climbs + 1);
        }
        if climbs >= depth && !rest.starts_with('*') {
            found.push(rest);
        }
        from = code.len() - rest.len();
    }
    found
}

fn inside_word(code: &str, at: usize) -> bool {
    code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$')
}

/// The first segments of a braced list; nested braces belong to the segment before them.
fn listed(names: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut level = 0;
    let mut start = true;
    for (at, letter) in names.char_indices() {
        match letter {
            '{' => level += 1,
            '}' => level -= 1,
            ',' if level == 0 => start = true,
            _ if start && level == 0 && !letter.is_whitespace() => {
                found.push(word(&names[at..]));
                start = false;
            }
            _ => {}
        }
        if level < 0 {
            break;
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// What is wrong with the imports of these files, one line each.
fn faults(files: &[(PathBuf, String)]) -> Vec<String> {
    let floors = floors();
    let mut faults = Vec::new();
    for (file, text) in files {
        let (room, depth) = place(file);
        if matches!(room.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own) = floors.get(room.as_str()) else {
            faults.push(format!("{}: room `{room}` is on no floor", file.display()));
            continue;
        };
        for (line, named) in imports(text, depth) {
            match floors.get(named.as_str()) {
                _ if named == room => {}
                None => faults.push(format!("{}:{line}: `{named}` is on no floor", file.display())),
                Some(floor) if floor >= own => faults.push(format!(
                    "{}:{line}: `{room}` (floor {own}) imports `{named}` (floor {floor})",
                    file.display()
                )),
                Some(_) => {}
            }
        }
    }
    faults
}

#[test]
fn imports_point_down() {
    let files = files(&source());
    let counted: usize = files.iter().map(|(file, text)| imports(text, place(file).1).len()).sum();
    assert!(counted > 100, "only {counted} imports were found: the reader of this test is broken");
    let faults = faults(&files);
    assert!(faults.is_empty(), "imports must point down the floors of src/lib.rs:\n{}", faults.join("\n"));
}

#[test]
fn the_map_is_true() {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let map = text.split("//! ```text\n").nth(1).and_then(|rest| rest.split("//! ```").next()).unwrap();
    let mut drawn: Vec<(usize, Vec<&str>)> = map
        .lines()
        .map(|line| {
            let (floor, rooms) =
                line.trim_start_matches("//!").trim().split_once(char::is_whitespace).unwrap();
            (floor.parse().unwrap(), rooms.split(',').map(str::trim).collect())
        })
        .collect();
    drawn.reverse();
    let table: Vec<(usize, Vec<&str>)> =
        FLOORS.iter().enumerate().map(|(floor, rooms)| (floor, rooms.to_vec())).collect();
    assert_eq!(drawn, table, "src/lib.rs draws other floors than this test holds");

    let mut declared: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut rooms: Vec<&str> = FLOORS.iter().flat_map(|rooms| rooms.iter().copied()).collect();
    declared.sort_unstable();
    rooms.sort_unstable();
    assert_eq!(declared, rooms, "src/lib.rs declares other rooms than it draws");
}

#[test]
fn every_way_of_pointing_up_is_found() {
    let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let bad = [
        file("sign/mod.rs", "use crate::config::Config;\n"),
        file("sign/edits.rs", "fn f() { crate::audit::x(); }\n"),
        file("config/read/mod.rs", "use crate::reason::Reason;\n"),
        file("audit.rs", "use super::metrics::Metrics;\n"),
        file("audit.rs", "#[cfg(test)]\nmod tests {\n    use super::super::metrics::Metrics;\n}\n"),
        file("config/read/route.rs", "use super::super::super::audit::Log;\n"),
        file("route.rs", "use crate::{config::{A, B}, body::C};\n"),
        file("route.rs", "use crate::{\n    config::A,\n    gateway,\n};\n"),
        file("elsewhere.rs", "\n"),
        file("route.rs", "use crate::elsewhere::A;\n"),
    ];
    for file in bad {
        assert_eq!(faults(std::slice::from_ref(&file)).len(), 1, "{file:?}");
    }
    let good = [
        file(
            "sign/mod.rs",
            "//! Read by [`crate::gateway`].\nuse crate::secret::Key;\nuse crate::sign::Head;\n",
        ),
        file("cli/sign.rs", "use super::route;\nuse super::super::server;\n"),
        file("audit.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n    use super::metrics;\n}\n"),
        file("route.rs", "use crate::{config::{audit, body}, target};\n"),
    ];
    for file in good {
        assert_eq!(faults(std::slice::from_ref(&file)), Vec::<String>::new());
    }
}
