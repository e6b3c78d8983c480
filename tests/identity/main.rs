//! Who calls, through the real program: tokens, local keys of every scheme, conditions of the connection, and which of
//! them counts. Callers sign with naive signers; what reaches the upstream is judged by naive verifiers.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;

mod chunks;
mod command;
mod errors;
mod http2;
mod precedence;
mod replays;
mod rotation;
mod schemes;
mod signer;
mod tokens;

use support::naive::Keys;
use support::{Gateway, Setup, Upstream, every_scheme, route};

/// The local key of the client `job`.
fn local() -> Keys {
    Keys { id: "LOCALJOB01".into(), secret: "local-canary/Secret+of=the JOB".into(), token: None }
}

/// The same with one character of the secret changed.
fn flipped() -> Keys {
    Keys { secret: local().secret.replace("Secret", "Sekret"), ..local() }
}

/// Routes of every scheme, and virtual hosts under `v2.internal` and `v4.internal`, each with these lines.
fn routes(upstream: &Upstream, lines: &str) -> String {
    let url = format!("\"{}\"", upstream.url());
    let text = every_scheme(upstream)
        + &route(
            "v2hosts",
            "host = \"*.v2.internal\"",
            &url,
            "s3-v2 = { credential = \"key\", dialect = \"ceph\" }",
        )
        + &route(
            "v4hosts",
            "host = \"*.v4.internal\"",
            &url,
            "s3-v4 = { credential = \"key\", region = \"us-east-1\" }",
        );
    // `clients` and the like go before the first sub-table of each route.
    text.replace("\nmatch = ", &format!("\n{lines}\nmatch = "))
}

/// A gateway on all of whose routes only `job`, with [`local`], may call.
fn gateway(upstream: &Upstream) -> Gateway {
    with_lines(upstream, "clients = [\"job\"]", "")
}

fn with_lines(upstream: &Upstream, lines: &str, more: &str) -> Gateway {
    Setup::routes(&routes(upstream, lines))
        .environment("LOCAL_SECRET", &local().secret)
        .text("[clients.job]\nkeys = [{ access-key = \"LOCALJOB01\", secret-key = { env = \"LOCAL_SECRET\" } }]")
        .text(more)
        .start()
}
