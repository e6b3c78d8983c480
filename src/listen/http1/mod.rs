//! HTTP/1 towards callers: one task for each connection, which reads a head, has it answered, and begins again.
//!
//! A head is judged once, whole and in place (`head.rs`), a body in one grammar (`framing.rs`); an answer is framed by
//! what is known of it (`answer.rs`). Requests of one connection are answered one after the other. Nothing here decides
//! what a caller may do.

mod answer;
mod exchange;
mod framing;
mod head;
mod line;
mod names;
mod outgoing;
mod patience;
mod spares;
mod wire;

use std::future::poll_fn;
use std::rc::Rc;

use http::StatusCode;

use super::Shared;
use super::open::OpenConnections;
use crate::body::incoming::{Flow, Incoming, Inflow};
use crate::config::Limits;
use crate::gateway::Connection;
use exchange::{End, Exchange, Start};
use head::{Head, Reader};
use line::{Line, Next};
use outgoing::Outgoing;

pub use spares::Spares;
pub(super) use wire::Wire;

/// Serves one connection until it is over.
pub(super) async fn serve<S: Wire + 'static>(
    shared: Rc<Shared>,
    open: Rc<OpenConnections>,
    stream: S,
    connection: Connection,
    limits: &Limits,
) {
    let line = Rc::new(Line::new(stream, limits, shared.spares.clone()));
    let inflow: Rc<dyn Inflow> = line.clone();
    run(shared, open, line, inflow, Rc::new(connection)).await;
}

async fn run(
    shared: Rc<Shared>,
    open: Rc<OpenConnections>,
    line: Rc<Line>,
    inflow: Rc<dyn Inflow>,
    connection: Rc<Connection>,
) {
    let _enlisted = open.enlist().await;
    let mut reader = Reader::default();
    loop {
        let begun = {
            let next = poll_fn(|context| line.poll_head(&mut reader, &open, context)).await;
            match next {
                Next::Over => return,
                Next::Refused(status) => Err(status),
                Next::Head(head) => Ok(begin(&shared, &open, &line, &inflow, &connection, head)),
            }
        };
        let is_unread = match begun {
            Err(status) => {
                if !refuse(&shared, &line, status).await {
                    return;
                }
                true
            }
            Ok(mut exchange) => match poll_fn(|context| exchange.poll(context)).await {
                End::GoesOn => continue,
                End::Breaks => return,
                End::Closes => line.is_unread() || connection.suspect.get().is_some(),
            },
        };
        poll_fn(|context| line.poll_shutdown(context)).await;
        if is_unread {
            let mut drained = 0;
            poll_fn(|context| line.poll_linger(&mut drained, &open, context)).await;
        }
        return;
    }
}

/// Gives a request to the request path.
fn begin(
    shared: &Rc<Shared>,
    open: &Rc<OpenConnections>,
    line: &Rc<Line>,
    inflow: &Rc<dyn Inflow>,
    connection: &Rc<Connection>,
    head: Head,
) -> Exchange {
    let Head { mut request, framing, terms, suspect } = head;
    connection.suspect.set(suspect);
    if let Some(framing) = framing {
        let turn = line.begin(framing, terms.expects);
        *request.body_mut() = Incoming::Http1(Flow::new(inflow.clone(), turn));
    }
    let (shared, open) = (shared.clone(), open.clone());
    Exchange::begin(Start {
        shared,
        open,
        line: line.clone(),
        connection: connection.clone(),
        request,
        terms,
    })
}

/// Answers what was no request; whether the answer is out.
async fn refuse(shared: &Shared, line: &Line, status: StatusCode) -> bool {
    let mut out = Outgoing::default();
    answer::bare(status, &shared.spares.date, &mut out.head);
    poll_fn(|context| line.poll_send(&mut out, context)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function of these arguments waits in.
    fn size<A, B, C, D, E, F: Future>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// Ten thousand connections that wait must not take what requests need.
    #[test]
    fn a_connection_that_waits_is_small() {
        let (waiting, line) = (size(run), size_of::<Line<tokio::net::TcpStream>>());
        assert!(waiting <= 512 && line <= 512, "{waiting} and {line} bytes");
    }
}
