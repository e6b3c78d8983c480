//! A caller's body as its connection gives it: over HTTP/1 by a connection of our own, over HTTP/2 by hyper.
//!
//! Over HTTP/1 the body reads from the connection itself, piece by piece and only when it is asked. It knows which
//! request of the connection it belongs to, and never sees a byte of another.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// The body broke off, or what came is no body; the connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller's body broke off")]
pub struct Broken;

/// What a connection says when it is asked for more of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes, and whether they are the last.
    Data(Bytes, bool),
    /// It was over before.
    End,
}

/// A connection that bodies read from. Requests take turns on it.
pub trait Inflow {
    /// More of the body of this turn.
    fn poll_piece(&self, turn: u64, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>>;

    /// How many bytes the body of this turn still has, where its head said so.
    fn left(&self, turn: u64) -> Option<u64>;

    /// Nobody wants the rest of the body of this turn.
    fn let_go(&self, turn: u64);
}

/// A body that reads from a connection.
pub struct Flow {
    inflow: Rc<dyn Inflow>,
    turn: u64,
    over: bool,
}

impl Flow {
    /// The body of this turn, of which something is still to come.
    pub fn new(inflow: Rc<dyn Inflow>, turn: u64) -> Self {
        Self { inflow, turn, over: false }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.inflow.poll_piece(self.turn, context));
        self.over = !matches!(piece, Ok(Piece::Data(_, false)));
        Poll::Ready(match piece {
            Ok(Piece::Data(data, _)) => Some(Ok(data)),
            Ok(Piece::End) => None,
            Err(broken) => Some(Err(broken)),
        })
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if !self.over {
            self.inflow.let_go(self.turn);
        }
    }
}

/// A caller's body.
pub enum Incoming {
    /// None.
    Empty,
    /// From an HTTP/1 connection.
    Http1(Flow),
    /// From a stream of an HTTP/2 connection.
    Http2(hyper::body::Incoming),
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "Empty",
            Self::Http1(_) => "Http1",
            Self::Http2(_) => "Http2",
        })
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(flow) => flow.poll_data(context).map(|data| data.map(|data| data.map(Frame::data))),
            Self::Http2(incoming) => Pin::new(incoming)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|_| Broken))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(flow) => flow.over,
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(flow) if flow.over => SizeHint::with_exact(0),
            Self::Http1(flow) => flow.inflow.left(flow.turn).map_or_else(SizeHint::new, SizeHint::with_exact),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::task::Waker;

    use http_body::Body as _;

    use super::*;

    /// Gives what it was given to give.
    #[derive(Default)]
    struct Told {
        pieces: RefCell<Vec<Result<Piece, Broken>>>,
        let_go: Cell<Option<u64>>,
    }

    impl Inflow for Told {
        fn poll_piece(&self, turn: u64, _: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
            assert_eq!(turn, 7);
            self.pieces.borrow_mut().pop().map_or(Poll::Pending, Poll::Ready)
        }

        fn left(&self, _: u64) -> Option<u64> {
            Some(5)
        }

        fn let_go(&self, turn: u64) {
            self.let_go.set(Some(turn));
        }
    }

    /// Polls until nothing more is said; what came, whether it was over, and whether it was let go.
    fn read(mut pieces: Vec<Result<Piece, Broken>>) -> (Vec<Option<Result<Bytes, Broken>>>, bool, bool) {
        pieces.reverse();
        let told = Rc::new(Told { pieces: pieces.into(), ..Told::default() });
        let mut body = Incoming::Http1(Flow::new(told.clone(), 7));
        let context = &mut Context::from_waker(Waker::noop());
        let mut seen = Vec::new();
        while let Poll::Ready(frame) = Pin::new(&mut body).poll_frame(context) {
            let ended = frame.is_none();
            seen.push(frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default())));
            if ended {
                break;
            }
        }
        let over = body.is_end_stream();
        assert_eq!(body.size_hint().exact(), Some(if over { 0 } else { 5 }));
        drop(body);
        (seen, over, told.let_go.get() == Some(7))
    }

    #[test]
    fn a_body_that_is_over_asks_for_no_more_and_one_that_is_not_is_let_go() {
        let bytes = || Bytes::from_static(b"ab");
        let more = || Ok(Piece::Data(bytes(), false));
        let data = || Some(Ok(bytes()));
        assert_eq!(
            read(vec![more(), Ok(Piece::Data(bytes(), true)), more()]),
            (vec![data(), data(), None], true, false)
        );
        assert_eq!(read(vec![more(), Ok(Piece::End), more()]), (vec![data(), None], true, false));
        let broken = (vec![data(), Some(Err(Broken)), None], true, false);
        assert_eq!(read(vec![more(), Err(Broken), more()]), broken);
        assert_eq!(read(vec![more()]), (vec![data()], false, true));
    }

    #[test]
    fn nothing_is_nothing() {
        let mut body = Incoming::Empty;
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(matches!(Pin::new(&mut body).poll_frame(context), Poll::Ready(None)));
    }
}
