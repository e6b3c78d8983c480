//! Uploads of every kind through the real program: every way to frame, cover and check a body, on its way to a raw
//! upstream whose bytes naive verifiers judge; and every way in which one breaks, none of which may look whole.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;

mod body;
mod broken;
mod calls;
mod early;
mod http2;
mod judge;
mod keys;
mod leaving;
mod limits;
mod matrix;
mod schemes;
mod spool;

use support::{Gateway, Setup, Upstream, answer, every_scheme, route};

/// The values of `payload`.
const PAYLOADS: [&str; 4] = ["auto", "hash", "chunked", "unsigned"];
/// The values of `upstream-chunked`.
const FORMS: [&str; 3] = ["signed", "trailer", "none"];

/// A route of every scheme, and a version 4 route for each pair of `payload` and `upstream-chunked` on the host
/// `PAYLOAD-FORM.internal`.
fn routes(upstream: &Upstream) -> String {
    let url = format!("\"{}\"", upstream.url());
    let mut text = every_scheme(upstream);
    for payload in PAYLOADS {
        for form in FORMS {
            let sign = format!(
                "s3-v4 = {{ credential = \"key\", region = \"us-east-1\", payload = \"{payload}\", \
                 upstream-chunked = \"{form}\" }}"
            );
            let name = format!("{payload}-{form}");
            text.push_str(&route(&name, &format!("host = \"{name}.internal\""), &url, &sign));
        }
    }
    text
}

/// A gateway with [`routes`].
fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::with(&routes(upstream))
}

/// The same with lines for `[server.limits]`.
fn limited(upstream: &Upstream, limits: &str) -> Gateway {
    Setup::routes(&routes(upstream)).limits(limits).start()
}

/// An upstream that answers `200 ok` and does not keep every byte.
fn sink() -> Upstream {
    Upstream::scripted(|talk| {
        talk.forget();
        while talk.request().is_some() {
            talk.write(&answer(200, &[], b"ok"));
        }
    })
}

/// The code of an S3 error.
fn s3_code(body: &str) -> &str {
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map_or("", |(code, _)| code)
}
