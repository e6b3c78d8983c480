//! Callers who go on calling, whatever becomes of the gateway: reads, calls that change something, calls that are
//! refused. Each call carries an id that no other call has.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use uuid::Uuid;

/// How many call at once.
const CALLERS: usize = 4;

/// What a call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Reads,
    Changes,
    Refused,
}

/// A call that was begun.
pub struct Call {
    pub id: String,
    pub kind: Kind,
    /// The status of an answer that came whole.
    pub answered: Option<u16>,
}

/// The callers of one life of the gateway.
pub struct Callers {
    threads: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Callers {
    pub fn start(address: SocketAddr) -> Self {
        let over = Arc::<AtomicBool>::default();
        let answers = Arc::<AtomicUsize>::default();
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let threads = (0..CALLERS).map(|turn| {
            let (over, answers, calls) = (over.clone(), answers.clone(), calls.clone());
            std::thread::spawn(move || {
                let mut connection = None;
                for turn in turn.. {
                    if over.load(SeqCst) {
                        return;
                    }
                    let (kind, id, request) = call(turn);
                    let answered = ask(&mut connection, address, &request);
                    answers.fetch_add(usize::from(answered.is_some()), SeqCst);
                    if answered.is_none() {
                        connection = None;
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    calls.lock().unwrap().push(Call { id, kind, answered });
                }
            })
        });
        Self { threads: threads.collect(), over, answers, calls }
    }

    /// How many answers came whole so far.
    pub fn answers(&self) -> usize {
        self.answers.load(SeqCst)
    }

    /// Ends the callers; what they called.
    pub fn stop(self) -> Vec<Call> {
        self.over.store(true, SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

/// The rest of a key: long, so that a record soon has more than one segment.
fn rest() -> String {
    "/a-part-of-a-key".repeat(50)
}

/// One of every kind in turn.
fn call(turn: usize) -> (Kind, String, String) {
    let id = Uuid::new_v4().to_string();
    let (kind, method, host, target, body) = match turn % 8 {
        0 | 4 => (Kind::Changes, "PUT", "s3.internal", format!("/bucket/{id}{}", rest()), "body"),
        1 => (Kind::Reads, "GET", "s3.internal", format!("/bucket/{id}{}", rest()), ""),
        2 => (Kind::Changes, "DELETE", "s3.internal", format!("/bucket/{id}{}", rest()), ""),
        3 => (Kind::Refused, "PUT", "s3.internal", format!("/sealed/{id}{}", rest()), "body"),
        5 => (Kind::Changes, "GET", "cloud.internal", cloud("startVirtualMachine", &id), ""),
        6 => (Kind::Reads, "GET", "cloud.internal", cloud("listVirtualMachines", &id), ""),
        _ => (Kind::Changes, "POST", "cloud.internal", cloud("deleteVolume", &id), ""),
    };
    let length = body.len();
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
    (kind, id, request)
}

fn cloud(command: &str, id: &str) -> String {
    format!("/client/api?command={command}&id={id}&response=json")
}

/// The status of the answer, when it came whole.
fn ask(connection: &mut Option<TcpStream>, address: SocketAddr, request: &str) -> Option<u16> {
    if connection.is_none() {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        *connection = Some(stream);
    }
    let stream = connection.as_mut()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        if rest.len() >= length {
            return head.split(' ').nth(1)?.parse().ok();
        }
    }
}
