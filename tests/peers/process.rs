//! Processes as callers, of this user and of others: what a gateway process finds out about them when they connect.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::*;

/// Where a process that was started by a test is to send its request.
const SPEAK_TO: &str = "COUNTERSIGN_TEST_SPEAK_TO";
/// The test that starts processes of this program, and that these come back to.
const ENTRY: &str = "process::callers_of_any_user_are_known";

/// Sends a request from another process, as `user`, and gives the answer's head.
fn speak(user: u32, to: &str) -> String {
    // Through the kernel's own link to this program: the folder of the program need not be open to that user.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", ENTRY, "--nocapture"]).env(SPEAK_TO, to).current_dir("/");
    if user != own() {
        command.uid(user);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = said.find("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer: {output:?}"));
    said[at..].to_owned()
}

/// The other process: one request, and its answer on standard output.
fn send(to: &str) {
    fn exchange(mut stream: impl Read + Write) {
        write!(stream, "GET {LIST} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        std::io::stdout().write_all(&answer).unwrap();
    }
    match to.strip_prefix("unix:") {
        Some(path) => exchange(UnixStream::connect(path).unwrap()),
        None => exchange(TcpStream::connect(to).unwrap()),
    }
}

/// Makes a gateway stand still, every thread of it.
fn stop(gateway: &Gateway) {
    gateway.signal("STOP");
    let tasks = format!("/proc/{}/task", gateway.pid());
    eventually("the gateway stands still", || {
        std::fs::read_dir(&tasks).unwrap().all(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
            status.contains("State:\tT")
        })
    });
}

fn source(gateway: &Gateway, answer: &str) -> String {
    let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().trim().to_owned();
    let mut found = None;
    eventually("the record is written", || {
        found = gateway.records().into_iter().find(|record| record["request-id"] == id);
        found.is_some()
    });
    found.unwrap()["source"].as_str().unwrap().to_owned()
}

#[test]
fn callers_of_any_user_are_known() {
    if let Ok(to) = std::env::var(SPEAK_TO) {
        return send(&to);
    }
    let upstream = Upstream::ok();
    let clients = "[clients.me]\nunix-user = \"root\"\n";
    let socket = std::env::temp_dir().join(format!("countersign-test-{}.sock", uuid::Uuid::new_v4()));
    let listen = format!("\"127.0.0.1:0\", \"[::1]:0\", \"unix:{}\"", socket.display());
    let gateway = Setup::routes(&(clients.to_owned() + &cloud(&upstream))).listen(&listen).workers(2).start();
    let [four, six, unix] = &gateway.addresses[..] else { panic!("{:?}", gateway.addresses) };
    let mapped = four.replace("127.0.0.1:", "[::ffff:127.0.0.1]:");
    let users = if is_root("callers of other users") { vec![0, OTHER, 1] } else { vec![own()] };
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    for user in users {
        for (to, expected) in [
            (four, format!("127.0.0.1 uid={user}")),
            (&mapped, format!("127.0.0.1 uid={user}")),
            (six, format!("::1 uid={user}")),
            (unix, format!("unix:uid={user}")),
        ] {
            let answer = speak(user, to);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert_eq!(source(&gateway, &answer), expected, "{to}");
        }
    }
    let _ = std::fs::remove_file(&socket);
}

/// Of a caller that left, only its request is there: whose it was cannot be told any more.
#[test]
fn callers_that_left_are_nobody() {
    let upstream = Upstream::ok();
    let clients = "[clients.me]\nunix-user = \"root\"\n";
    let gateway = Setup::routes(&(clients.to_owned() + &cloud(&upstream))).start();
    let request = ask("GET", LIST).bytes(gateway.address);
    // While the gateway stands still, callers come and go; it meets them when they are gone. One stays.
    stop(&gateway);
    let left = 20;
    for _ in 0..left {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.write_all(&request).unwrap();
        drop(stream);
    }
    let mut stays = gateway.connect();
    stays.send(&request);
    gateway.signal("CONT");
    let answer = stays.response("GET");
    let known = gateway.record_of(&answer);
    assert_eq!(known["source"], format!("127.0.0.1 uid={}", own()));
    let records = gateway.wait_for_records(2);
    let others: Vec<_> = records.iter().filter(|record| **record != known).collect();
    assert!(!others.is_empty(), "no request of a caller that left was read");
    for record in others {
        assert_eq!(record["source"], "127.0.0.1", "{record}");
    }
}

#[test]
fn nobody_is_asked_for_when_nobody_is_known_by_it() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&cloud(&upstream));
    assert_eq!(gateway.record_of(&gateway.call(&ask("GET", LIST)))["source"], "127.0.0.1");
    // The same for a trusted proxy: the socket is the proxy's, not its caller's.
    let clients = "[clients.me]\nunix-user = \"root\"\n";
    let setup = Setup::routes(&(clients.to_owned() + &cloud(&upstream)));
    let gateway = setup.listen(&behind_proxy("x-forwarded-for", "")).start();
    let answer = Caller::over(from_proxy(gateway.address)).call(&ask("GET", LIST));
    assert_eq!(gateway.record_of(&answer)["source"], "unknown via 127.0.0.2");
    let answer = gateway.call(&ask("GET", LIST));
    assert_eq!(gateway.record_of(&answer)["source"], format!("127.0.0.1 uid={}", own()));
}

/// A caller sends a request and breaks its connection; another process happens to connect from the very same port
/// before the gateway has met the first. The first one's request is not the second one's.
#[test]
fn a_successor_on_the_same_port_is_not_the_caller() {
    let upstream = Upstream::ok();
    let clients = "[clients.me]\nunix-user = \"root\"\n";
    let gateway = Setup::routes(&(clients.to_owned() + &cloud(&upstream))).start();
    let connect = |port: u16| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        socket.connect(&gateway.address.into())?;
        std::io::Result::Ok(TcpStream::from(socket))
    };
    let (mut broken, mut succeeded) = (0, 0);
    while succeeded < 3 {
        stop(&gateway);
        let mut first = connect(0).unwrap();
        let port = first.local_addr().unwrap().port();
        first.write_all(&ask("GET", "/client/api?command=listZones").bytes(gateway.address)).unwrap();
        socket2::SockRef::from(&first).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(first);
        broken += 1;
        let second = connect(port);
        gateway.signal("CONT");
        // The port may be taken by then: there are other tests.
        let Ok(second) = second else {
            assert!(broken < 50, "no port could be taken over");
            continue;
        };
        let answer = Caller::over(second).call(&ask("GET", LIST));
        assert_eq!(gateway.record_of(&answer)["source"], format!("127.0.0.1 uid={}", own()));
        succeeded += 1;
    }
    let records = gateway.wait_for_records(broken + succeeded);
    let broken_off: Vec<_> = records.iter().filter(|record| record["operation"] == "listZones").collect();
    assert_eq!(broken_off.len(), broken, "the requests of those that left were read");
    for record in broken_off {
        assert_eq!(record["source"], "127.0.0.1", "{record}");
    }
}
