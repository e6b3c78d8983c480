//! Text into HTML. Whatever is put between tags or into an attribute goes through [`Escaped`].

use std::fmt;

/// A text, in which nothing is markup: neither between tags nor in a quoted attribute.
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for letter in self.0.chars() {
            match letter {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                // Nothing that HTML has no character for.
                '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                    formatter.write_char('\u{fffd}')?;
                }
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Seconds as people read them.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 100.0 => format!("{seconds:.0} s"),
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 0.1 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{:.1} ms", seconds * 1e3),
    }
}

/// Bytes as people read them.
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
    let mut unit = "B";
    while value >= 1024.0
        && let Some(next) = units.next()
    {
        value /= 1024.0;
        unit = next;
    }
    let digits = usize::from(unit != "B" && value < 100.0);
    format!("{value:.digits$} {unit}")
}

/// A share as people read it.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// Something a second.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        _ if rate >= 100.0 => format!("{rate:.0}/s"),
        _ if rate >= 1.0 || rate == 0.0 => format!("{rate:.1}/s"),
        _ => format!("{rate:.2}/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        let text = Escaped("<script>\"'&amp;\u{0}\u{7f}\n\u{1f600}").to_string();
        assert_eq!(text, "&lt;script&gt;&quot;&#39;&amp;amp;\u{fffd}\u{fffd}\n\u{1f600}");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.000_4, 0.012_34, 0.25, 1.5, 120.0].map(seconds);
        assert_eq!(shown, ["0.4 ms", "12.3 ms", "250 ms", "1.50 s", "120 s"]);
        let shown = [0, 1023, 1024, 1 << 20, 150 << 20, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "150 MiB", "16.0 EiB"]);
        assert_eq!([0.0, 0.004, 0.25, 1.0].map(percent), ["0 %", "0.4 %", "25 %", "100 %"]);
        assert_eq!([0.0, 0.013, 2.5, 1234.0].map(rate), ["0.0/s", "0.01/s", "2.5/s", "1234/s"]);
    }
}
