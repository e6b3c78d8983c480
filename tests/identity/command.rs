//! `countersign keys` and what `check` says of clients.

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Command, Output};

use crate::signer::{Call, V4};
use crate::support::naive::Keys;
use crate::support::{Setup, Upstream, route};

fn countersign(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .env_remove("COUNTERSIGN_CONFIG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const CONFIG: &str = "version = 1\n[credentials.key]\naccess-key = { env = \"HOME\" }\nsecret-key = { env = \"HOME\" }\n\
    [routes.s3]\nmatch = { host = \"s3.internal\" }\nupstream = \"https://s3.example\"\nclients = [\"job\"]\n\
    sign.s3-v4 = { credential = \"key\", region = \"us-east-1\" }\n";

#[test]
fn a_new_key_works_with_the_line_that_was_printed() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let output = countersign(&["keys", "new", "job", "--directory", directory]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let line = shown.lines().find(|line| line.starts_with("keys = [")).unwrap();
    let field =
        |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let keys = Keys { id: field("access key"), secret: field("secret key"), token: None };
    assert_eq!((keys.id.len(), keys.secret.len()), (20, 40));
    assert!(
        keys.id.starts_with("CS") && keys.id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    );
    let file = folder.path().join(format!("job-{}.secret", keys.id));
    assert_eq!(fs::read_to_string(&file).unwrap(), keys.secret);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!line.contains(&keys.secret));

    let upstream = Upstream::ok();
    let sign = "s3-v4 = { credential = \"key\", region = \"us-east-1\" }";
    let one = route("s3", "host = \"s3.internal\"", &format!("\"{}\"", upstream.url()), sign);
    let gateway = Setup::routes(&one.replace("\nmatch", "\nclients = [\"job\"]\nmatch"))
        .text(&format!("[clients.job]\n{line}"))
        .start();
    let call = |keys: &Keys| V4::S3.header(&Call::new("GET", "s3.internal", "/b/k"), keys, None).0;
    gateway.call(&call(&keys).ask()).passed(200);
    let list = countersign(&["keys", "list", "--config", gateway.file.to_str().unwrap()]);
    assert_eq!(text(&list.stdout), format!("job  {}  file  resolved\n", keys.id));

    let output = countersign(&["keys", "new", "job", "--directory", directory, "--format", "json"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(object["access-key"], keys.id.as_str());
    assert!(fs::exists(object["file"].as_str().unwrap()).unwrap());
    assert_eq!(object["client"], "job");
}

#[test]
fn the_default_place_is_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("a.toml");
    fs::write(&config, CONFIG).unwrap();
    let output = countersign(&["keys", "new", "job", "--config", config.to_str().unwrap()]);
    assert!(output.status.success());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    for name in ["", "../x", "a/b", "a b", "."] {
        let output = countersign(&["keys", "new", name, "--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{name:?}");
    }
    let nowhere = folder.path().join("no/such");
    let output = countersign(&["keys", "new", "job", "--directory", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn check_and_list_say_who_cannot_be_proved() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("a.toml");
    let missing = folder.path().join("missing").display().to_string();
    let check = |clients: &str| {
        fs::write(&config, format!("{CONFIG}{clients}")).unwrap();
        let file = config.to_str().unwrap();
        let output = countersign(&["check", "--config", file]);
        let json = countersign(&["check", "--config", file, "--format", "json"]);
        assert_eq!(output.status.code(), json.status.code());
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["ok"], output.status.success());
        (output.status.code(), text(&output.stderr), json["problems"].clone())
    };
    let (code, errors, problems) = check(&format!("[clients.job]\ntoken = {{ file = \"{missing}\" }}"));
    assert_eq!(code, Some(2));
    assert!(errors.contains("error: client `job`, `token`, from file: "), "{errors}");
    assert_eq!(problems[0]["client"], "job");

    let key = format!(
        "[clients.job]\nkeys = [{{ access-key = \"LOCAL01\", secret-key = {{ file = \"{missing}\" }} }}]"
    );
    let (code, errors, _) = check(&key);
    assert_eq!(code, Some(2));
    assert!(errors.contains("error: client `job`, `secret-key` of `LOCAL01`, from file: "), "{errors}");
    let list = countersign(&["keys", "list", "--config", config.to_str().unwrap()]);
    assert_eq!(list.status.code(), Some(4));
    assert!(text(&list.stdout).starts_with("job  LOCAL01  file  NOT RESOLVED: "), "{}", text(&list.stdout));

    let (code, errors, _) = check("[clients.job]\nunix-user = \"no-such-user-here\"");
    assert_eq!(code, Some(0));
    assert!(errors.contains("warning: client `job`: this machine does not know its `unix-user`"), "{errors}");

    let same = "[clients.job]\ntoken = { env = \"PATH\" }\n[clients.other]\ntoken = { env = \"PATH\" }";
    let (code, errors, _) = check(same);
    assert_eq!(code, Some(2));
    assert!(errors.contains("error: clients `job` and `other` have the same token"), "{errors}");

    let both = "[clients.job]\ntoken = { env = \"PATH\" }\nkeys = [{ access-key = \"L01\", secret-key = { env = \"HOME\" } }]";
    let (code, errors, _) = check(both);
    assert_eq!(code, Some(0));
    assert!(errors.contains("no request can show a token and a signature at once"), "{errors}");

    let nothing = folder.path().join("nothing");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&nothing).unwrap();
    for hash in ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "sha256:e3b0"] {
        file.set_len(0).unwrap();
        file.rewind().unwrap();
        file.write_all(hash.as_bytes()).unwrap();
        let (code, errors, _) =
            check(&format!("[clients.job]\ntoken = {{ file = \"{}\" }}", nothing.display()));
        assert_eq!(code, Some(2));
        assert!(errors.contains("error: client `job`, `token`, from file: the hash is"), "{errors}");
        assert!(!errors.contains("e3b0"), "{errors}");
    }

    let (code, errors, _) = check("[clients.job]\nfrom = [\"10.0.0.0/8\"]");
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn a_shared_token_starts_nothing_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("a.toml");
    let same = "[clients.job]\ntoken = { env = \"PATH\" }\n[clients.other]\ntoken = { env = \"PATH\" }";
    fs::write(&config, format!("{CONFIG}{same}")).unwrap();
    let limit = ["10", env!("CARGO_BIN_EXE_countersign"), "serve", "--config"];
    let output = Command::new("timeout").args(limit).arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("have the same token"), "{}", text(&output.stderr));

    let upstream = Upstream::ok();
    let sign = "s3-v4 = { credential = \"key\", region = \"us-east-1\" }";
    let one = route("s3", "host = \"s3.internal\"", &format!("\"{}\"", upstream.url()), sign);
    let gateway = Setup::routes(&one.replace("\nmatch", "\nclients = [\"job\"]\nmatch"))
        .environment("TOKEN", "a-token")
        .text("[clients.job]\ntoken = { env = \"TOKEN\" }")
        .start();
    let before = fs::read_to_string(&gateway.file).unwrap();
    fs::write(&gateway.file, format!("{before}[clients.other]\ntoken = {{ env = \"TOKEN\" }}\n")).unwrap();
    gateway.signal("HUP");
    gateway.wait_for_event("reload refused; the old configuration stays");
    let call = Call::new("GET", "s3.internal", "/b/k").header("Authorization", "Bearer a-token");
    gateway.call(&call.ask()).passed(200);
}
