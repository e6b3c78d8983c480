//! Long bodies through the real program: how fast, at what cost of processor time, and in how much memory over the
//! idle process. Sink and source are in this process; the figures of memory and processor are the gateway's alone.
//!
//! `cargo bench --bench bodies` prints a table; `-- --quick` uses shorter bodies, and any other word keeps only the
//! rows whose name holds it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};

use support::{Gateway, Setup, route};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// What a gateway may take over its idle self, in MiB.
const BAR: u64 = 64;
/// Bytes that move at a time on this side.
const PIECE: usize = 256 << 10;

/// What is sent or asked for.
#[derive(Clone, Copy)]
enum Body {
    /// As it is.
    Plain,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER` with a CRC-32, as today's SDKs send it.
    Framed,
    /// Without a length.
    Open,
    /// The upstream sends it.
    Download,
}

struct Row {
    name: &'static str,
    /// The route that takes it.
    host: &'static str,
    body: Body,
    length: u64,
    at_once: u64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let quick = words.iter().any(|word| word == "--quick");
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let long = if quick { 256 * MIB } else { 5 * GIB };
    let (many, each) = if quick { (16, 16 * MIB) } else { (64, 64 * MIB) };
    let spooled = if quick { 256 * MIB } else { 2 * GIB };
    let row = |name, host, body, length, at_once| Row { name, host, body, length, at_once };
    let rows = [
        row("PUT, signed in chunks", "auto.internal", Body::Plain, long, 1),
        row("PUT, aws-chunked in, signed chunks out", "auto.internal", Body::Framed, long, 1),
        row("PUT, aws-chunked in and out, trailer", "trailer.internal", Body::Framed, long, 1),
        row("PUT, unsigned", "unsigned.internal", Body::Plain, long, 1),
        row("PUT, version 2", "two.internal", Body::Plain, long, 1),
        row("PUT without length, spooled and hashed", "auto.internal", Body::Open, spooled, 1),
        row("GET", "auto.internal", Body::Download, long, 1),
        row("PUTs at once, signed in chunks", "auto.internal", Body::Plain, each, many),
        row("PUTs at once, aws-chunked in", "auto.internal", Body::Framed, each, many),
        row("PUTs at once, spooled", "auto.internal", Body::Open, each, many),
        row("GETs at once", "auto.internal", Body::Download, each, many),
    ];
    let upstream = upstream();
    println!(
        "{:<40} {:>12} {:>8} {:>10} {:>10} {:>12}",
        "", "body", "MB/s", "CPU s/GiB", "idle MiB", "over idle MiB"
    );
    let mut over = false;
    for row in rows {
        if wanted.is_empty() || wanted.iter().any(|word| row.name.contains(word.as_str())) {
            over |= measure(&row, upstream);
        }
    }
    if over {
        println!("more than {BAR} MiB over the idle process");
        std::process::exit(1);
    }
}

/// Runs one row on a gateway of its own and prints it; whether it took too much memory.
fn measure(row: &Row, upstream: SocketAddr) -> bool {
    let gateway = gateway(upstream);
    let idle = gateway.resident();
    // Resets the high-water mark (proc(5), clear_refs).
    fs::write(format!("/proc/{}/clear_refs", gateway.pid()), "5").unwrap();
    let processor = processor_seconds(gateway.pid());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..row.at_once {
            scope.spawn(|| exchange(gateway.address, row));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let processor = processor_seconds(gateway.pid()) - processor;
    let over = gateway.peak().saturating_sub(idle) / MIB;
    let total = row.length * row.at_once;
    let body = match row.at_once {
        1 => format!("{} MiB", row.length / MIB),
        many => format!("{many} x {} MiB", row.length / MIB),
    };
    println!(
        "{:<40} {body:>12} {:>8.0} {:>10.2} {:>10} {over:>12}{}",
        row.name,
        decimal(total) / 1e6 / seconds,
        processor / (decimal(total) / decimal(GIB)),
        idle / MIB,
        if over > BAR { "  OVER" } else { "" },
    );
    over > BAR
}

#[allow(clippy::cast_precision_loss)]
fn decimal(bytes: u64) -> f64 {
    bytes as f64
}

fn gateway(upstream: SocketAddr) -> Gateway {
    let url = format!("\"http://{upstream}\"");
    let v4 = |rest: &str| format!("s3-v4 = {{ credential = \"key\", region = \"us-east-1\"{rest} }}");
    let two = "s3-v2 = { credential = \"key\", dialect = \"ceph\" }".to_owned();
    let routes = [
        ("auto", v4("")),
        ("trailer", v4(", upstream-chunked = \"trailer\"")),
        ("unsigned", v4(", payload = \"unsigned\"")),
        ("two", two),
    ];
    let routes: String = routes
        .iter()
        .map(|(name, sign)| route(name, &format!("host = \"{name}.internal\""), &url, sign))
        .collect();
    // As many workers as a default gateway has.
    Setup::routes(&routes).workers(0).start()
}

/// Processor time of a process so far, in user and kernel mode.
fn processor_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, fields 14 and 15 of proc(5), in ticks of 1/100 s on Linux.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// One request and its whole answer.
fn exchange(gateway: SocketAddr, row: &Row) {
    let mut stream = TcpStream::connect(gateway).unwrap();
    let length = row.length;
    let head = |method: &str, rest: &str| {
        format!("{method} /b/{length} HTTP/1.1\r\nHost: {}\r\n{rest}\r\n", row.host)
    };
    match row.body {
        Body::Download => {
            stream.write_all(head("GET", "").as_bytes()).unwrap();
            assert_eq!(read_answer(&mut stream), length);
            return;
        }
        Body::Plain => {
            stream.write_all(head("PUT", &format!("Content-Length: {length}\r\n")).as_bytes()).unwrap();
            pieces(length, |piece| stream.write_all(piece).unwrap());
        }
        Body::Open => {
            stream.write_all(head("PUT", "Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
            pieces(length, |piece| chunk(&mut stream, piece));
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
        Body::Framed => {
            let mut sum = Digest::new(CrcAlgorithm::Crc32IsoHdlc);
            let line = format!("{PIECE:x}\r\n").len() as u64 + 2;
            let end = b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n".len() as u64;
            let framed = length + length / PIECE as u64 * line + end;
            let headers = format!(
                "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nContent-Encoding: aws-chunked\r\n\
                 x-amz-trailer: x-amz-checksum-crc32\r\nx-amz-decoded-content-length: {length}\r\n\
                 Content-Length: {framed}\r\n"
            );
            stream.write_all(head("PUT", &headers).as_bytes()).unwrap();
            pieces(length, |piece| {
                sum.update(piece);
                chunk(&mut stream, piece);
            });
            let sum = STANDARD.encode(&sum.finalize().to_be_bytes()[4..]);
            stream.write_all(format!("0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n").as_bytes()).unwrap();
        }
    }
    assert_eq!(read_answer(&mut stream), 2);
}

fn pieces(length: u64, mut send: impl FnMut(&[u8])) {
    let piece: Vec<u8> = (0..PIECE).map(|at| at.to_le_bytes()[0]).collect();
    for _ in 0..length / PIECE as u64 {
        send(&piece);
    }
}

fn chunk(stream: &mut TcpStream, piece: &[u8]) {
    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
    stream.write_all(piece).unwrap();
    stream.write_all(b"\r\n").unwrap();
}

/// The length of the body of an answer, which must be a 200.
fn read_answer(stream: &mut TcpStream) -> u64 {
    let (head, begun) = read_head(stream).expect("no answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = number(&head, "content-length").unwrap();
    assert_eq!(begun + skip(stream, length - begun), length, "the answer broke off");
    length
}

/// A head, and how many bytes of the body came with it.
fn read_head(stream: &mut TcpStream) -> Option<(String, u64)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let begun = bytes.len() - end - 4;
            return Some((
                String::from_utf8_lossy(&bytes[..end + 2]).to_lowercase().replace("http/1.1", "HTTP/1.1"),
                begun as u64,
            ));
        }
    }
}

fn number(head: &str, name: &str) -> Option<u64> {
    let value = head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().parse().ok()
}

/// Reads `length` bytes and throws them away; how many came.
fn skip(stream: &mut TcpStream, length: u64) -> u64 {
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    while read < length {
        let room = usize::try_from(length - read).unwrap_or(PIECE).min(PIECE);
        match stream.read(&mut piece[..room]) {
            Ok(count) if count > 0 => read += count as u64,
            _ => break,
        }
    }
    read
}

/// Takes every upload, and gives as many bytes as the last segment of a path names.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || while serve(&mut stream).is_some() {});
        }
    });
    address
}

fn serve(stream: &mut TcpStream) -> Option<()> {
    let (head, begun) = read_head(stream)?;
    let wanted: u64 = head.split(' ').nth(1)?.rsplit('/').next()?.parse().unwrap();
    if head.starts_with("get ") {
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {wanted}\r\n\r\n").as_bytes()).ok()?;
        pieces(wanted, |piece| {
            let _ = stream.write_all(piece);
        });
        return Some(());
    }
    let length = number(&head, "content-length").expect("what is signed has a length");
    assert!(length >= wanted && length <= wanted + wanted / 500 + 1000, "{wanted} became {length}");
    if begun + skip(stream, length - begun) < length {
        return None;
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()
}
