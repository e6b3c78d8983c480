//! What the documents say is what the program does: codes, links, commands, configuration.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pieces of `text` between `open` and `close` on one line.
fn between<'t>(text: &'t str, open: &'t str, close: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().flat_map(move |line| {
        line.match_indices(open)
            .filter_map(move |(at, _)| line[at + open.len()..].split_once(close))
            .map(|(found, _)| found)
    })
}

#[test]
fn every_error_code_has_a_section_with_its_status() {
    let source = text("src/reason.rs");
    let (_, codes) = source.split_once("fn code(").unwrap();
    let (codes, _) = codes.split_once("\n    }\n").unwrap();
    let codes: BTreeSet<&str> = between(codes, "=> \"", "\"").collect();
    let page = text("docs/errors.md");
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(codes.len() > 20, "{codes:?}");
    assert_eq!(codes, sections);
    for section in page.split("\n## ").skip(1) {
        let status = section.split_once("Status ").unwrap().1[..3].parse::<u16>().unwrap();
        assert!((400..=599).contains(&status), "{section}");
    }
}

#[test]
fn links_lead_somewhere() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/audit.md",
        "docs/errors.md",
        "docs/identity.md",
        "docs/metrics.md",
        "docs/policy.md",
    ] {
        for link in between(&text(page), "](", ")").filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap();
            let base = root().join(page);
            assert!(base.parent().unwrap().join(file).exists(), "{page} links to {link}");
        }
    }
}

/// Every file and folder below `folder`, relative to the root.
fn tree(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if path.is_dir() {
            tree(&path, found);
            found.push(name + "/");
        } else {
            found.push(name);
        }
    }
}

#[test]
fn the_map_names_what_exists() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "docs", "config", "examples", "benches"] {
        files.push(format!("{folder}/"));
        tree(&root().join(folder), &mut files);
    }
    for name in between(&text("ARCHITECTURE.md"), "`", "`") {
        let is_path =
            Path::new(name).extension().is_some_and(|extension| extension == "rs") || name.ends_with('/');
        if is_path && !name.contains(' ') {
            let exists = files.iter().any(|file| file == name || file.ends_with(&format!("/{name}")));
            assert!(exists, "ARCHITECTURE.md names {name}");
        }
    }
}

#[test]
fn the_readme_names_every_command() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_countersign")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:").unwrap();
    let (commands, _) = commands.split_once("Options:").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    let readme = text("README.md");
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let named = [format!("`{command}`"), format!("`{command} "), format!("countersign {command}")];
        assert!(named.iter().any(|name| readme.contains(name.as_str())), "README.md does not name {command}");
    }
}

/// The ten lines that point a script at a cloud, run as they stand but for the last, with keys made up here.
#[test]
fn the_readme_configuration_is_good() {
    let readme = text("README.md");
    let (_, block) = readme.split_once("umask 077;").unwrap();
    let (block, _) = block.split_once("countersign serve").unwrap();
    let lines: Vec<&str> = block.lines().map(|line| line.strip_prefix("   ").unwrap_or(line)).collect();
    let script = lines.join("\n");
    let home = std::env::temp_dir().join(format!("countersign-readme-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let output = std::process::Command::new("bash")
        .args(["-euc", &format!("umask 077;{script}")])
        .env("HOME", &home)
        .env("PATH", path)
        .env("CLOUD_API_KEY", "an-id")
        .env("CLOUD_SECRET_KEY", "a-secret")
        .output()
        .unwrap();
    std::fs::remove_dir_all(&home).unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
