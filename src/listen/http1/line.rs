//! One HTTP/1 connection with a caller: its stream, the bytes that were read and not yet used, the place in the body of
//! the request whose turn it is, and the bounds on waiting.
//!
//! The connection's own task and the body of its request share it on one thread. Only one of them reads at a time: the
//! body while it is wanted and not over, otherwise the task, which looks for the next head or for the caller's end.
//! A head that does not end, a kept-alive connection without a request, and a caller who does not read its answer are
//! each cut off after their own time; the time for bodies is kept where bodies are read.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use tokio::io::AsyncReadExt;

use super::framing::{Framing, Step};
use super::head::{Head, Reader};
use super::outgoing::Outgoing;
use super::patience::Patience;
use super::spares::{BLOCK, Spares};
use super::wire::Wire;
use crate::body::incoming::{Broken, Inflow, Piece};
use crate::config::Limits;
use crate::listen::open::OpenConnections;

/// The most that is read at a time.
const MOST: usize = 64 << 10;
/// The least room that reading is worth while.
const LEAST: usize = 2 << 10;
/// The most of an unwanted body that is read so that its connection can go on.
const DRAINED: usize = 64 << 10;
/// How long a caller may take to notice that a connection is closed while it still sends, and how much it may send.
const LINGER: Duration = Duration::from_secs(2);
const LINGERED: usize = 8 << 20;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Where a request's body stands.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// There is none, or its last byte was read.
    Over,
    /// It is read by whoever has it.
    Flows(Framing),
    /// Nobody wants the rest of it.
    LetGo(Framing),
    /// It broke off, or is none.
    Broken,
}

/// What comes next on a connection.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives for a moment, and a box would cost every request")]
pub(super) enum Next {
    /// A request.
    Head(Head),
    /// Something else, to be refused with this status.
    Refused(StatusCode),
    /// Nothing: the connection is over.
    Over,
}

/// One connection.
pub(super) struct Line<S: ?Sized = dyn Wire> {
    /// Bytes and headers of a head.
    largest_head: (usize, usize),
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    spares: Rc<Spares>,
    /// What was read and not yet used.
    buffer: RefCell<BytesMut>,
    /// Whether the last read took all that there was room for.
    was_full: Cell<bool>,
    /// Which request's body it is.
    turn: Cell<u64>,
    stage: Cell<Stage>,
    /// How much is out of the interim answer that asks for the body; `None` when none is due.
    interim: Cell<Option<usize>>,
    /// The connection's task, while it waits for the body.
    watcher: Cell<Option<Waker>>,
    patience: RefCell<Patience>,
    stream: RefCell<S>,
}

impl<S: Wire> Line<S> {
    pub(super) fn new(stream: S, limits: &Limits, spares: Rc<Spares>) -> Self {
        Self {
            largest_head: (limits.head, limits.headers),
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.body_timeout,
            spares,
            buffer: RefCell::default(),
            was_full: Cell::new(false),
            turn: Cell::new(0),
            stage: Cell::new(Stage::Over),
            interim: Cell::new(None),
            watcher: Cell::new(None),
            patience: RefCell::default(),
            stream: RefCell::new(stream),
        }
    }
}

impl<S: ?Sized + Wire> Line<S> {
    /// The next request, once its head is whole.
    pub(super) fn poll_head(
        &self,
        reader: &mut Reader,
        open: &OpenConnections,
        context: &mut Context<'_>,
    ) -> Poll<Next> {
        let has_begun = loop {
            let has_begun = {
                let buffer = &mut *self.buffer.borrow_mut();
                let from = (|| self.spares.headers(), &self.spares.names);
                match reader.read(buffer, self.largest_head, from) {
                    Ok(None) => !buffer.is_empty(),
                    Ok(Some(head)) => {
                        self.patience.borrow_mut().over();
                        return Poll::Ready(Next::Head(head));
                    }
                    Err(status) => return Poll::Ready(Next::Refused(status)),
                }
            };
            if !has_begun && open.is_draining() {
                return Poll::Ready(Next::Over);
            }
            if !has_begun {
                self.was_full.set(false);
            }
            match self.poll_fill(context) {
                Poll::Pending => break has_begun,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Over),
                // The time for a head runs from its first byte: a trickle does not extend it.
                Poll::Ready(Ok(_)) if has_begun => {}
                Poll::Ready(Ok(_)) => self.patience.borrow_mut().over(),
            }
        };
        if !has_begun {
            self.spares.keep_block(std::mem::take(&mut *self.buffer.borrow_mut()));
        }
        let longest = if has_begun { self.header_timeout } else { self.idle_timeout };
        ready!(self.patience.borrow_mut().poll_over(longest, context));
        Poll::Ready(Next::Over)
    }

    /// Takes note of the body that follows a head; which turn it is.
    pub(super) fn begin(&self, framing: Framing, expects: bool) -> u64 {
        let turn = self.turn.get() + 1;
        self.turn.set(turn);
        self.stage.set(Stage::Flows(framing));
        self.interim.set(expects.then_some(0));
        turn
    }

    /// Reads what there is. Zero bytes are the stream's end.
    fn poll_fill(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffer = &mut *self.buffer.borrow_mut();
        let room = |buffer: &BytesMut| buffer.capacity() - buffer.len();
        let is_long = matches!(self.stage.get(), Stage::Flows(Framing::Length(left)) if left >= MOST as u64);
        let is_much = self.was_full.get() || is_long;
        let (wanted, least) = if is_much { (MOST, MOST / 4) } else { (BLOCK, LEAST) };
        if room(buffer) < least && !buffer.try_reclaim(wanted) {
            if buffer.is_empty() && wanted == BLOCK {
                *buffer = self.spares.block();
            } else if buffer.is_empty() {
                *buffer = BytesMut::with_capacity(wanted);
            } else if room(buffer) == 0 {
                buffer.reserve(BLOCK);
            }
        }
        let room = room(buffer);
        let mut stream = self.stream.borrow_mut();
        let read = ready!(pin!(stream.read_buf(buffer)).poll(context));
        if let Ok(read) = read {
            self.was_full.set(read == room);
        }
        Poll::Ready(read)
    }

    /// Ready when the caller has left. Bytes of a next request may be read to find out; they stay where they are.
    pub(super) fn poll_left(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.stage.get() {
            Stage::Over if self.buffer.borrow().is_empty() => match ready!(self.poll_fill(context)) {
                Ok(0) | Err(_) => Poll::Ready(()),
                Ok(_) => Poll::Pending,
            },
            Stage::Over | Stage::Broken => Poll::Pending,
            Stage::Flows(_) | Stage::LetGo(_) => self.watch(context),
        }
    }

    fn watch<T>(&self, context: &mut Context<'_>) -> Poll<T> {
        let watcher = self.watcher.take().filter(|known| known.will_wake(context.waker()));
        self.watcher.set(Some(watcher.unwrap_or_else(|| context.waker().clone())));
        Poll::Pending
    }

    /// The body is over, in one way or another.
    fn ends(&self, stage: Stage) {
        self.stage.set(stage);
        self.interim.set(None);
        self.was_full.set(false);
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }

    /// Whether somebody still reads the body.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.stage.get(), Stage::Flows(_))
    }

    /// Reads what is there of a body that nobody wants, up to a bound; whether that was all of it.
    pub(super) fn drain(&self, context: &mut Context<'_>) -> bool {
        let Stage::LetGo(mut framing) = self.stage.get() else {
            return matches!(self.stage.get(), Stage::Over);
        };
        let mut drained = 0;
        while drained < DRAINED {
            let step = framing.take(&mut self.buffer.borrow_mut());
            match step {
                Ok(Step::Data(data, false)) => drained += data.len(),
                Ok(Step::Data(_, true) | Step::End) => {
                    self.ends(Stage::Over);
                    return true;
                }
                Ok(Step::More) => match self.poll_fill(context) {
                    Poll::Ready(Ok(1..)) => {}
                    _ => break,
                },
                Err(Broken) => break,
            }
        }
        self.ends(Stage::Broken);
        false
    }

    /// Waits until nobody reads the body any longer; whether another request may follow it.
    pub(super) fn poll_settled(&self, context: &mut Context<'_>) -> Poll<bool> {
        if self.is_wanted() { self.watch(context) } else { Poll::Ready(self.drain(context)) }
    }

    /// What is due of an interim answer that has begun to go out; none will be sent from now on.
    pub(super) fn rest_of_interim(&self) -> &'static [u8] {
        match self.interim.take() {
            None | Some(0) => &[],
            Some(sent) => &CONTINUE[sent..],
        }
    }

    /// Asks for the body, where the caller waits for that.
    fn poll_interim(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut sent) = self.interim.get() else { return Poll::Ready(Ok(())) };
        let mut stream = self.stream.borrow_mut();
        let mut stream = Pin::new(&mut *stream);
        while sent < CONTINUE.len() {
            match ready!(stream.as_mut().poll_write(context, &CONTINUE[sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => sent += more,
            }
            self.interim.set(Some(sent));
        }
        ready!(stream.poll_flush(context))?;
        self.interim.set(None);
        Poll::Ready(Ok(()))
    }

    /// Writes all of `out`. A caller who takes nothing for too long has left.
    pub(super) fn poll_send(&self, out: &mut Outgoing, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.poll_sent(out, context);
        if sent.is_pending() {
            ready!(self.patience.borrow_mut().poll_over(self.write_timeout, context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.patience.borrow_mut().over();
        sent
    }

    fn poll_sent(&self, out: &mut Outgoing, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.stream.borrow_mut();
        let mut stream = Pin::new(&mut *stream);
        while !out.is_empty() {
            match ready!(out.poll_write(stream.as_mut(), context))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                _ => self.patience.borrow_mut().over(),
            }
        }
        stream.poll_flush(context)
    }

    /// The caller has to notice that what it got was not all.
    pub(super) fn cut(&self) {
        self.stream.borrow().cut();
    }

    /// Whether bytes of the caller's may be on their way that nobody will look at.
    pub(super) fn is_unread(&self) -> bool {
        !matches!(self.stage.get(), Stage::Over) || !self.buffer.borrow().is_empty()
    }

    /// Says that nothing more comes.
    pub(super) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<()> {
        let shut = Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(context);
        if shut.is_pending() {
            return self.patience.borrow_mut().poll_over(self.write_timeout, context);
        }
        self.patience.borrow_mut().over();
        Poll::Ready(())
    }

    /// Reads and drops what the caller still sends, for a while: closing at once would have the kernel tell it by a
    /// reset, which may overtake the answer.
    pub(super) fn poll_linger(
        &self,
        drained: &mut usize,
        open: &OpenConnections,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        while *drained < LINGERED && !open.is_draining() {
            self.buffer.borrow_mut().clear();
            match self.poll_fill(context) {
                Poll::Ready(Ok(read @ 1..)) => *drained += read,
                Poll::Ready(_) => break,
                Poll::Pending => return self.patience.borrow_mut().poll_over(LINGER, context),
            }
        }
        Poll::Ready(())
    }
}

impl<S: ?Sized> Drop for Line<S> {
    fn drop(&mut self) {
        self.spares.keep_block(std::mem::take(self.buffer.get_mut()));
    }
}

impl<S: Wire> Inflow for Line<S> {
    fn poll_piece(&self, turn: u64, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        if turn != self.turn.get() {
            return Poll::Ready(Err(Broken));
        }
        loop {
            let mut framing = match self.stage.get() {
                Stage::Flows(framing) => framing,
                Stage::Over => return Poll::Ready(Ok(Piece::End)),
                Stage::LetGo(_) | Stage::Broken => return Poll::Ready(Err(Broken)),
            };
            let step = framing.take(&mut self.buffer.borrow_mut());
            match step {
                Ok(Step::More) => self.stage.set(Stage::Flows(framing)),
                Ok(Step::Data(data, last)) => {
                    if last {
                        self.ends(Stage::Over);
                    } else {
                        self.stage.set(Stage::Flows(framing));
                        // It has begun to come: nobody waits to be asked for it.
                        self.interim.set(self.interim.get().filter(|sent| *sent > 0));
                    }
                    return Poll::Ready(Ok(Piece::Data(data, last)));
                }
                Ok(Step::End) => {
                    self.ends(Stage::Over);
                    return Poll::Ready(Ok(Piece::End));
                }
                Err(Broken) => break,
            }
            // Whoever waits to be asked is asked when its body is wanted, and not before.
            if ready!(self.poll_interim(context)).is_err() {
                break;
            }
            match ready!(self.poll_fill(context)) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        self.ends(Stage::Broken);
        Poll::Ready(Err(Broken))
    }

    fn left(&self, turn: u64) -> Option<u64> {
        match self.stage.get() {
            Stage::Flows(framing) if turn == self.turn.get() => framing.left(),
            _ => None,
        }
    }

    fn let_go(&self, turn: u64) {
        if let Stage::Flows(framing) = self.stage.get()
            && turn == self.turn.get()
        {
            self.stage.set(Stage::LetGo(framing));
            if let Some(watcher) = self.watcher.take() {
                watcher.wake();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
