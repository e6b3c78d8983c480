//! Printing that ends quietly when the other end of a pipe is gone, where `println!` would panic.

use std::io::Write;
use std::process::ExitCode;

/// Prints bytes to standard output.
pub(super) fn all(bytes: &[u8]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(super::FAILED),
    }
}

/// Prints a line to standard output; whether anybody is still reading.
pub(super) fn line(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Says something on standard error that is not the answer.
pub(super) fn hint(text: &str) {
    // Standard error being gone leaves the answer and the exit code to speak.
    let _ = writeln!(std::io::stderr().lock(), "countersign: {text}");
}

/// Says why on standard error, and gives the exit code.
pub(super) fn fail(code: u8, why: &str) -> ExitCode {
    hint(why);
    ExitCode::from(code)
}
