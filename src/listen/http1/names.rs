//! Names of headers that a worker has met, so that a name that is no standard one is not taken from the heap for every
//! request. Callers choose them, so there is room for few and short ones, and a new one takes the place of the oldest.

use std::cell::{Cell, RefCell};

use http::HeaderName;

/// Names that are kept.
const KEPT: usize = 64;
/// The longest that is.
const LONGEST: usize = 64;

/// Names that were met.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: RefCell<Vec<HeaderName>>,
    /// Which one is replaced next.
    oldest: Cell<usize>,
}

impl Names {
    /// The name that is spelled like this; `None` when it is none.
    pub(super) fn name(&self, spelled: &str) -> Option<HeaderName> {
        let mut known = self.known.borrow_mut();
        // Hardly anything but what a tool's own headers are called begins like this.
        let is_own = spelled.len() <= LONGEST && matches!(spelled.as_bytes(), [b'x' | b'X', b'-', ..]);
        if is_own && let Some(name) = known.iter().find(|name| name.as_str().eq_ignore_ascii_case(spelled)) {
            return Some(name.clone());
        }
        let name = HeaderName::from_bytes(spelled.as_bytes()).ok()?;
        if is_own && known.len() < KEPT {
            known.push(name.clone());
        } else if is_own {
            let oldest = self.oldest.get();
            known[oldest] = name.clone();
            self.oldest.set((oldest + 1) % KEPT);
        }
        Some(name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_is_spelled() {
        let names = Names::default();
        for _ in 0..2 {
            for (spelled, name) in [
                ("Host", "host"),
                ("X-Amz-Date", "x-amz-date"),
                ("x-amz-dat", "x-amz-dat"),
                ("x-amz-datE", "x-amz-date"),
                ("X-", "x-"),
            ] {
                assert_eq!(names.name(spelled).unwrap().as_str(), name);
            }
            assert_eq!(names.name("x-a b"), None);
            assert_eq!(names.name(""), None);
        }
        assert_eq!(names.known.borrow().len(), 3);
    }

    #[test]
    fn callers_cannot_fill_it_without_end() {
        let names = Names::default();
        names.name("x-first").unwrap();
        for n in 0..1_000 {
            assert_eq!(names.name(&format!("x-{n}")).unwrap().as_str(), format!("x-{n}"));
        }
        let long = format!("x-{}", "y".repeat(LONGEST));
        assert_eq!(names.name(&long).unwrap().as_str(), long);
        assert_eq!(names.known.borrow().len(), KEPT);
        names.name("x-first").unwrap();
        let known = names.known.borrow();
        assert_eq!(
            known.iter().filter(|name| *name == "x-first").count(),
            1,
            "it was forgotten and is known again"
        );
    }
}
