//! `{ exec = ["program", "argument"] }`: what a program prints. No shell, no standard input, a time limit; its
//! standard error is not read, because nobody knows what it says.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Bytes, Failure, MAX_VALUE, is_telling, read_all, without_newline};

/// How long a program may take: a password store may have to ask another machine.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How often an ending program is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What the program prints, without one trailing newline.
pub(super) fn read(argv: &[String]) -> Result<Bytes, Failure> {
    run(argv, TIME_LIMIT).map(without_newline)
}

/// What the program prints, all of it.
pub(super) fn run(argv: &[String], limit: Duration) -> Result<Bytes, Failure> {
    let deadline = Instant::now() + limit;
    let (program, arguments) =
        argv.split_first().ok_or_else(|| Failure::new("no program is named", "name a program"))?;
    let spoken = speak(program);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Its own group, so that what it starts can be ended with it.
        .process_group(0)
        .spawn()
        .map_err(|error| {
            let help =
                "check the program's path and mode; there is no shell, so the first word is the program";
            Failure::new(format!("{spoken} cannot be started: {error}"), help)
        })?;
    let (send, receive) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            // A receiver that has given up is no error: the value is wiped here.
            let _ = send.send(read_all(&mut stdout));
        });
    }
    let slow = || {
        let help = "run it by hand as the same user; it must not wait for input";
        Failure::new(format!("{spoken} took longer than {} seconds and was ended", limit.as_secs_f32()), help)
    };
    let Ok(output) = receive.recv_timeout(limit) else {
        end(&mut child);
        return Err(slow());
    };
    let Some(status) = wait(&mut child, deadline) else {
        end(&mut child);
        return Err(slow());
    };
    let output = output.map_err(|error| {
        Failure::new(
            format!("the output of {spoken} cannot be read: {error}"),
            "run it by hand as the same user",
        )
    })?;
    let Some(output) = output else {
        let problem = format!("{spoken} printed more than {} KiB", MAX_VALUE >> 10);
        return Err(Failure::new(problem, "it must print the value alone"));
    };
    if !status.success() {
        let help = "run it by hand as the same user; what it wrote to standard error is not shown";
        return Err(Failure::new(format!("{spoken} failed ({status})"), help));
    }
    Ok(output)
}

/// Waits for the end of a program that has closed its output or printed too much.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Ends the program and whatever it started, and reaps it.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself just now.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// How a message names the program: never by its arguments, and not by a word that could be a key.
fn speak(program: &str) -> String {
    let name = program.rsplit('/').next().unwrap_or_default();
    if is_telling(name) { format!("the program `{name}`") } else { "the program".to_owned() }
}
