//! The signing kernels that `signing` times and `signing_counts` counts: real requests from `tests/vectors`, one group
//! per scheme and form, each with the bare hashing that it cannot do without.
//!
//! A kernel is only made of requests whose signature was checked: against the vector's where the vector states what
//! the signer writes, by `RustCrypto`'s HMAC over the string to sign otherwise, and always by the signer's own verdict.
//! What another signer is measured on are the requests that it signs exactly as this crate does.

mod floor;
mod other;
mod requests;

use std::hint::black_box;

pub use floor::Floor;
pub use requests::{Case, groups};

use countersign::sign::Scratch;

/// Something to measure: `requests` signatures per call.
pub struct Kernel {
    /// Group and what is run, such as `s3-v4 header/sign`.
    pub name: String,
    /// How many signatures one call makes.
    pub requests: usize,
    /// One call.
    pub run: Box<dyn FnMut()>,
}

impl Kernel {
    fn new(name: String, requests: usize, run: impl FnMut() + 'static) -> Self {
        Self { name, requests, run: Box::new(run) }
    }
}

/// A quotient of two kernels and the bar that it is held to.
pub struct Ratio {
    pub what: String,
    pub over: String,
    pub under: String,
    /// What the quotient must not exceed, or must at least be.
    pub bar: Bar,
}

#[derive(Clone, Copy)]
pub enum Bar {
    AtMost(f64),
    AtLeast(f64),
    None,
}

impl Bar {
    pub fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(bar) => ratio <= bar,
            Self::AtLeast(bar) => ratio >= bar,
            Self::None => true,
        }
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(bar) => write!(f, "<= {bar:.2}"),
            Self::AtLeast(bar) => write!(f, ">= {bar:.2}"),
            Self::None => write!(f, "-"),
        }
    }
}

/// All kernels, and the quotients of them that are reported.
pub fn all() -> (Vec<Kernel>, Vec<Ratio>) {
    let mut kernels = Vec::new();
    let mut ratios = Vec::new();
    for group in groups() {
        let name = group.name;
        let bar = Bar::AtMost(if name.contains("v4") { 1.40 } else { 1.80 });
        let floor = Floor::of(&group.cases);
        let count = group.cases.len();
        kernels.push(Kernel::new(format!("{name}/floor"), count, move || floor.run()));
        kernels.push(warm(format!("{name}/sign"), group.cases.clone()));
        kernels.push(cold(format!("{name}/sign cold"), group.cases.clone()));
        ratios.push(Ratio {
            what: format!("{name}, against the bare hash"),
            over: format!("{name}/sign"),
            under: format!("{name}/floor"),
            bar,
        });
        for other in other::all(&group.cases) {
            let count = other.cases.len();
            let ours = format!("{name}/sign, what {} signs alike", other.name);
            let theirs = format!("{name}/{}", other.name);
            kernels.push(warm(ours.clone(), other.cases));
            kernels.push(Kernel::new(theirs.clone(), count, other.run));
            ratios.push(Ratio {
                what: format!("{} over this crate, {name}, {count} requests", other.name),
                over: theirs,
                under: ours,
                bar: if other.name == "aws-sigv4" { Bar::AtLeast(5.0) } else { Bar::None },
            });
        }
    }
    (kernels, ratios)
}

/// Signing with prepared signers, as a gateway does.
fn warm(name: String, cases: Vec<Case>) -> Kernel {
    let signers: Vec<_> = cases.iter().map(Case::prepare).collect();
    let mut scratch = Scratch::new();
    Kernel::new(name, cases.len(), move || {
        for (case, signer) in cases.iter().zip(&signers) {
            black_box(case.sign(signer.as_ref(), &mut scratch));
        }
    })
}

/// Signing with a key seen for the first time: its preparation and, for version 4, the day's key.
fn cold(name: String, cases: Vec<Case>) -> Kernel {
    let mut scratch = Scratch::new();
    Kernel::new(name, cases.len(), move || {
        for case in &cases {
            black_box(case.sign(case.prepare().as_ref(), &mut scratch));
        }
    })
}
