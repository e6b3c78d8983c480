//! The words that choose among calls: `client:billing route:s3 op:Get* status:4xx logs/`.
//!
//! All words must hold. A word with a known key asks for that field, any other word for a part of any field; letter
//! case does not matter. A value with `*` or `?` must be the whole field, one without may be a part of it.

use super::call::Call;

/// Characters of a filter.
const LONGEST: usize = 500;
/// Words of a filter.
const WORDS: usize = 20;

/// Conditions on calls; without any, every call is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// A field, by its key.
    Field(Key, String),
    /// Statuses from one to another.
    Status(u16, u16),
    /// Any field.
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Client,
    Route,
    Operation,
    Resource,
    Source,
    Error,
    Id,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A status that is none.
    #[error("`{0}` is no status: write `status:403`, `status:4xx` or `status:400-499`")]
    Status(String),
    /// More than anybody types.
    #[error("a filter has at most {WORDS} words and {LONGEST} characters")]
    TooLong,
}

impl std::str::FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.chars().count() > LONGEST || text.split_whitespace().count() > WORDS {
            return Err(FilterError::TooLong);
        }
        text.split_whitespace().map(word).collect::<Result<_, _>>().map(Self)
    }
}

fn word(text: &str) -> Result<Word, FilterError> {
    let lower = text.to_lowercase();
    let field = |key, value: &str| Ok(Word::Field(key, value.to_owned()));
    match lower.split_once(':') {
        Some(("client", value)) => field(Key::Client, value),
        Some(("route", value)) => field(Key::Route, value),
        Some(("op" | "operation", value)) => field(Key::Operation, value),
        Some(("resource", value)) => field(Key::Resource, value),
        Some(("source", value)) => field(Key::Source, value),
        Some(("error", value)) => field(Key::Error, value),
        Some(("id", value)) => field(Key::Id, value),
        Some(("status", value)) => {
            let (from, to) =
                statuses(value).ok_or_else(|| FilterError::Status(value.chars().take(40).collect()))?;
            Ok(Word::Status(from, to))
        }
        // `s3:GetObject` is a word like any other.
        _ => Ok(Word::Text(lower)),
    }
}

fn statuses(text: &str) -> Option<(u16, u16)> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = number(class).filter(|class| (1..=9).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    match text.split_once('-') {
        Some((from, to)) => Some((number(from)?, number(to)?)),
        None => number(text).map(|status| (status, status)),
    }
}

impl Filter {
    /// Whether a call is chosen.
    pub fn matches(&self, call: &Call) -> bool {
        self.0.iter().all(|word| match word {
            Word::Status(from, to) => (*from..=*to).contains(&call.status),
            Word::Field(key, value) => holds(value, key.of(call)),
            Word::Text(value) => {
                KEYS.iter().any(|key| holds(value, key.of(call))) || holds(value, &call.agent)
            }
        })
    }

    /// Whether every call is chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const KEYS: [Key; 7] =
    [Key::Client, Key::Route, Key::Operation, Key::Resource, Key::Source, Key::Error, Key::Id];

impl Key {
    fn of(self, call: &Call) -> &str {
        match self {
            Self::Client => &call.client,
            Self::Route => &call.route,
            Self::Operation => &call.operation,
            Self::Resource => &call.resource,
            Self::Source => &call.source,
            Self::Error => call.error,
            Self::Id => &call.id,
        }
    }
}

/// `wanted` is in lower case.
fn holds(wanted: &str, field: &str) -> bool {
    let field = field.to_lowercase();
    if wanted.contains(['*', '?']) {
        let (wanted, field): (Vec<char>, Vec<char>) = (wanted.chars().collect(), field.chars().collect());
        is_like(&wanted, &field)
    } else {
        field.contains(wanted)
    }
}

/// `*` is any text, `?` one character. Goes back to the last `*` only, so it takes no more than the product of both
/// lengths.
fn is_like(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&letter) if letter == '?' || letter == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((again, from)) = star else { return false };
                star = Some((again, from + 1));
                at = again + 1;
                seen = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call {
            id: "0198-abc".into(),
            client: "billing-cron".into(),
            route: "backups".into(),
            operation: "s3:GetObject".into(),
            resource: "logs/2026/Nov.gz".into(),
            source: "10.0.0.7".into(),
            agent: "curl/8.0".into(),
            status: 403,
            error: "operation-denied",
            ..Call::default()
        }
    }

    fn chosen(filter: &str) -> Result<bool, FilterError> {
        filter.parse::<Filter>().map(|filter| filter.matches(&call()))
    }

    #[test]
    fn words_choose() {
        let hits = [
            "",
            "  ",
            "client:billing",
            "CLIENT:BILLING-CRON",
            "route:backups op:get",
            "op:s3:get*",
            "op:s3:Get??ject",
            "operation:*object",
            "status:403",
            "status:4xx",
            "status:400-403",
            "resource:logs/",
            "nov.gz",
            "s3:GetObject",
            "CURL",
            "error:denied",
            "id:0198",
            "source:10.0.0.*",
            "client:*",
        ];
        for filter in hits {
            assert_eq!(chosen(filter), Ok(true), "{filter}");
        }
        let misses = [
            "client:ops",
            "op:get*",
            "op:s3:get?",
            "client:?",
            "client:billing route:other",
            "status:200",
            "status:5xx",
            "status:404-499",
            "nothing",
        ];
        for filter in misses {
            assert_eq!(chosen(filter), Ok(false), "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_said() {
        for status in
            ["status:", "status:4x", "status:abc", "status:0xx", "status:1-", "status:-5", "status:+40"]
        {
            assert!(matches!(chosen(status), Err(FilterError::Status(_))), "{status}");
        }
        assert_eq!(chosen(&"a ".repeat(WORDS + 1)), Err(FilterError::TooLong));
        assert_eq!(chosen(&"a".repeat(LONGEST + 1)), Err(FilterError::TooLong));
    }

    #[test]
    fn wildcards_agree_with_their_meaning() {
        /// Tries everything.
        fn naive(pattern: &[char], text: &[char]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some(('*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
                Some((letter, rest)) => text
                    .split_first()
                    .is_some_and(|(first, text)| (*letter == '?' || letter == first) && naive(rest, text)),
            }
        }
        let words = |letters: &[char], length: u32| -> Vec<Vec<char>> {
            let count = letters.len();
            (0..count.pow(length))
                .map(|mut number| {
                    (0..length)
                        .map(|_| {
                            let letter = letters[number % count];
                            number /= count;
                            letter
                        })
                        .collect()
                })
                .collect()
        };
        let mut tried = 0;
        for pattern in (0..=4).flat_map(|length| words(&['a', 'b', '*', '?'], length)) {
            for text in (0..=4).flat_map(|length| words(&['a', 'b'], length)) {
                assert_eq!(is_like(&pattern, &text), naive(&pattern, &text), "{pattern:?} {text:?}");
                tried += 1;
            }
        }
        assert!(tried > 10_000);
    }
}
