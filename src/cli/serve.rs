//! `countersign serve`.

use std::path::Path;
use std::process::ExitCode;

use super::{BAD_CONFIG, FAILED, UNCLEAN, output};
use crate::audit::Format;
use crate::reload::LoadError;
use crate::server::{Ended, StartError, serve};

pub(super) fn run(config: &Path, format: Format) -> ExitCode {
    match serve(config, format) {
        Ok(Ended::Clean) => ExitCode::SUCCESS,
        Ok(Ended::Cut) => output::fail(UNCLEAN, "stopped before every connection had ended"),
        Err(StartError::Load(LoadError::Config(problems))) => {
            // Already rendered, with file, line and column.
            let _ = output::fail(BAD_CONFIG, &format!("the configuration has problems\n{problems}"));
            ExitCode::from(BAD_CONFIG)
        }
        Err(error @ (StartError::Load(_) | StartError::Key(_))) => {
            output::fail(BAD_CONFIG, &error.to_string())
        }
        Err(error @ (StartError::Record(_) | StartError::System(..))) => {
            output::fail(FAILED, &error.to_string())
        }
    }
}
