//! The text of a configuration file with everything blanked that nobody has found harmless.
//!
//! Diagnostics quote lines of the file, and somebody will one day write a secret into one of them. So the rule is
//! the other way round: only keys and values that a reader asked for by name, as things that are not secret, are
//! quoted as they stand. The rest becomes `*`, comments become blanks. Masking keeps every byte offset, so spans
//! of the original point at the same place here. It never guesses what looks like a secret.

use std::ops::Range;

/// The words that may be quoted when they stand where a key stands, even in a file that is not valid TOML.
const KEYS: &[&str] = &[
    "access-key",
    "address",
    "addressing",
    "admin",
    "allow",
    "allow-open-mode",
    "audit",
    "aws-profile",
    "aws-v4",
    "body",
    "body-timeout",
    "burst",
    "ca-file",
    "certificate",
    "client-address",
    "client-auth",
    "client-ca",
    "client-crl",
    "clients",
    "cloudstack",
    "concurrency",
    "connect-timeout",
    "connections",
    "context-path",
    "credential",
    "credentials",
    "deny",
    "dialect",
    "double-encode",
    "drain",
    "env",
    "exec",
    "expires",
    "file",
    "form",
    "forward-headers",
    "from",
    "h2c",
    "hand-over",
    "hand-over-from",
    "handshake-timeout",
    "head",
    "header-timeout",
    "headers",
    "host",
    "hosts",
    "http2",
    "idle-timeout",
    "insecure",
    "key",
    "keys",
    "limits",
    "listen",
    "match",
    "memory",
    "method",
    "normalize",
    "on-full",
    "parameters",
    "path",
    "payload",
    "policy",
    "rate",
    "read-only",
    "redact",
    "refuse-replays",
    "region",
    "response-timeout",
    "retain",
    "rewrite-path",
    "rotate-age",
    "rotate-size",
    "routes",
    "s3-v2",
    "s3-v4",
    "secret-key",
    "secrets",
    "server",
    "service",
    "session-token",
    "sign",
    "sni",
    "sub-resources",
    "systemd",
    "target",
    "time-zone",
    "time-zone-label",
    "tls",
    "token",
    "trusted-proxies",
    "unix-group",
    "unix-user",
    "upstream",
    "upstream-chunked",
    "url",
    "version",
    "wait",
    "wait-by-default",
    "workers",
    "zstack",
];

/// `text` with all but the `shown` byte ranges, key words and punctuation replaced, byte for byte.
pub(super) fn mask(text: &str, shown: &[Range<usize>]) -> String {
    let mut shown: Vec<_> = shown.to_vec();
    shown.sort_by_key(|range| range.start);
    let mut shown = shown.into_iter().peekable();
    let mut out = String::with_capacity(text.len());
    let mut inside = Inside::Nothing;
    let mut at = 0;
    while let Some(char) = text[at..].chars().next() {
        while shown.next_if(|range| range.end <= at).is_some() {}
        if let Some(range) = shown.next_if(|range| range.start <= at) {
            // Spans of the parser lie on character boundaries; `get` only spares a panic if one ever did not.
            out.push_str(text.get(at..range.end).unwrap_or_default());
            at = out.len();
            continue;
        }
        let len = char.len_utf8();
        match (inside, char) {
            (_, '\n' | '\r') => {
                out.push(char);
                inside = Inside::Nothing;
            }
            (Inside::Comment, _) => blank(&mut out, ' ', len),
            (Inside::Quotes(quote), _) if char == quote => {
                out.push(char);
                inside = Inside::Nothing;
            }
            (Inside::Quotes(_), _) => blank(&mut out, '*', len),
            (Inside::Nothing, '"' | '\'') => {
                out.push(char);
                inside = Inside::Quotes(char);
            }
            (Inside::Nothing, '#') => {
                blank(&mut out, ' ', len);
                inside = Inside::Comment;
            }
            (Inside::Nothing, ' ' | '\t' | '[' | ']' | '{' | '}' | '=' | ',' | '.') => out.push(char),
            (Inside::Nothing, _) => {
                let word = bare_word(&text[at..]);
                if is_key(word, &text[at + word.len()..]) {
                    out.push_str(word);
                } else {
                    blank(&mut out, '*', word.len().max(len));
                }
            }
        }
        at = out.len();
    }
    out
}

#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    Comment,
    Quotes(char),
}

fn blank(out: &mut String, with: char, bytes: usize) {
    out.extend(std::iter::repeat_n(with, bytes));
}

/// The bare key of TOML's grammar at the beginning of `text`; empty when there is none.
fn bare_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn is_key(word: &str, rest: &str) -> bool {
    KEYS.contains(&word) && rest.trim_start_matches([' ', '\t']).starts_with(['=', '.', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_keys_and_punctuation_and_nothing_else() {
        let text =
            "[credentials.lab] # old: CANARY\nsecret-key = { file = \"CANARY/x\" }\nCANARY = 'CANARY'\n";
        assert_eq!(
            mask(text, &[]),
            "[credentials.***]              \nsecret-key = { file = \"********\" }\n****** = '******'\n"
        );
    }

    #[test]
    fn shows_what_was_asked_for() {
        let text = "expires = \"20m\"";
        assert_eq!(mask(text, std::slice::from_ref(&(10..15))), text);
        assert_eq!(mask(text, &[]), "expires = \"***\"");
    }

    #[test]
    fn survives_unclosed_quotes_and_other_alphabets() {
        assert_eq!(
            mask("secret-key = \"CANARY\nsecret-key CANARY", &[]),
            "secret-key = \"******\n********** ******"
        );
        let text = "Schlüssel = \"größe\"";
        assert_eq!(mask(text, &[]).len(), text.len());
        assert_eq!(mask(text, &[]), "********** = \"*******\"");
    }

    #[test]
    fn a_key_word_that_is_a_value_is_blanked() {
        assert_eq!(mask("secret-key = region", &[]), "secret-key = ******");
    }
}
