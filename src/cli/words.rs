//! The words that shells offer for an option. Nothing is refused here.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command, Error, ValueEnum};

use crate::evidence::findings::catalogue::{CATALOGUE, Severity};
use crate::words::all;

/// A parser that accepts any text, and offers words.
#[derive(Clone, Debug)]
pub(super) struct Offered(Vec<PossibleValue>);

impl TypedValueParser for Offered {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().cloned()))
    }
}

/// Offers the words of an enum.
pub(super) fn words<T: ValueEnum>() -> Offered {
    Offered(all::<T>())
}

/// Offers the names of findings.
pub(super) fn findings() -> Offered {
    let names = CATALOGUE.iter().map(|entry| entry.name);
    Offered(names.map(PossibleValue::new).collect())
}

/// Offers severities and the names of findings.
pub(super) fn severities_and_findings() -> Offered {
    let mut words = all::<Severity>();
    words.extend(findings().0);
    Offered(words)
}
