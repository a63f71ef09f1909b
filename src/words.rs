//! The words of options whose values are a closed set. Each set is an enum that derives [`ValueEnum`]: the words, their list
//! in messages, what shells complete and what is parsed come from its variants.

use std::marker::PhantomData;
use std::sync::OnceLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// The words of one enum, which outlive its values: clap makes a new word for each call.
#[derive(Debug)]
pub struct Words<T> {
    all: OnceLock<Vec<PossibleValue>>,
    of: PhantomData<fn() -> T>,
}

impl<T: ValueEnum + PartialEq + 'static> Words<T> {
    /// Returns words that are not read yet, for a static.
    #[allow(
        clippy::new_without_default,
        reason = "a default cannot be made in a static"
    )]
    pub const fn new() -> Self {
        Self {
            all: OnceLock::new(),
            of: PhantomData,
        }
    }

    /// Returns the word of a value.
    pub fn of(&'static self, value: T) -> &'static str {
        let words = self.all.get_or_init(all::<T>);
        let mut pairs = T::value_variants().iter().zip(words.iter());
        let found = pairs.find(|(variant, _)| **variant == value);
        found.map_or("", |(_, word)| word.get_name())
    }
}

/// Returns all words as a message lists them: `a, b or c`.
pub fn list<T: ValueEnum>() -> String {
    let words = all::<T>();
    let words: Vec<&str> = words.iter().map(PossibleValue::get_name).collect();
    either(&words)
}

/// Returns words as a message lists alternatives: `a, b or c`.
pub fn either(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Returns all words: one for each variant, in their order, without the comments, which are for readers of the code.
pub fn all<T: ValueEnum>() -> Vec<PossibleValue> {
    let word = |value: &T| value.to_possible_value().unwrap_or_default();
    let words = T::value_variants().iter().map(word);
    words.map(|word| word.help(None::<&str>)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, ValueEnum)]
    enum Size {
        Small,
        #[value(alias = "mid")]
        Medium,
        VeryLarge,
    }

    #[test]
    fn words_are_those_of_the_variants() {
        static WORDS: Words<Size> = Words::new();
        assert_eq!(WORDS.of(Size::Small), "small");
        assert_eq!(WORDS.of(Size::VeryLarge), "very-large");
        assert_eq!(list::<Size>(), "small, medium or very-large");
        assert_eq!(Size::from_str("mid", false), Ok(Size::Medium));
    }
}
