//! The record from end to end: what is written, what survives, and whether its proof catches every change.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, dead_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod books;
mod child;
#[path = "../hostile/dice.rs"]
mod dice;
mod disk;
mod flips;
mod forgeries;
mod kills;
mod life;
mod naive;
mod sinks;
mod starts;
mod streams;
mod tamper;
