//! Formats numbers, durations, errors and text from outside for people; pure, and usable everywhere.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

/// Returns the messages of an error chain in one line, each once: some errors contain the text of their cause, or the
/// other way around, as in `disk I/O error: Error code 778: disk I/O error`.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut messages: Vec<String> = Vec::new();
    for message in error.chain().map(ToString::to_string) {
        if messages.iter().any(|earlier| earlier.contains(&message)) {
            continue;
        }
        messages.pop_if(|last| message.ends_with(last.as_str()));
        messages.push(message);
    }
    clean(&messages.join(": ")).into_owned()
}

/// Returns the message of an error that only a bug of okta-ciam can cause. Every such message is made here.
pub fn internal_error(what: impl Display) -> String {
    format!("internal error: {what}; please report this bug")
}

/// Returns a text from outside with everything made visible that should not be obeyed or hidden: control characters
/// (also line breaks), and the marks that turn or hide text.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns a text of JSON as it is printed: what JSON itself does not escape, but a terminal obeys or hides, is written
/// as an escape. It can stand in strings only, and so means the same.
pub fn json(mut text: String) -> String {
    let obeyed = |c: char| c != '\n' && is_hidden(c);
    if text.contains(obeyed) {
        let mut out = String::with_capacity(text.len() + 64);
        for c in text.chars() {
            if obeyed(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out += &format!("\\u{unit:04x}");
                }
            } else {
                out.push(c);
            }
        }
        text = out;
    }
    text.push('\n');
    text
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns the name that was probably meant: the nearest by edit distance without case, if at most a third of the characters
/// differ.
pub fn closest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = typed.to_lowercase();
    let near = names.into_iter().filter_map(|name| {
        let distance = distance(&folded, &name.to_lowercase())?;
        Some((distance, name))
    });
    let (_, name) = near.min_by_key(|(distance, _)| *distance)?;
    Some(name)
}

/// Returns the edit distance of two texts, if it is at most a third of the first one's characters.
pub fn distance(typed: &str, name: &str) -> Option<usize> {
    let (length, other) = (typed.chars().count(), name.chars().count());
    let far = length / 3;
    // What differs in length by more costs time and memory for nothing.
    if length.abs_diff(other) > far {
        return None;
    }
    let distance = strsim::damerau_levenshtein(typed, name);
    (distance <= far).then_some(distance)
}

/// Returns bytes in lowercase hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Breaks a text into lines of at most this many characters, between words where that is possible. There is at least one.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    const LEAST: usize = 20;
    let width = width.max(LEAST);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let used = lines.last().map_or(0, |line| line.chars().count());
        let gap = usize::from(used > 0);
        match lines.last_mut() {
            Some(line) if used == 0 || used + gap + word.chars().count() <= width => {
                *line += if gap > 0 { " " } else { "" };
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Returns a number as people read it: 1,234,567.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a number and its noun: "1 user", "2 users".
pub fn count(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", number(count))
}

/// Returns a time span as people read it: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_of_an_error_is_printed_once() {
        for (chain, line) in [
            (
                vec!["cannot open a.db", "no such file"],
                "cannot open a.db: no such file",
            ),
            (vec!["a: b", "b"], "a: b"),
            (
                vec![
                    "cannot write a.db",
                    "disk I/O error",
                    "Error code 778: disk I/O error",
                ],
                "cannot write a.db: Error code 778: disk I/O error",
            ),
        ] {
            let mut causes = chain.iter().rev();
            let first = anyhow::anyhow!("{}", causes.next().unwrap());
            let error = causes.fold(first, |error, cause| error.context(*cause));
            assert_eq!(one_line(&error), line);
        }
    }

    #[test]
    fn what_would_move_the_cursor_is_made_visible() {
        assert_eq!(clean("Équipe 日本"), "Équipe 日本");
        assert_eq!(clean("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\u{a}c");
        assert_eq!(clean("x\u{202e}y\u{200b}z"), "x\\u{202e}y\\u{200b}z");
    }

    #[test]
    fn json_says_the_same_without_what_a_terminal_obeys() {
        let text = "a\u{1b}\n\u{7f}\u{9b}31m \u{202e}é日\u{e0001}😀";
        let printed = json(serde_json::to_string_pretty(&[text]).unwrap());
        assert_eq!(
            printed,
            "[\n  \"a\\u001b\\n\\u007f\\u009b31m \\u202eé日\\udb40\\udc01😀\"\n]\n"
        );
        let read: Vec<String> = serde_json::from_str(&printed).unwrap();
        assert_eq!(read, [text]);
    }

    #[test]
    fn the_nearest_name_is_found_if_it_is_near() {
        let names = ["VPN users", "Engineering", "Équipe"];
        for (typed, name) in [
            ("vpn user", Some("VPN users")),
            ("enginering", Some("Engineering")),
            ("equipe", Some("Équipe")),
            ("Finance", None),
            ("", None),
        ] {
            assert_eq!(closest(typed, names), name, "{typed}");
        }
    }

    #[test]
    fn a_text_is_broken_between_words() {
        let text = "this token can change every group (SUPER_ADMIN)";
        assert_eq!(
            wrap(text, 24),
            ["this token can change", "every group", "(SUPER_ADMIN)"]
        );
        assert_eq!(wrap(text, usize::MAX), [text]);
        assert_eq!(wrap("", 24), [""]);
        assert_eq!(wrap(&"x".repeat(30), 24), ["x".repeat(30)]);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(count), text);
        }
    }

    #[test]
    fn spans_are_as_exact_as_a_person_needs() {
        for (millis, text) in [
            (400, "0.4 s"),
            (12_000, "12 s"),
            (185_000, "3 min 5 s"),
            (7_800_000, "2 h 10 min"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
