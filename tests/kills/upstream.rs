//! An upstream that notes every id that reaches it, in whatever shape, the moment its bytes arrive: a request that is
//! cut off counts as seen.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::ids;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// Answers everything with an empty object.
pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<HashSet<String>>,
    open: AtomicUsize,
    ended: AtomicBool,
}

impl Upstream {
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let all = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if all.ended.load(SeqCst) {
                    return;
                }
                all.open.fetch_add(1, SeqCst);
                let own = all.clone();
                std::thread::spawn(move || {
                    own.serve(stream);
                    own.open.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    /// Every id that came, once everything that was sent is read. Whoever sent it must be dead.
    pub fn seen(&self) -> HashSet<String> {
        // Connections are accepted in their order: with the answer to this one, every earlier one is counted as open.
        let mut marker = TcpStream::connect(self.address).unwrap();
        marker.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(marker.read(&mut [0; 64]).unwrap() > 0);
        drop(marker);
        let start = Instant::now();
        while self.shared.open.load(SeqCst) > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "a connection of a dead process is open");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 {
                return;
            }
            bytes.extend_from_slice(&buffer[..count]);
            self.seen.lock().unwrap().extend(ids(&bytes));
            while let Some(length) = request(&bytes) {
                bytes.drain(..length);
                if stream.write_all(ANSWER).is_err() {
                    return;
                }
            }
        }
    }
}

/// The length of the first request, when it is there to its end.
fn request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    assert!(!text.contains("transfer-encoding"), "no caller here sends without a length: {text}");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let whole = head + length.map_or(0, |length| length.trim().parse::<usize>().unwrap());
    (bytes.len() >= whole).then_some(whole)
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}
