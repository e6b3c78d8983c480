//! Patterns over names and resources: `*` stands for any run of characters, `?` for one, everything else for itself.
//!
//! There is nothing else to learn and nothing to escape. Matching walks the text once and goes back to the last `*`
//! at most, so that its time is bounded by the product of both lengths, whatever a caller sends.

/// Whether letter case counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// It does: resources.
    Sensitive,
    /// It does not, for ASCII letters: names of operations.
    Ignored,
}

/// A prepared pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    pattern: Box<str>,
    /// How many bytes of it stand before the first `*` or `?`: few texts that differ get beyond them.
    literal: usize,
    case: Case,
}

impl Glob {
    /// Every text is a pattern.
    pub(super) fn new(pattern: &str, case: Case) -> Self {
        let literal = pattern.find(['*', '?']).unwrap_or(pattern.len());
        Self { pattern: pattern.into(), literal, case }
    }

    /// Whether it stands for one text only.
    pub(super) fn is_exact(&self) -> bool {
        self.literal == self.pattern.len()
    }

    /// Whether it is the lone `*`.
    pub(super) fn is_any(&self) -> bool {
        &*self.pattern == "*"
    }

    /// Whether it stands for `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (literal, mut pattern) = self.pattern.split_at(self.literal);
        let Some((head, mut rest)) = text.split_at_checked(self.literal) else { return false };
        let is_same = match self.case {
            Case::Sensitive => head == literal,
            Case::Ignored => head.eq_ignore_ascii_case(literal),
        };
        match pattern {
            _ if !is_same => return false,
            "" => return rest.is_empty(),
            "*" => return true,
            _ => {}
        }
        // After the last `*`, and where the text goes on if that takes one character more.
        let mut retry: Option<(&str, &str)> = None;
        loop {
            let mut ahead = pattern.chars();
            match (ahead.next(), split(rest)) {
                (Some('*'), _) => {
                    pattern = ahead.as_str();
                    retry = Some((pattern, rest));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some((found, after))) if self.is(wanted, found) => {
                    pattern = ahead.as_str();
                    rest = after;
                    continue;
                }
                _ => {}
            }
            let Some((after_star, from)) = retry else { return false };
            let Some((_, longer)) = split(from) else { return false };
            (pattern, rest) = (after_star, longer);
            retry = Some((after_star, longer));
        }
    }

    /// Whether it stands for any text that begins with `prefix`.
    pub(super) fn matches_some_beginning_with(&self, prefix: &str) -> bool {
        let mut rest = prefix;
        for wanted in self.pattern.chars() {
            match split(rest) {
                // The star takes what is left, and what follows it comes after.
                _ if wanted == '*' => return true,
                None => return true,
                Some((found, after)) if self.is(wanted, found) => rest = after,
                Some(_) => return false,
            }
        }
        rest.is_empty()
    }

    fn is(&self, wanted: char, found: char) -> bool {
        wanted == '?'
            || match self.case {
                Case::Sensitive => wanted == found,
                Case::Ignored => wanted.eq_ignore_ascii_case(&found),
            }
    }
}

fn split(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    chars.next().map(|first| (first, chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in exponential time.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => naive(rest, text) || (!text.is_empty() && naive(pattern, &text[1..])),
            (['?', rest @ ..], [_, after @ ..]) => naive(rest, after),
            ([wanted, rest @ ..], [found, after @ ..]) => wanted == found && naive(rest, after),
            _ => false,
        }
    }

    /// All texts over `alphabet` of at most `longest` characters.
    fn texts(alphabet: &[char], longest: usize) -> Vec<Vec<char>> {
        let mut all = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..longest {
            last = last
                .iter()
                .flat_map(|text| alphabet.iter().map(move |&c| [text.as_slice(), &[c]].concat()))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn every_short_pattern_matches_as_defined() {
        let subjects = texts(&['a', 'b', 'é'], 4);
        let mut matched = 0;
        for pattern in texts(&['a', 'é', '*', '?'], 4) {
            let glob = Glob::new(&pattern.iter().collect::<String>(), Case::Sensitive);
            for subject in &subjects {
                let text: String = subject.iter().collect();
                let expected = naive(&pattern, subject);
                assert_eq!(glob.matches(&text), expected, "{glob:?} {text}");
                // Texts of four characters are enough for what patterns of four can still want after one.
                if subject.len() <= 1 {
                    let mut begins = subjects.iter().filter(|longer| longer.starts_with(subject));
                    let some = begins.any(|longer| naive(&pattern, longer));
                    assert_eq!(glob.matches_some_beginning_with(&text), some, "{glob:?} {text}");
                }
                matched += usize::from(expected);
            }
        }
        assert!(matched > 1000, "{matched}");
    }

    #[test]
    fn beginnings() {
        let some = |pattern: &str, prefix: &str| {
            Glob::new(pattern, Case::Sensitive).matches_some_beginning_with(prefix)
        };
        for (pattern, prefix) in [
            ("logs/secret/*", "logs/"),
            ("logs/secret/*", "logs/sec"),
            ("logs/secret/*", "logs/secret/x/y"),
            ("*/secret", "logs/a/b"),
            ("logs/?x", "logs/a"),
            ("logs", "logs"),
            ("*", ""),
        ] {
            assert!(some(pattern, prefix), "{pattern} {prefix}");
        }
        for (pattern, prefix) in
            [("logs/secret/*", "logs/public"), ("logs", "logs/"), ("logs/a", "logs/ab"), ("l?", "x")]
        {
            assert!(!some(pattern, prefix), "{pattern} {prefix}");
        }
    }

    #[test]
    fn case_counts_for_resources_alone() {
        assert!(Glob::new("LIST*", Case::Ignored).matches("listUsers"));
        assert!(!Glob::new("LIST*", Case::Sensitive).matches("listUsers"));
        // No folding beyond ASCII: the Kelvin sign is no K.
        assert!(!Glob::new("k", Case::Ignored).matches("\u{212a}"));
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let pattern = "*a".repeat(200) + "b";
        let start = std::time::Instant::now();
        assert!(!Glob::new(&pattern, Case::Sensitive).matches(&"a".repeat(4000)));
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
