//! Where the record is: a file that is named, the one that the configuration names, or lines on standard input.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tempfile::TempDir;

use crate::cli::check::style;
use crate::cli::{BAD_CONFIG, FAILED, output};
use crate::config::{self, Config};

/// The variable that names the configuration where no option does.
const CONFIG: &str = "COUNTERSIGN_CONFIG";

/// Where the record is.
#[derive(Args)]
pub(in crate::cli) struct Record {
    /// The audit file, or a file with captured standard output; segments are found beside it. `-` reads such output
    /// from standard input.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) from: Option<PathBuf>,
    /// The configuration, whose `audit.file` is the record, unless --from names one; `COUNTERSIGN_CONFIG` stands for it.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
}

/// A record that was found.
pub(in crate::cli) struct Found {
    /// Its active file.
    pub(in crate::cli) log: PathBuf,
    /// Where standard input was put down; gone with this.
    _spool: Option<TempDir>,
}

impl Record {
    /// Finds the record; what is wrong was said already.
    pub(in crate::cli) fn find(&self) -> Result<Found, ExitCode> {
        let Some(from) = &self.from else { return self.configured() };
        if from.as_os_str() != "-" {
            return Ok(Found { log: from.clone(), _spool: None });
        }
        let (log, spool) = spooled().map_err(|error| {
            output::fail(FAILED, &format!("standard input cannot be put down in a file: {error}"))
        })?;
        Ok(Found { log, _spool: Some(spool) })
    }

    /// As [`Self::find`], for commands that need a file that stays: `why` says so.
    pub(in crate::cli) fn file(&self, why: &str) -> Result<Found, ExitCode> {
        if self.from.as_deref() == Some(Path::new("-")) {
            return Err(output::fail(BAD_CONFIG, &format!("--from -: {why}; name a file")));
        }
        self.find()
    }

    /// Whether nothing on the command line says where the record is.
    pub(in crate::cli) fn is_unsaid(&self) -> bool {
        self.from.is_none() && self.config.is_none()
    }

    /// The configuration that is named, or else that of the environment.
    pub(in crate::cli) fn configuration(&self) -> Result<Option<(PathBuf, Config)>, ExitCode> {
        let environment = || std::env::var_os(CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
        let Some(path) = self.config.clone().or_else(environment) else { return Ok(None) };
        match config::load(&path) {
            Ok(config) => Ok(Some((path, config))),
            Err(problems) => {
                let text = problems.render(style(&io::stderr()));
                Err(output::fail(BAD_CONFIG, text.trim_end()))
            }
        }
    }

    fn configured(&self) -> Result<Found, ExitCode> {
        let Some((path, config)) = self.configuration()? else {
            let why =
                "where is the record? --from names the audit file, --config the configuration that names it";
            return Err(output::fail(BAD_CONFIG, why));
        };
        let Some(log) = config.audit.file else {
            let why = format!(
                "{}: there is no `audit.file`, so the record goes to standard output; --from names the file that it \
                 was captured in, or - for standard input",
                path.display()
            );
            return Err(output::fail(BAD_CONFIG, &why));
        };
        Ok(Found { log, _spool: None })
    }
}

/// Puts standard input down in a file that only its owner reads, so that it can be asked like every record.
fn spooled() -> io::Result<(PathBuf, TempDir)> {
    let folder = tempfile::Builder::new().prefix("countersign-spool-").tempdir()?;
    let path = folder.path().join("standard-input");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok((path, folder))
}
