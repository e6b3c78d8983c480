//! Reading vector files and reporting what disagrees. One file per scheme does the checking.

mod cloudstack;
mod request;
mod s3v2;
mod sigv4;
mod streaming;
mod zstack;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use countersign::secret::{Key, Secret};
use countersign::sign::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// What a run found.
#[derive(Default)]
pub struct Outcome {
    /// One line per file: how many vectors of which scheme.
    pub counts: Vec<String>,
    /// One line per disagreement: file, vector, stage.
    pub failures: Vec<String>,
}

/// The vector files of a directory, sorted.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries =
        std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", directory.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(format!("{}: no vector files", directory.display()));
    }
    Ok(found)
}

/// Runs every vector of every file.
pub fn run(directory: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    match files(directory) {
        Ok(files) => files.iter().for_each(|path| run_file(path, &mut outcome)),
        Err(reason) => outcome.failures.push(reason),
    }
    outcome
}

fn run_file(path: &Path, outcome: &mut Outcome) {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let file: Value = match std::fs::read(path)
        .map_err(|e| e.to_string())
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| format!("not readable as JSON: {e}")))
    {
        Ok(file) => file,
        Err(reason) => return outcome.failures.push(format!("{name}: {reason}")),
    };
    let Some(vectors) = file["vectors"].as_array() else {
        return outcome.failures.push(format!("{name}: no list of vectors"));
    };
    if file["format"] != 1 {
        outcome.failures.push(format!("{name}: format {} is not known", file["format"]));
    }
    if file["count"].as_u64() != Some(vectors.len() as u64) {
        outcome.failures.push(format!(
            "{name}: count says {}, the file holds {}",
            file["count"],
            vectors.len()
        ));
    }
    if vectors.is_empty() {
        outcome.failures.push(format!("{name}: holds no vectors"));
    }
    let mut schemes: BTreeMap<String, usize> = BTreeMap::new();
    for (at, vector) in vectors.iter().enumerate() {
        let title = vector["name"].as_str().map_or_else(|| format!("#{at}"), str::to_owned);
        let scheme = vector["scheme"].as_str().or(file["scheme"].as_str()).unwrap_or_default().to_owned();
        let mut report = Report { place: format!("{name}: {title}"), failures: Vec::new() };
        let case = Case(vector);
        let done = match scheme.as_str() {
            "cloudstack" => cloudstack::check(case, &mut report),
            "cloudstack-verify" => cloudstack::check_verdict(case, &mut report),
            "zstack" => zstack::check(case, &mut report),
            "zstack-date" => zstack::check_date(case, &mut report),
            "s3v2" => s3v2::check_header(case, &mut report),
            "s3v2-query" => s3v2::check_query(case, &mut report),
            "sigv4-header" => sigv4::check_header(case, &mut report),
            "sigv4-query" => sigv4::check_query(case, &mut report),
            "sigv4-streaming" => streaming::check(case, &mut report),
            other => Err(format!("unknown scheme `{other}`")),
        };
        if let Err(reason) = done {
            report.fail("vector", &reason);
        }
        *schemes.entry(scheme).or_default() += 1;
        outcome.failures.append(&mut report.failures);
    }
    for (scheme, count) in schemes {
        outcome.counts.push(format!("{name}: {count} {scheme}"));
    }
}

/// The failures of one vector.
pub struct Report {
    place: String,
    failures: Vec<String>,
}

impl Report {
    /// Notes a failure at a stage.
    pub fn fail(&mut self, stage: &str, reason: &str) {
        self.failures.push(format!("{}: {stage}: {reason}", self.place));
    }

    /// Compares texts, showing bytes that are no text escaped.
    pub fn same(&mut self, stage: &str, actual: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
        let (actual, expected) = (actual.as_ref(), expected.as_ref());
        if actual != expected {
            let (actual, expected) = (actual.escape_ascii(), expected.escape_ascii());
            self.fail(stage, &format!("\n     got \"{actual}\"\nexpected \"{expected}\""));
        }
    }

    /// Compares anything else.
    #[allow(clippy::needless_pass_by_value)] // most of what is compared is made on the spot
    pub fn equal<T: PartialEq + Debug>(&mut self, stage: &str, actual: T, expected: T) {
        if actual != expected {
            self.fail(stage, &format!("got {actual:?}, expected {expected:?}"));
        }
    }
}

/// One vector.
#[derive(Clone, Copy)]
pub struct Case<'v>(&'v Value);

impl<'v> Case<'v> {
    /// The value at a dotted path; `null` when absent.
    pub fn at(self, path: &str) -> &'v Value {
        path.split('.').fold(self.0, |value, name| &value[name])
    }

    /// A text that must be there.
    pub fn text(self, path: &str) -> Result<&'v str, String> {
        self.at(path).as_str().ok_or_else(|| format!("`{path}` is not a text"))
    }

    /// A text that may be absent or null.
    pub fn text_or_none(self, path: &str) -> Result<Option<&'v str>, String> {
        if self.at(path).is_null() { Ok(None) } else { self.text(path).map(Some) }
    }

    /// A whole number that must be there.
    pub fn number(self, path: &str) -> Result<u64, String> {
        self.at(path).as_u64().ok_or_else(|| format!("`{path}` is not a whole number"))
    }

    /// A switch; absent is off.
    pub fn switch(self, path: &str) -> Result<bool, String> {
        match self.at(path) {
            Value::Null => Ok(false),
            Value::Bool(yes) => Ok(*yes),
            _ => Err(format!("`{path}` is not true or false")),
        }
    }

    /// Pairs of texts; absent is none.
    pub fn pairs(self, path: &str) -> Result<Vec<(&'v str, &'v str)>, String> {
        let bad = || format!("`{path}` is not a list of pairs of texts");
        match self.at(path) {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => list
                .iter()
                .map(|pair| match pair.as_array().map(Vec::as_slice) {
                    Some([name, value]) => {
                        Ok((name.as_str().ok_or_else(bad)?, value.as_str().ok_or_else(bad)?))
                    }
                    _ => Err(bad()),
                })
                .collect(),
            _ => Err(bad()),
        }
    }

    /// The moment named at `path`.
    pub fn moment(self, path: &str) -> Result<Timestamp, String> {
        let text = self.text(path)?;
        text.parse().map_err(|error| format!("`{path}`: {error}"))
    }

    /// The key pair, in either of the two spellings.
    pub fn key(self) -> Result<Key, String> {
        let id = if self.at("credentials.api_key").is_null() {
            self.text("credentials.access_key")?
        } else {
            self.text("credentials.api_key")?
        };
        Ok(Key {
            id: id.to_owned(),
            secret: Secret::from(self.text("credentials.secret_key")?),
            session_token: self.text_or_none("credentials.session_token")?.map(Secret::from),
        })
    }

    /// The headers as a parser would have left them: folded lines joined, `host` added when it stands apart.
    pub fn headers(self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.pairs("request.headers")? {
            let name: HeaderName = name.parse().map_err(|error| format!("header `{name}`: {error}"))?;
            let unfolded: Vec<u8> =
                value.bytes().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }).collect();
            let value =
                HeaderValue::from_bytes(&unfolded).map_err(|error| format!("header `{name}`: {error}"))?;
            headers.append(name, value);
        }
        if let (Some(host), false) = (self.text_or_none("request.host")?, headers.contains_key("host")) {
            headers.insert("host", host.parse().map_err(|error| format!("host: {error}"))?);
        }
        Ok(headers)
    }

    /// The body, in any of its three spellings; absent is empty.
    pub fn body(self) -> Result<Vec<u8>, String> {
        if let Some(encoded) = self.text_or_none("request.body_b64")? {
            let decoded = base64::engine::general_purpose::STANDARD.decode(encoded);
            return decoded.map_err(|error| format!("`request.body_b64`: {error}"));
        }
        if !self.at("request.body_repeat").is_null() {
            let unit = self.text("request.body_repeat.unit")?;
            let unit: Result<Vec<u8>, _> = unit.chars().map(u8::try_from).collect();
            let unit = unit.map_err(|_| "`request.body_repeat.unit` is not Latin-1".to_owned())?;
            let bytes =
                usize::try_from(self.number("request.body_repeat.bytes")?).map_err(|e| e.to_string())?;
            return Ok(unit.into_iter().cycle().take(bytes).collect());
        }
        Ok(self.text_or_none("request.body")?.unwrap_or_default().as_bytes().to_vec())
    }

    /// The request target's path and query.
    pub fn target(self) -> Result<(&'v str, Option<&'v str>), String> {
        let url = self.text("request.url")?;
        Ok(url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query))))
    }
}
