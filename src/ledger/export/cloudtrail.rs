//! `{"Records":[…]}`, as CloudTrail delivers to buckets.
//!
//! Our lines have CloudTrail's names already; what proves the chain (`seq`, `hash`) is left out. `eventSource` never
//! claims to be one of AWS's services.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::super::Error;
use super::super::filter::Filter;
use super::super::scan::{Scanned, scan};
use super::super::text::ascii_json;

/// Writes the record as one object.
pub(super) fn export(log: &Path, filter: &Filter, out: &mut (dyn Write + Send)) -> Result<Scanned, Error> {
    let mut between = "";
    out.write_all(b"{\"Records\":[")?;
    let scanned = scan(log, filter, |_, bytes| {
        // The line was read as an object a moment ago.
        let mut record: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
        record.shift_remove("seq");
        record.shift_remove("hash");
        let text = ascii_json(&Value::Object(record).to_string());
        write!(out, "{between}\n{text}")?;
        between = ",";
        Ok(())
    })?;
    out.write_all(b"\n]}\n")?;
    Ok(scanned)
}
