//! `{ env = "NAME" }`: a variable of the process's environment. Never prints the value; other processes of the
//! same user can read it from `/proc`, which is why `check` warns of this source.

use std::os::unix::ffi::OsStringExt;

use zeroize::Zeroizing;

use super::{Bytes, Environment, Failure, is_telling};

pub(super) fn read(name: &str, environment: Environment<'_>) -> Result<Bytes, Failure> {
    let variable = if is_telling(name) {
        format!("the environment variable `{name}`")
    } else {
        "the variable".to_owned()
    };
    let help = "set it in the environment that countersign is started in";
    let value = environment(name).ok_or_else(|| Failure::new(format!("{variable} is not set"), help))?;
    let value = Zeroizing::new(value.into_vec());
    if value.is_empty() {
        return Err(Failure::new(format!("{variable} is empty"), help));
    }
    Ok(value)
}
