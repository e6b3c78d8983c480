//! `countersign route METHOD URL`: which route takes a request, or that none does.

use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Uri};

use super::{BAD_CONFIG, ConfigFile, NO, output};
use crate::gateway::DryRun;
use crate::metrics::Metrics;
use crate::reload::World;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The method.
    method: Method,
    /// The URL as a caller would use it at the gateway.
    url: Uri,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let world = match World::load(&arguments.file.config, Arc::new(Metrics::default())) {
        Ok(world) => world,
        Err(error) => return output::fail(BAD_CONFIG, &error.to_string()),
    };
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = arguments.method.clone();
    *request.uri_mut() = arguments.url.clone();
    let snapshot = world.snapshot().load_full();
    match (DryRun { request }).route(&snapshot) {
        Ok(route) => {
            let signs = if route.signer.is_some() { "" } else { " (credential unavailable: answers 503)" };
            let text = format!(
                "route {}\nscheme {}\ncredential {}{signs}\nupstream {}\n",
                route.name,
                route.scheme_name(),
                route.credential,
                route.endpoint.upstream.host
            );
            output::all(text.as_bytes())
        }
        Err(reason) => output::fail(NO, &format!("{}: {}", reason.code(), reason.message())),
    }
}
