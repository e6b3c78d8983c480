//! Every source of a credential, good and bad, in directories and environments made for the test; and that no
//! failure repeats what a source gave.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use countersign::cli::check::{Format, examine};
use countersign::config::{Credential, CredentialSource, SecretRef, Style};
use countersign::credentials::{CredentialError, Resolved, resolve, resolve_in};

/// What every source below gives when it goes wrong.
const CANARY: &str = "QZqzQZqzQZqz";

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("countersign-credentials-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.to_owned())
}

fn private(path: &Path) -> SecretRef {
    SecretRef::File { path: path.to_owned(), allow_open_mode: false }
}

fn exec(argv: &[&str]) -> SecretRef {
    SecretRef::Exec(argv.iter().map(|word| (*word).to_owned()).collect())
}

fn sh(script: &str) -> SecretRef {
    exec(&["/bin/sh", "-c", script])
}

fn parts(access_key: SecretRef, secret_key: SecretRef, session_token: Option<SecretRef>) -> Credential {
    let source = CredentialSource::Parts { access_key, secret_key, session_token };
    Credential { name: "lab".to_owned(), source }
}

fn resolve_with(credential: &Credential, variables: &[(&str, &str)]) -> Result<Resolved, CredentialError> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    resolve_in(credential, &|name| variables.get(name).map(OsString::from))
}

/// The secret that a reference resolves to, beside an access key that is fine.
fn secret(reference: SecretRef, variables: &[(&str, &str)]) -> Result<Vec<u8>, CredentialError> {
    let mut all = vec![("TEST_ID", "ID")];
    all.extend(variables);
    let resolved = resolve_with(&parts(env("TEST_ID"), reference, None), &all)?;
    assert_eq!(resolved.key.id, "ID");
    assert!(resolved.expires.is_none());
    Ok(resolved.key.secret.expose().to_vec())
}

/// The failure of a reference, whose text must name the credential and the part and repeat no value.
fn failure(reference: SecretRef, variables: &[(&str, &str)]) -> String {
    let error = secret(reference, variables).expect_err("resolved");
    assert_eq!((error.credential.as_str(), error.part), ("lab", Some("secret-key")));
    silent(&error)
}

fn silent(error: &CredentialError) -> String {
    let said = error.to_string();
    for said in [&said, &format!("{error:?}")] {
        assert!(!said.contains(&CANARY[..4]) && !said.contains("81, 90, 113"), "{said}");
    }
    said
}

#[test]
fn env_gives_its_value() {
    assert_eq!(secret(env("X"), &[("X", CANARY)]).unwrap(), CANARY.as_bytes());
    let token = parts(env("A"), env("B"), Some(env("C")));
    let resolved = resolve_with(&token, &[("A", "id"), ("B", "secret"), ("C", "token")]).unwrap();
    assert_eq!(resolved.key.session_token.unwrap().expose(), b"token");
}

#[test]
fn env_says_what_is_missing() {
    let said = failure(env("LAB_SECRET"), &[]);
    assert_eq!(
        said,
        "credential `lab`, `secret-key`, from env: the environment variable `LAB_SECRET` is not set; set it in the \
         environment that countersign is started in"
    );
    assert!(failure(env("LAB_SECRET"), &[("LAB_SECRET", "")]).contains("`LAB_SECRET` is empty"));
    // The secret itself where its variable's name belongs.
    assert!(failure(env(CANARY), &[]).contains("the variable is not set"));
    // The real environment, for the public function.
    let error = resolve(&parts(env("COUNTERSIGN_TEST_UNSET"), env("COUNTERSIGN_TEST_UNSET"), None));
    assert!(error.err().unwrap().to_string().contains("`access-key`, from env"));
}

#[test]
fn values_are_judged_whatever_their_source() {
    for (value, word) in [
        (format!("{CANARY}\n"), "control character"),
        (format!("{CANARY}\t"), "control character"),
        (format!("{CANARY}\u{0}"), "control character"),
        (format!("\u{feff}{CANARY}"), "byte order mark"),
        (format!(" {CANARY}"), "blank"),
        (format!("{CANARY} "), "blank"),
    ] {
        assert!(failure(env("X"), &[("X", &value)]).contains(word), "{value:?}");
    }
    for id in [format!("{CANARY} {CANARY}"), format!("{CANARY}ä")] {
        let credential = parts(env("X"), env("X"), None);
        let error = resolve_with(&credential, &[("X", &id)]).err().unwrap();
        assert_eq!(error.part, Some("access-key"));
        assert!(silent(&error).contains("not an access key id"), "{error}");
    }
    let not_utf8 =
        resolve_in(&parts(env("X"), env("X"), None), &|_| Some(OsString::from_vec(vec![b'Q', 0xff])));
    assert!(not_utf8.err().unwrap().problem.contains("not an access key id"));
}

#[test]
fn file_gives_its_line() {
    let directory = Directory::new();
    for (name, content) in [("plain", "s3cr3t"), ("lf", "s3cr3t\n"), ("crlf", "s3cr3t\r\n")] {
        let path = directory.file(name, content, 0o600);
        assert_eq!(secret(private(&path), &[]).unwrap(), b"s3cr3t");
    }
    let path = directory.file("read-only", "s3cr3t", 0o400);
    assert_eq!(secret(private(&path), &[]).unwrap(), b"s3cr3t");
    let link = directory.0.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(secret(private(&link), &[]).unwrap(), b"s3cr3t");
    let path = directory.file("at-the-limit", vec![b'x'; 64 << 10], 0o600);
    assert_eq!(secret(private(&path), &[]).unwrap().len(), 64 << 10);
}

#[test]
fn file_that_others_can_use_is_refused_unless_told() {
    let directory = Directory::new();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o660] {
        let path = directory.file("open", CANARY, mode);
        let said = failure(private(&path), &[]);
        assert!(said.contains(&format!("(mode {mode:o})")) && said.contains("chmod 600"), "{said}");
        let told = SecretRef::File { path, allow_open_mode: true };
        assert_eq!(secret(told, &[]).unwrap(), CANARY.as_bytes());
    }
}

#[test]
fn file_that_is_none_is_refused() {
    let directory = Directory::new();
    assert!(failure(private(&directory.0.join("absent")), &[]).contains("cannot be read"));
    assert!(failure(private(&directory.0), &[]).contains("not a regular file"));
    assert!(failure(private(Path::new("/dev/null")), &[]).contains("not a regular file"));
    let fifo = directory.0.join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // A pipe without a writer must not be waited for.
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(failure(private(&fifo), &[])));
    let said = receive.recv_timeout(std::time::Duration::from_secs(10)).expect("waits for the pipe");
    assert!(said.contains("not a regular file"));
    let path = directory.file("long", CANARY.repeat(6000), 0o600);
    assert!(failure(private(&path), &[]).contains("longer than 64 KiB"));
    for (content, word) in [
        (String::new(), "empty"),
        ("\n".to_owned(), "empty"),
        (format!("{CANARY}\n\n"), "control character"),
        (format!("{CANARY}\n{CANARY}\n"), "control character"),
        (format!("\u{feff}{CANARY}"), "byte order mark"),
    ] {
        let path = directory.file("odd", &content, 0o600);
        assert!(failure(private(&path), &[]).contains(word), "{content:?}");
    }
}

#[test]
fn systemd_gives_a_file_of_its_directory() {
    let directory = Directory::new();
    // The service manager guards its directory by other means than the mode.
    directory.file("zs-secret", "s3cr3t\n", 0o440);
    let place = directory.0.to_str().unwrap();
    let reference = |name: &str| SecretRef::Systemd(name.to_owned());
    let variables = [("CREDENTIALS_DIRECTORY", place)];
    assert_eq!(secret(reference("zs-secret"), &variables).unwrap(), b"s3cr3t");
    let said = failure(reference("zs-other"), &variables);
    assert!(said.contains("`zs-other` cannot be read from `$CREDENTIALS_DIRECTORY`"), "{said}");
    assert!(failure(reference("zs-secret"), &[]).contains("`$CREDENTIALS_DIRECTORY` is not set"));
    assert!(failure(reference("zs-secret"), &[("CREDENTIALS_DIRECTORY", "relative")]).contains("not set"));
    assert!(failure(reference("../etc/passwd"), &variables).contains("not a file name"));
    assert!(failure(reference(".."), &variables).contains("not a file name"));
    assert!(failure(reference(CANARY), &variables).contains("the credential cannot be read"));
}

#[test]
fn exec_gives_what_it_prints() {
    assert_eq!(secret(sh("echo s3cr3t"), &[]).unwrap(), b"s3cr3t");
    assert_eq!(secret(exec(&["printf", "a b"]), &[]).unwrap(), b"a b");
    assert_eq!(secret(exec(&["printf", "%s", "$HOME;*"]), &[]).unwrap(), b"$HOME;*", "there is no shell");
    assert_eq!(secret(sh("cat; echo end"), &[]).unwrap(), b"end", "standard input is empty");
    assert_eq!(
        secret(sh("readlink /proc/$$/fd/2"), &[]).unwrap(),
        b"/dev/null",
        "standard error goes nowhere"
    );
}

#[test]
fn exec_that_fails_says_little() {
    let said = failure(sh(&format!("echo {CANARY}; echo {CANARY} >&2; exit 3")), &[]);
    assert!(said.contains("the program `sh` failed (exit status: 3)"), "{said}");
    assert!(failure(sh("kill -9 $$"), &[]).contains("signal: 9"));
    assert!(failure(exec(&["/nonexistent/program", CANARY]), &[]).contains("cannot be started"));
    assert!(failure(exec(&[CANARY]), &[]).contains("the program cannot be started"));
    assert!(failure(sh("true"), &[]).contains("the value is empty"));
    assert!(failure(sh(&format!("echo {CANARY}; echo {CANARY}")), &[]).contains("control character"));
    let said = failure(sh(&format!("while :; do echo {CANARY}; done")), &[]);
    assert!(said.contains("printed more than 64 KiB"), "{said}");
}

// --- aws-profile ------------------------------------------------------------------------------------------------

fn profile(name: &str) -> Credential {
    Credential { name: "lab".to_owned(), source: CredentialSource::AwsProfile(name.to_owned()) }
}

/// Resolves a profile of two files with this content.
fn aws(name: &str, credentials: &str, config: &str) -> Result<Resolved, CredentialError> {
    let directory = Directory::new();
    let credentials = directory.file("credentials", credentials, 0o600);
    let config = directory.file("config", config, 0o600);
    let variables = [
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    resolve_with(&profile(name), &variables)
}

fn aws_failure(name: &str, credentials: &str, config: &str) -> String {
    let error = aws(name, credentials, config).err().expect("resolved");
    assert_eq!((error.source, error.part), ("aws-profile", None));
    silent(&error)
}

const STATIC: &str = "[other]\naws_access_key_id = NO\naws_secret_access_key = NO\n\
                      [backups]\naws_access_key_id = ID\naws_secret_access_key = a/b+c=\n";

#[test]
fn a_profile_gives_its_static_keys() {
    let resolved = aws("backups", STATIC, "").unwrap();
    assert_eq!((resolved.key.id.as_str(), resolved.key.secret.expose()), ("ID", &b"a/b+c="[..]));
    assert!(resolved.key.session_token.is_none() && resolved.expires.is_none());
    let token = aws("backups", &format!("{STATIC}aws_session_token = T==\n"), "").unwrap();
    assert_eq!(token.key.session_token.unwrap().expose(), b"T==");
    let config = STATIC.replace("[backups]", "[profile backups]").replace("= ID", "= FROM_CONFIG");
    assert_eq!(aws("backups", "", &config).unwrap().key.id, "FROM_CONFIG");
    assert_eq!(aws("backups", STATIC, &config).unwrap().key.id, "ID", "the credentials file comes first");
    let default = STATIC.replace("[backups]", "[default]");
    assert_eq!(aws("default", "", &default).unwrap().key.id, "ID");
    let quoted = STATIC.replace("[backups]", "[profile \"my backups\"]");
    assert_eq!(aws("my backups", "", &quoted).unwrap().key.id, "ID");
}

#[test]
fn a_profile_is_looked_for_at_home() {
    let directory = Directory::new();
    fs::create_dir(directory.0.join(".aws")).unwrap();
    directory.file(".aws/credentials", STATIC, 0o600);
    let home = [("HOME", directory.0.to_str().unwrap())];
    assert_eq!(resolve_with(&profile("backups"), &home).unwrap().key.id, "ID");
    let said = silent(&resolve_with(&profile("absent"), &home).err().unwrap());
    assert!(said.contains("there is no profile `absent` in") && said.contains(".aws/config"), "{said}");
    assert!(resolve_with(&profile("x"), &[]).err().unwrap().problem.contains("no place to look"));
}

#[test]
fn a_profile_runs_its_process() {
    let json = "{\"Version\": 1, \"AccessKeyId\": \"ID\", \"SecretAccessKey\": \"S\", \"SessionToken\": \"T\", \
                \"Expiration\": \"2999-01-02T03:04:05Z\"}";
    // The words of the command line are split as a shell would, quotes and blanks included.
    let directory = Directory::new();
    let path = directory.file("printed by it.json", json, 0o600);
    let process = format!("credential_process = /bin/sh -c 'cat \"$0\"' \"{}\"\n", path.display());
    for (credentials, config) in [
        (format!("[backups]\n{process}"), String::new()),
        (String::new(), format!("[profile backups]\n{process}")),
        (
            String::new(),
            format!("[profile backups]\n{process}aws_access_key_id = NO\naws_secret_access_key = NO\n"),
        ),
    ] {
        let resolved = aws("backups", &credentials, &config).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(resolved.key.id, "ID");
        assert_eq!(resolved.key.secret.expose(), b"S");
        assert_eq!(resolved.key.session_token.unwrap().expose(), b"T");
        assert_eq!(resolved.expires.unwrap().to_string(), "2999-01-02T03:04:05Z");
    }
    let first = format!("[backups]\n{process}");
    let both = aws("backups", &first, "[profile backups]\ncredential_process = /bin/false\n").unwrap();
    assert_eq!(both.key.id, "ID", "the process of the credentials file comes first");
    let both = aws("backups", STATIC, &format!("[profile backups]\n{process}")).unwrap();
    assert_eq!(both.key.secret.expose(), b"a/b+c=", "static keys of the credentials file come first");
}

#[test]
fn a_profile_without_keys_says_why() {
    let said = aws_failure("backups", "", "[profile backups]\nrole_arn = arn:x\nsource_profile = y\n");
    assert!(
        said.contains("uses `role_arn`") && said.contains("export-credentials --profile backups"),
        "{said}"
    );
    assert!(aws_failure("backups", "[backups]\nregion = x\n", "").contains("neither keys nor"));
    assert!(aws_failure(CANARY, STATIC, "").contains("there is no profile in"));
    let half = format!("[backups]\naws_secret_access_key = {CANARY}\n");
    assert!(aws_failure("backups", &half, "").contains("has no `aws_access_key_id`"));
    let half = format!("[backups]\naws_access_key_id = {CANARY}\naws_secret_access_key =\n");
    assert!(aws_failure("backups", &half, "").contains("has no `aws_secret_access_key`"));
    let odd = format!("[backups]\naws_access_key_id = {CANARY}\naws_secret_access_key = {CANARY}\u{1}\n");
    assert!(aws_failure("backups", &odd, "").contains("control character"));
    let quote = format!("[backups]\ncredential_process = echo '{CANARY}\n");
    assert!(aws_failure("backups", &quote, "").contains("unclosed quote"));
    let garbage = format!("[backups]\ncredential_process = echo {CANARY}\n");
    assert!(aws_failure("backups", &garbage, "").contains("is not JSON"));
    let failing = format!("[backups]\ncredential_process = /bin/sh -c 'echo {CANARY} >&2; exit 255'\n");
    assert!(aws_failure("backups", &failing, "").contains("failed (exit status: 255)"));
}

#[test]
fn a_profile_in_an_unreadable_file_says_where() {
    let directory = Directory::new();
    let not_utf8 =
        directory.file("bad", [b"[backups]\naws_access_key_id = QZqz".as_slice(), &[0xff]].concat(), 0o600);
    let said = |path: &Path| {
        let variables = [("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap())];
        silent(&resolve_with(&profile("backups"), &variables).err().unwrap())
    };
    assert!(said(&not_utf8).contains("is not UTF-8"));
    assert!(said(&directory.0).contains("not a regular file"));
}

// --- check ------------------------------------------------------------------------------------------------------

fn config_file(directory: &Directory, secret: &Path) -> PathBuf {
    let text = format!(
        "version = 1\n[server]\nlisten = [\"127.0.0.1:8480\", \"unix:/run/x.sock\"]\nadmin = \"127.0.0.1:8481\"\n\
         [credentials.lab]\naccess-key = {{ exec = [\"echo\", \"ID\"] }}\nsecret-key = {{ file = \"{}\" }}\n\
         [credentials.unused]\naccess-key = {{ env = \"COUNTERSIGN_TEST_UNSET\" }}\n\
         secret-key = {{ env = \"COUNTERSIGN_TEST_UNSET\" }}\n\
         [routes.one]\nmatch = {{ path = \"/client/api\", host = \"*.internal\" }}\n\
         upstream = {{ url = \"http://cloud.example:8080\", insecure = true }}\n\
         sign.cloudstack = {{ credential = \"lab\" }}\n",
        secret.display()
    );
    directory.file("countersign.toml", text, 0o600)
}

#[test]
fn check_resolves_and_summarises() {
    let directory = Directory::new();
    let secret = directory.file("secret", CANARY, 0o600);
    let file = config_file(&directory, &secret);
    let report = examine(&file, Format::Text, Style::Plain);
    assert!(!report.good);
    let expected = format!(
        "{}: valid, but a credential cannot be resolved\nlisteners\n  127.0.0.1:8480\n  unix:/run/x.sock\n  \
         127.0.0.1:8481 (admin)\nroutes\n  one: *.internal/client/api -> http://cloud.example:8080, cloudstack, \
         credential lab\ncredentials\n  lab: resolved (exec, file)\n  unused: NOT RESOLVED (env)\nrecord\n  \
         standard output, on-full refuse\n",
        file.display()
    );
    assert_eq!(report.out, expected);
    let expected = "error: credential `unused`, `access-key`, from env: the environment variable \
        `COUNTERSIGN_TEST_UNSET` is not set; set it in the environment that countersign is started in\n\
        warning: credential `unused` comes from the environment, which other processes of the same user can read\n\
        warning: credential `unused` is used by no route\n\
        warning: route `one` sends signed requests over plain http\n";
    assert_eq!(report.err, expected);
    assert!(!report.out.contains(CANARY));
}

#[test]
fn check_speaks_json() {
    let directory = Directory::new();
    let secret = directory.file("secret", CANARY, 0o644);
    let file = config_file(&directory, &secret);
    let report = examine(&file, Format::Json, Style::Plain);
    assert!(report.err.is_empty() && !report.good && !report.out.contains(CANARY));
    let json: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["problems"][0]["part"], "secret-key");
    assert_eq!(json["problems"][0]["source"], "file");
    assert_eq!(json["problems"][1]["credential"], "unused");
    assert_eq!(json["routes"][0]["scheme"], "cloudstack");
    assert_eq!(json["listeners"], serde_json::json!(["127.0.0.1:8480", "unix:/run/x.sock"]));
    assert_eq!(json["warnings"].as_array().unwrap().len(), 3);
    let broken = directory.file("broken.toml", "version = 1\nx = 1\n", 0o600);
    let json: serde_json::Value =
        serde_json::from_str(&examine(&broken, Format::Json, Style::Plain).out).unwrap();
    assert_eq!((json["ok"].as_bool(), json["problems"][1]["line"].as_u64()), (Some(false), Some(2)));
}

#[test]
fn check_is_content_with_what_works() {
    let directory = Directory::new();
    let text = "version = 1\n[credentials.lab]\naccess-key = { exec = [\"echo\", \"ID\"] }\n\
                secret-key = { exec = [\"echo\", \"S\"] }\n[routes.one]\nmatch = { path = \"/\" }\n\
                upstream = \"https://rgw.example\"\nsign.s3-v2 = { credential = \"lab\" }\n";
    let file = directory.file("good.toml", text, 0o600);
    let report = examine(&file, Format::Text, Style::Plain);
    assert!(report.good && report.err.is_empty(), "{}", report.err);
    assert!(report.out.contains("valid\n") && report.out.contains("s3-v2"));
    let json: serde_json::Value =
        serde_json::from_str(&examine(&file, Format::Json, Style::Plain).out).unwrap();
    assert_eq!((&json["ok"], &json["problems"]), (&true.into(), &serde_json::json!([])));
}
