//! A process that only writes a record, for tests that kill it or starve it: this test binary, started once more.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::books::{PATIENCE, Way, call, open, run};

const FILE: &str = "COUNTERSIGN_TEST_RECORD";
const SIZE: &str = "COUNTERSIGN_TEST_SIZE";
/// How many calls are in progress at once.
const TASKS: usize = 8;

/// The command that runs the writer below on `file`, behind `before` (a shell's words that end by running "$@").
pub fn command(file: &Path, size: u64, before: Option<&str>) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut command = match before {
        None => Command::new(&own),
        Some(words) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", words, "sh"]).arg(&own);
            shell
        }
    };
    command.args(["--exact", "child::writes_until_it_is_killed", "--nocapture"]);
    command.env(FILE, file).env(SIZE, size.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What the writer says: `ack ID` for each durable intent, `no ID WHY` for each that is not.
pub fn listen(child: &mut Child) -> Receiver<String> {
    let (tell, told) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

/// Not a test by itself: without the environment of [`command`] it does nothing. With it, it records calls until its
/// standard input ends or it is killed.
#[test]
fn writes_until_it_is_killed() {
    let (Some(file), Ok(size)) = (std::env::var_os(FILE), std::env::var(SIZE)) else { return };
    let way = Way { size: size.parse().unwrap(), key: Some("key"), ..Way::default() };
    let (recorder, writer) = open(&PathBuf::from(file), way).unwrap();
    let (end, ended) = tokio::sync::watch::channel(false);
    std::thread::spawn(move || {
        let _ = std::io::stdin().lines().count();
        end.send(true)
    });
    let own = uuid::Uuid::new_v4();
    let say = |line: String| std::io::stdout().write_all(line.as_bytes()).unwrap();
    let local = tokio::task::LocalSet::new();
    let say = Rc::new(say);
    for task in 0..TASKS {
        let (recorder, ended, say) = (recorder.clone(), ended.clone(), say.clone());
        local.spawn_local(async move {
            for index in 0.. {
                let id = format!("{own}-{task}-{index}");
                match call(&recorder, &id).await {
                    Ok(()) => say(format!("ack {id}\n")),
                    Err(why) => {
                        say(format!("no {id} {why}\n"));
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                if *ended.borrow() {
                    return;
                }
            }
        });
    }
    run(local);
    say(format!("stopped {:?}\n", writer.stop(PATIENCE)));
}
