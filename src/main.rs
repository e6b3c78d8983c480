//! Arguments in, exit code out; nothing else.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    countersign::cli::run()
}
