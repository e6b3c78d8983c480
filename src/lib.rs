//! countersign: a signing and authenticating reverse proxy gateway.
//!
//! The map of the house, floor by floor. A room imports from the floors below it, never from its own or from above
//! (`tests/floors.rs` holds that, and that this map is true).
//!
//! ```text
//! 12  cli
//! 11  server, demo
//! 10  worker, admin
//! 9   listen
//! 8   gateway, reload
//! 7   upstream
//! 6   snapshot, outbound
//! 5   policy
//! 4   route, operation, body, identify, redact
//! 3   target, credentials, ledger, otlp
//! 2   config, reason, caller, metrics, audit, live
//! 1   sign, checksum, trace
//! 0   secret
//! ```

#![forbid(unsafe_code)]

pub mod admin;
pub mod audit;
pub mod body;
pub mod caller;
pub mod checksum;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod demo;
pub mod gateway;
pub mod identify;
pub mod ledger;
pub mod listen;
pub mod live;
pub mod metrics;
pub mod operation;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod outbound;
pub mod policy;
pub mod reason;
pub mod redact;
pub mod reload;
pub mod route;
pub mod secret;
pub mod server;
pub mod sign;
pub mod snapshot;
pub mod target;
pub mod trace;
pub mod upstream;
pub mod worker;
