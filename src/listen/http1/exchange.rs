//! One request and its answer: the request path, watched for a caller who leaves, and then the answer as it comes.
//!
//! Its state is large, and a connection needs it for a moment: a worker keeps [`Room`]s for exchanges, so that a
//! connection that waits has none.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;

use super::answer::{self, Coding};
use super::head::Terms;
use super::line::Line;
use super::outgoing::Outgoing;
use super::spares::Spares;
use crate::body::incoming::Incoming;
use crate::gateway::{AnswerBody, Connection};
use crate::listen::Shared;
use crate::listen::open::OpenConnections;

/// What an exchange begins with.
pub(super) struct Start {
    pub(super) shared: Rc<Shared>,
    pub(super) open: Rc<OpenConnections>,
    pub(super) line: Rc<Line>,
    pub(super) connection: Rc<Connection>,
    pub(super) request: Request<Incoming>,
    pub(super) terms: Terms,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It serves another request.
    GoesOn,
    /// The answer was its last.
    Closes,
    /// The caller has left, or must see that its answer is not whole.
    Breaks,
}

/// Serves the exchanges of one room, one after the other, for ever. They are no future of their own, which would be
/// moved to its place for each of them.
async fn serve(post: Rc<Post>) -> Infallible {
    loop {
        let begun = poll_fn(|_| post.start.take().map_or(Poll::Pending, Poll::Ready)).await;
        let end = {
            let Start { shared, open, line, connection, request, mut terms } = begun;
            let answer = {
                let mut answer = pin!(shared.gateway.handle(request, connection));
                poll_fn(|context| match answer.as_mut().poll(context) {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending => line.poll_left(context).map(|()| None),
                })
                .await
            };
            match answer {
                None => End::Breaks,
                Some(answer) => {
                    terms.keep_alive &= !open.is_draining();
                    finish(&shared.spares, &line, answer, terms).await
                }
            }
        };
        post.end.set(Some(end));
    }
}

/// Gives the caller its answer, and finds out what becomes of the connection.
async fn finish(spares: &Spares, line: &Line, answer: Response<AnswerBody>, mut terms: Terms) -> End {
    if !line.is_wanted() {
        // What is known now of the connection's future is told with the answer.
        let is_drained = terms.keep_alive && poll_fn(|context| Poll::Ready(line.drain(context))).await;
        terms.keep_alive &= is_drained;
    }
    if !send(spares, line, answer, &mut terms).await {
        return End::Breaks;
    }
    // After an early answer the upstream may still be reading.
    if line.is_wanted() || terms.keep_alive {
        terms.keep_alive &= poll_fn(|context| line.poll_settled(context)).await;
    }
    if terms.keep_alive { End::GoesOn } else { End::Closes }
}

/// What there is to do next for an answer's body.
enum Turn {
    Data(Bytes),
    Ended,
    /// Nothing more is there yet: what is there goes out.
    Flush,
    /// The answer broke off, or the caller has left.
    Broken,
}

/// Sends an answer; whether all of it is out.
async fn send(spares: &Spares, line: &Line, answer: Response<AnswerBody>, terms: &mut Terms) -> bool {
    let mut out = Outgoing::new(spares.head());
    out.head.extend_from_slice(line.rest_of_interim());
    let length = if answer.body().is_end_stream() { Some(0) } else { answer.body().size_hint().exact() };
    let coding = answer::head(&answer, length, terms, &spares.date, &mut out.head);
    let (head, body) = answer.into_parts();
    spares.keep_headers(head.headers);
    let is_whole = stream(line, body, coding, &mut out).await;
    spares.keep_head(std::mem::take(&mut out.head));
    if !is_whole && coding == Coding::Close {
        // Its end is all that tells the caller where the body ends.
        line.cut();
    }
    is_whole
}

/// Sends what is in `out`, and the body behind it.
async fn stream(line: &Line, mut body: AnswerBody, mut coding: Coding, out: &mut Outgoing) -> bool {
    if coding == Coding::None {
        // Nothing is asked of the body, which has no bytes that anybody wants.
        drop(body);
        return poll_fn(|context| line.poll_send(out, context)).await.is_ok();
    }
    loop {
        let turn = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Ready(None) => Poll::Ready(Turn::Ended),
            Poll::Ready(Some(Err(_))) => Poll::Ready(Turn::Broken),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Turn::Data(frame.into_data().unwrap_or_default())),
            Poll::Pending if !out.is_empty() => Poll::Ready(Turn::Flush),
            Poll::Pending => line.poll_left(context).map(|()| Turn::Broken),
        })
        .await;
        let is_over = match turn {
            Turn::Flush => false,
            Turn::Broken => return false,
            Turn::Ended => {
                if !ended(coding, out) {
                    return false;
                }
                true
            }
            Turn::Data(data) => {
                let is_last = body.is_end_stream();
                if !framed(&mut coding, data, is_last, out) {
                    return false;
                }
                is_last
            }
        };
        if poll_fn(|context| line.poll_send(out, context)).await.is_err() {
            return false;
        }
        if is_over {
            return true;
        }
    }
}

/// Adds bytes of a body in its framing; false when they do not fit it.
fn framed(coding: &mut Coding, data: Bytes, is_last: bool, out: &mut Outgoing) -> bool {
    match coding {
        Coding::None => {}
        Coding::Close => out.push(data, b""),
        Coding::Length(left) => {
            let Some(rest) = left.checked_sub(data.len() as u64) else { return false };
            if is_last && rest > 0 {
                return false;
            }
            *left = rest;
            out.push(data, b"");
        }
        // A chunk of no bytes would end the body.
        Coding::Chunked if data.is_empty() => return !is_last || ended(*coding, out),
        Coding::Chunked => {
            answer::chunk(data.len(), &mut out.head);
            out.push(data, if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" });
        }
    }
    true
}

/// Adds what ends a body; false when it is too short.
fn ended(coding: Coding, out: &mut Outgoing) -> bool {
    match coding {
        Coding::None | Coding::Length(0) | Coding::Close => true,
        Coding::Length(_) => false,
        Coding::Chunked => {
            out.push(Bytes::new(), b"0\r\n\r\n");
            true
        }
    }
}

/// Where an exchange begins and ends.
#[derive(Default)]
struct Post {
    start: Cell<Option<Start>>,
    end: Cell<Option<End>>,
}

/// Room for one exchange at a time.
pub(super) struct Room {
    post: Rc<Post>,
    future: Pin<Box<dyn Future<Output = Infallible>>>,
}

impl Room {
    fn new() -> Self {
        let post = Rc::<Post>::default();
        Self { future: Box::pin(serve(post.clone())), post }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        match self.future.as_mut().poll(context) {
            Poll::Ready(never) => match never {},
            Poll::Pending => self.post.end.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

/// An exchange in progress; what is left of one that is dropped is dropped with it, and its room too.
pub(super) struct Exchange {
    room: Option<Room>,
    spares: Rc<Spares>,
}

impl Exchange {
    /// Begins one.
    pub(super) fn begin(start: Start) -> Self {
        let spares = start.shared.spares.clone();
        let room = spares.room().unwrap_or_else(Room::new);
        room.post.start.set(Some(start));
        Self { room: Some(room), spares }
    }

    /// Goes on with it; one that is over breaks.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let Some(room) = &mut self.room else { return Poll::Ready(End::Breaks) };
        let end = ready!(room.poll(context));
        self.room.take().into_iter().for_each(|room| self.spares.keep_room(room));
        Poll::Ready(end)
    }
}
