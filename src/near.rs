//! Suggests what a person may have meant by a text that matches nothing; pure.

use crate::text::{clean, distance};
use crate::words::either;

/// The most suggestions in a message.
const MAX_SUGGESTIONS: usize = 3;
/// The shortest text that is searched for inside names; a shorter one is part of too many.
const MIN_PART: usize = 3;
/// The longest name that is compared; no person types a longer one.
const MAX_LENGTH: usize = 200;

/// Collects the names nearest to a text.
#[derive(Clone, Debug)]
pub struct Near {
    /// In lower case.
    text: String,
    /// The nearest first: how far a name is, and the suggestion.
    found: Vec<(usize, String)>,
}

impl Near {
    /// Starts without a suggestion.
    pub fn to(text: &str) -> Self {
        Self {
            text: text.trim().to_lowercase(),
            found: Vec::new(),
        }
    }

    /// Compares the text with the names of one object, for which there is one suggestion. A name that contains the text is
    /// nearer than any name that is spelled differently.
    pub fn offer<'a>(&mut self, names: impl IntoIterator<Item = &'a str>, suggestion: &str) {
        let names = names.into_iter().filter(|name| name.len() <= MAX_LENGTH);
        let Some(far) = names.filter_map(|name| self.distance(name)).min() else {
            return;
        };
        if suggestion.len() > MAX_LENGTH {
            return;
        }
        let new = (far, suggestion.to_owned());
        if let Err(place) = self.found.binary_search(&new) {
            self.found.insert(place, new);
            self.found.truncate(MAX_SUGGESTIONS);
        }
    }

    fn distance(&self, name: &str) -> Option<usize> {
        let name = name.to_lowercase();
        if self.text.chars().count() >= MIN_PART && name.contains(&self.text) {
            return Some(0);
        }
        let whole = distance(&self.text, &name);
        // Someone may know the part before the @ only.
        let local = name
            .split_once('@')
            .and_then(|(local, _)| distance(&self.text, local));
        whole.into_iter().chain(local).min().map(|far| far + 1)
    }

    /// Returns the question of a message, without a semicolon before it; nothing if no name is near.
    pub fn question(&self) -> Option<String> {
        let nearest = self.found.first()?.0;
        let names = self.found.iter().filter(|(far, _)| *far == nearest);
        let names: Vec<String> = names
            .map(|(_, name)| format!("\"{}\"", clean(name)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Some(format!("did you mean {}?", either(&names)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str, users: &[(&[&str], &str)]) -> Option<String> {
        let mut near = Near::to(text);
        for (names, suggestion) in users {
            near.offer(names.iter().copied(), suggestion);
        }
        near.question()
    }

    #[test]
    fn the_nearest_names_are_suggested() {
        let long = "x".repeat(1000);
        let users: &[(&[&str], &str)] = &[
            (&["ada@example.com", "Ada Lovelace"], "ada@example.com"),
            (&["grace@example.com", "Grace Hopper"], "grace@example.com"),
            (
                &["grace.murray@example.com", "Grace Murray"],
                "grace.murray@example.com",
            ),
            (&[&long], &long),
        ];
        for (text, expected) in [
            ("lovelace", Some("did you mean \"ada@example.com\"?")),
            ("adda", Some("did you mean \"ada@example.com\"?")),
            ("ada@exampel.com", Some("did you mean \"ada@example.com\"?")),
            (
                "grace",
                Some("did you mean \"grace.murray@example.com\" or \"grace@example.com\"?"),
            ),
            ("zoltan", None),
            ("", None),
            (&long, None),
        ] {
            assert_eq!(question(text, users).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn at_most_three_names_are_suggested_and_what_a_terminal_obeys_is_visible() {
        let users: &[(&[&str], &str)] = &[
            (&["team d"], "d"),
            (&["team a"], "\u{1b}a"),
            (&["team b"], "b"),
            (&["team c"], "c"),
        ];
        assert_eq!(
            question("team", users).unwrap(),
            "did you mean \"\\u{1b}a\", \"b\" or \"c\"?"
        );
    }
}
