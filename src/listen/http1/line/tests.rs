use std::future::poll_fn;

use tokio::io::{AsyncRead as _, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::listen::http1::outgoing::COPIED;

impl Wire for DuplexStream {}

const SHORT: Duration = Duration::from_millis(50);

/// A connection and its caller's end.
fn connected() -> (Rc<Line<DuplexStream>>, DuplexStream) {
    let limits = Limits {
        header_timeout: SHORT,
        idle_timeout: SHORT * 2,
        body_timeout: SHORT,
        head: 64 << 10,
        ..Limits::default()
    };
    let (ours, theirs) = duplex(256 << 10);
    (Rc::new(Line::new(ours, &limits, Rc::default())), theirs)
}

async fn next(line: &Line<DuplexStream>) -> Next {
    let (open, mut reader) = (OpenConnections::default(), Reader::default());
    poll_fn(|context| line.poll_head(&mut reader, &open, context)).await
}

async fn path(line: &Line<DuplexStream>) -> String {
    match next(line).await {
        Next::Head(head) => head.request.uri().path().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The body of a turn, to its end.
async fn body(line: &Line<DuplexStream>, turn: u64) -> Result<Vec<u8>, Broken> {
    let mut all = Vec::new();
    loop {
        match poll_fn(|context| line.poll_piece(turn, context)).await? {
            Piece::Data(data, last) => {
                assert!(data.len() <= MOST);
                all.extend_from_slice(&data);
                if last {
                    return Ok(all);
                }
            }
            Piece::End => return Ok(all),
        }
    }
}

fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
    poll(&mut Context::from_waker(Waker::noop()))
}

async fn sent(theirs: &mut DuplexStream, bytes: &[u8]) {
    theirs.write_all(bytes).await.unwrap();
}

#[tokio::test]
async fn heads_and_bodies_follow_one_another() {
    let (line, mut theirs) = connected();
    let long: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let length = long.len() as u64;
    let sending = tokio::spawn(async move {
        sent(&mut theirs, b"PUT /a HTTP/1.1\r\n\r\n").await;
        sent(&mut theirs, &long).await;
        sent(
            &mut theirs,
            b"PUT /b HTTP/1.1\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /c HTTP/1.1\r\n\r\nGET /d",
        )
        .await;
        (theirs, long)
    });
    assert_eq!(path(&line).await, "/a");
    let turn = line.begin(Framing::Length(length), false);
    assert_eq!(line.left(turn), Some(length));
    let read = body(&line, turn).await.unwrap();
    assert_eq!((line.left(turn), line.is_wanted()), (None, false));
    assert_eq!(path(&line).await, "/b");
    let turn = line.begin(Framing::chunked(), false);
    assert_eq!(body(&line, turn).await.unwrap(), b"abcde");
    assert_eq!(path(&line).await, "/c");
    let (mut theirs, long) = sending.await.unwrap();
    assert!(read == long);
    assert!(matches!(next(&line).await, Next::Over), "it was too slow");
    let mut nothing = Vec::new();
    drop(line);
    theirs.read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn a_body_reads_nothing_of_another_turn() {
    let (line, mut theirs) = connected();
    sent(&mut theirs, b"abcdefgh").await;
    let first = line.begin(Framing::Length(3), false);
    assert_eq!(body(&line, first).await.unwrap(), b"abc");
    let second = line.begin(Framing::Length(5), false);
    assert_eq!(once(|context| line.poll_piece(first, context)), Poll::Ready(Err(Broken)));
    assert_eq!(line.left(first), None);
    line.let_go(first);
    assert!(line.is_wanted());
    assert_eq!(body(&line, second).await.unwrap(), b"defgh");
    assert_eq!(once(|context| line.poll_piece(second, context)), Poll::Ready(Ok(Piece::End)));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_body() {
    for (framing, bytes) in [
        (Framing::Length(5), &b"abcd"[..]),
        (Framing::chunked(), b"4\r\nabcd\r\n"),
        (Framing::chunked(), b"4\r\nabcd\r\n0\r\n\n"),
    ] {
        let (line, mut theirs) = connected();
        sent(&mut theirs, bytes).await;
        drop(theirs);
        let turn = line.begin(framing, false);
        assert_eq!(body(&line, turn).await, Err(Broken));
        assert_eq!(once(|context| line.poll_piece(turn, context)), Poll::Ready(Err(Broken)));
        assert!(!poll_fn(|context| line.poll_settled(context)).await && line.is_unread());
    }
}

#[tokio::test]
async fn what_nobody_wants_is_drained_where_it_is_there() {
    let settled = async |framing, bytes: &[u8]| {
        let (line, mut theirs) = connected();
        sent(&mut theirs, bytes).await;
        let turn = line.begin(framing, true);
        line.let_go(turn);
        assert_eq!(once(|context| line.poll_piece(turn, context)), Poll::Ready(Err(Broken)));
        let settled = poll_fn(|context| line.poll_settled(context)).await;
        assert_eq!(settled, once(|context| line.drain(context)));
        assert_eq!(settled, settled && path(&line).await == "/next");
        settled
    };
    let next = b"GET /next HTTP/1.1\r\n\r\n";
    assert!(settled(Framing::Length(3), &[b"abc", &next[..]].concat()).await);
    assert!(settled(Framing::chunked(), &[b"3\r\nabc\r\n0\r\n\r\n", &next[..]].concat()).await);
    assert!(settled(Framing::Length(60_000), &[&[b'x'; 60_000], &next[..]].concat()).await);
    assert!(!settled(Framing::Length(4), b"abc").await);
    assert!(!settled(Framing::chunked(), b"3\r\nabc\r\n0\r\n").await);
    assert!(!settled(Framing::chunked(), b"3\r\nabcX").await);
    assert!(!settled(Framing::Length(200_000), &[b'x'; 200_000]).await);
}

#[tokio::test]
async fn whoever_waits_to_be_asked_is_asked_when_its_body_is_wanted() {
    let (line, mut theirs) = connected();
    let turn = line.begin(Framing::Length(2), true);
    let mut seen = [0; 64];
    assert!(
        once(|context| Pin::new(&mut theirs).poll_read(context, &mut tokio::io::ReadBuf::new(&mut seen)))
            .is_pending()
    );
    assert!(once(|context| line.poll_piece(turn, context)).is_pending());
    let length = theirs.read(&mut seen).await.unwrap();
    assert_eq!(&seen[..length], CONTINUE);
    // Once.
    assert!(once(|context| line.poll_piece(turn, context)).is_pending());
    sent(&mut theirs, b"ab").await;
    assert_eq!(body(&line, turn).await.unwrap(), b"ab");
    assert_eq!(line.rest_of_interim(), b"");

    // Whoever does not wait is not asked.
    sent(&mut theirs, b"a").await;
    let turn = line.begin(Framing::Length(2), true);
    let piece = poll_fn(|context| line.poll_piece(turn, context)).await;
    assert_eq!(piece.is_ok(), line.interim.get().is_some() || piece.is_ok());
    sent(&mut theirs, b"b").await;
    assert_eq!(body(&line, turn).await.unwrap(), b"b");

    // Once the answer begins nobody is asked, but what has begun is ended.
    line.begin(Framing::Length(2), true);
    assert_eq!(line.rest_of_interim(), b"");
    assert_eq!(line.interim.get(), None);
    line.begin(Framing::Length(2), true);
    line.interim.set(Some(20));
    assert_eq!(line.rest_of_interim(), &CONTINUE[20..]);
}

#[tokio::test]
async fn a_caller_who_leaves_is_noticed_while_nothing_of_it_is_read() {
    let (line, mut theirs) = connected();
    assert!(once(|context| line.poll_left(context)).is_pending());
    sent(&mut theirs, b"GET /next HTTP/1.1\r\n\r\n").await;
    assert!(once(|context| line.poll_left(context)).is_pending());
    assert!(once(|context| line.poll_left(context)).is_pending(), "a next request is no leaving");
    assert_eq!(path(&line).await, "/next");
    let turn = line.begin(Framing::Length(1), false);
    drop(theirs);
    assert!(once(|context| line.poll_left(context)).is_pending(), "the body's reader will notice");
    assert_eq!(body(&line, turn).await, Err(Broken));
    line.stage.set(Stage::Over);
    poll_fn(|context| line.poll_left(context)).await;
}

#[tokio::test]
async fn whoever_watches_a_body_is_woken_at_its_end() {
    for way in 0..3 {
        let (line, mut theirs) = connected();
        let turn = line.begin(Framing::Length(3), false);
        let reading = async {
            tokio::time::sleep(SHORT / 5).await;
            match way {
                0 => {
                    sent(&mut theirs, b"abc").await;
                    body(&line, turn).await.unwrap();
                }
                1 => line.let_go(turn),
                _ => {
                    theirs.shutdown().await.unwrap();
                    body(&line, turn).await.unwrap_err();
                }
            }
        };
        let (settled, ()) = tokio::join!(
            async {
                tokio::spawn(std::future::ready(())).await.unwrap();
                poll_fn(|context| line.poll_settled(context)).await
            },
            reading
        );
        assert_eq!(settled, way == 0, "{way}");
    }
}

#[tokio::test]
async fn waits_have_an_end() {
    let (line, mut theirs) = connected();
    let start = std::time::Instant::now();
    assert!(matches!(next(&line).await, Next::Over));
    assert!(start.elapsed() >= SHORT * 2);
    // A trickle does not extend the time for a head.
    let (line, mut trickling) = connected();
    let start = std::time::Instant::now();
    let (over, ()) = tokio::join!(next(&line), async {
        for byte in b"GET / HTTP" {
            sent(&mut trickling, &[*byte]).await;
            tokio::time::sleep(SHORT / 4).await;
        }
    });
    assert!(matches!(over, Next::Over) && start.elapsed() >= SHORT);
    // A caller who takes nothing.
    let mut out = Outgoing::new(b"head".to_vec());
    out.push(vec![b'x'; 512 << 10].into(), b"tail");
    let error = poll_fn(|context| line.poll_send(&mut out, context)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    sent(&mut theirs, b"x").await;
}

#[tokio::test]
async fn a_connection_that_waits_holds_no_buffer() {
    let (line, mut theirs) = connected();
    sent(&mut theirs, b"GET /a HTTP/1.1\r\n\r\n").await;
    assert_eq!(path(&line).await, "/a");
    assert!(line.buffer.borrow().capacity() > 0);
    let (open, mut reader) = (OpenConnections::default(), Reader::default());
    assert!(once(|context| line.poll_head(&mut reader, &open, context)).is_pending());
    assert_eq!(line.buffer.borrow().capacity(), 0);
    // Nor when it begins to drain; one that has begun to send is waited for.
    open.drain();
    assert!(matches!(once(|context| line.poll_head(&mut reader, &open, context)), Poll::Ready(Next::Over)));
    sent(&mut theirs, b"GET /b").await;
    let open = OpenConnections::default();
    assert!(once(|context| line.poll_head(&mut reader, &open, context)).is_pending());
    open.drain();
    assert!(once(|context| line.poll_head(&mut reader, &open, context)).is_pending());
}

#[tokio::test]
async fn all_that_is_pushed_goes_out_in_order() {
    for length in [0, 1, 100, COPIED, COPIED + 1, 100_000] {
        let (ours, mut theirs) = duplex(7);
        let line = Line::new(ours, &Limits::default(), Rc::default());
        let mut out = Outgoing::new(b"0123456789".to_vec());
        let data: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
        out.push(data.clone().into(), b"\r\n0\r\n\r\n");
        let sending = async {
            poll_fn(|context| line.poll_send(&mut out, context)).await.unwrap();
            assert!(out.is_empty());
            poll_fn(|context| line.poll_shutdown(context)).await;
        };
        let mut seen = Vec::new();
        let ((), read) = tokio::join!(sending, theirs.read_to_end(&mut seen));
        read.unwrap();
        assert!(seen == [b"0123456789", &data[..], b"\r\n0\r\n\r\n"].concat(), "{length}");
    }
}
