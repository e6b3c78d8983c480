//! The command line: one file per subcommand, each thin over the library that serves traffic.
//!
//! Exit codes: 0 ok; 1 could not start or run; 2 bad usage or configuration; 3 unclean stop; 4 checked, and the
//! answer is no; 5 the daemon is not reachable.

mod audit;
pub mod check;
mod demo;
mod keys;
mod output;
mod policy;
mod route;
mod serve;
mod sign;
mod status;
mod usage;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::audit::Format;

/// Could not start or run.
const FAILED: u8 = 1;
/// Bad usage or configuration.
const BAD_CONFIG: u8 = 2;
/// The drain's time ran out.
const UNCLEAN: u8 = 3;
/// Checked, and the answer is no.
const NO: u8 = 4;
/// The daemon is not reachable.
const UNREACHABLE: u8 = 5;

/// A signing and authenticating reverse proxy gateway for CloudStack, ZStack, S3 and AWS APIs.
#[derive(Parser)]
#[command(name = "countersign", version, about, propagate_version = true)]
struct Arguments {
    /// How logs look; text on a terminal, JSON otherwise.
    #[arg(long, global = true, value_enum, env = "COUNTERSIGN_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Where the configuration is.
#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(ConfigFile),
    /// Check the configuration and resolve every credential, without opening a socket.
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// The form of the report.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        format: LogFormat,
    },
    /// Start verifying endpoints of every scheme with a gateway in front, on loopback, and try each once.
    Demo(demo::Arguments),
    /// Tell which route takes a request, what it asks for, and whether it may.
    Route(route::Arguments),
    /// Work on the rules of routes and clients.
    Policy {
        #[command(subcommand)]
        command: policy::Command,
    },
    /// Sign a request as the gateway would, and show the stages; nothing is sent.
    Sign(sign::Arguments),
    /// Make and list local keys, which work only at this gateway.
    #[command(subcommand)]
    Keys(keys::Arguments),
    /// Tell how a running gateway stands: routes, credentials, readiness.
    Status(status::Arguments),
    /// Ask the record of calls.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Tell what calls add up to, by who made them, what they asked for, and when.
    Usage(usage::Arguments),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let format = match arguments.log_format {
        Some(LogFormat::Text) => Format::Text,
        None if std::io::stdout().is_terminal() => Format::Text,
        Some(LogFormat::Json) | None => Format::Json,
    };
    log(format);
    match arguments.command {
        Command::Serve(file) => serve::run(&file.config, format),
        Command::Check { file, format: LogFormat::Text } => check::run(&file.config, check::Format::Text),
        Command::Check { file, format: LogFormat::Json } => check::run(&file.config, check::Format::Json),
        Command::Demo(demo) => demo::run(&demo),
        Command::Route(route) => route::run(&route),
        Command::Policy { command } => policy::run(&command),
        Command::Sign(sign) => sign::run(&sign),
        Command::Keys(keys) => keys::run(&keys),
        Command::Status(status) => status::run(&status),
        Command::Audit(command) => audit::run(&command),
        Command::Usage(usage) => usage::run(&usage),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "countersign", &mut script);
            output::all(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            match clap_mangen::Man::new(Arguments::command()).render(&mut page) {
                Ok(()) => output::all(&page),
                Err(error) => output::fail(FAILED, &error.to_string()),
            }
        }
    }
}

/// Events go to standard error; `COUNTERSIGN_LOG` filters them. Requests have their own log.
fn log(format: Format) {
    let filter = EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    match format {
        Format::Text => builder.with_target(false).init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
}
