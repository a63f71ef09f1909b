//! Stores the values of our tables by the type that they have in the program: numbers as numbers, times and profiles as
//! text. Reading is strict: another program's value that does not fit is an error, never a guess.

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value as Json;

use super::limits::{MAX_ELEMENTS, has_few_elements};
use super::times;
use crate::model::{GroupId, Profile, UserId};

/// A type that a column can have.
pub(super) trait ColumnType: Sized {
    /// `text`, `integer` or `real`.
    const SQL_TYPE: &'static str;
    fn encode(&self) -> ToSqlOutput<'_>;
    /// Returns the value, or what is wrong with it as the end of a sentence.
    fn decode(value: ValueRef<'_>) -> Result<Self, String>;
}

/// The attributes of a user or a group, as the text of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileText(String);

impl Default for ProfileText {
    /// Returns a profile without attributes.
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl ProfileText {
    pub(super) fn of(profile: &Profile) -> serde_json::Result<Self> {
        serde_json::to_string(profile).map(Self)
    }

    #[cfg(test)]
    pub(crate) fn from_json(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the text. Its keys are sorted if this program wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the attributes.
    ///
    /// # Errors
    /// Returns an error if the values are nested too deeply, or if a text contains half of a surrogate pair.
    pub fn parse(&self) -> serde_json::Result<Profile> {
        serde_json::from_str(&self.0)
    }
}

impl ColumnType for ProfileText {
    const SQL_TYPE: &'static str = "text";

    fn encode(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(self.as_str().into())
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        let text = text(value)?;
        if !has_few_elements(text) {
            return Err(format!("contains more than {MAX_ELEMENTS} values"));
        }
        if !text.trim_ascii_start().starts_with('{') {
            return Err("is not a JSON object".to_owned());
        }
        // Only the grammar is checked here: most callers need few of the values, or only the text.
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("is not a JSON object ({error})")),
        }
    }
}

/// Options and variables, as `--name=value`, `--name` or `NAME=value`; stored as the text of a JSON list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arguments(pub Vec<String>);

impl ColumnType for Arguments {
    const SQL_TYPE: &'static str = "text";

    fn encode(&self) -> ToSqlOutput<'_> {
        Json::from(self.0.as_slice()).to_string().into()
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        serde_json::from_str(text(value)?)
            .map(Self)
            .map_err(|error| format!("is not a list of texts ({error})"))
    }
}

fn text(value: ValueRef<'_>) -> Result<&str, String> {
    value.as_str().map_err(|_| "is not a text".to_owned())
}

impl ColumnType for String {
    const SQL_TYPE: &'static str = "text";

    fn encode(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(self.as_str().into())
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }
}

/// Ids are stored as their text.
macro_rules! id {
    ($($id:ident),*) => {
        $(impl ColumnType for $id {
            const SQL_TYPE: &'static str = "text";

            fn encode(&self) -> ToSqlOutput<'_> {
                ToSqlOutput::Borrowed(self.as_str().into())
            }

            fn decode(value: ValueRef<'_>) -> Result<Self, String> {
                text(value).map(Self::from)
            }
        })*
    };
}
id!(UserId, GroupId);

impl ColumnType for Timestamp {
    const SQL_TYPE: &'static str = "text";

    fn encode(&self) -> ToSqlOutput<'_> {
        times::rfc3339(*self).into()
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        let text = text(value)?;
        times::parse(text).ok_or_else(|| format!("is not a time: {text:?}"))
    }
}

impl ColumnType for i64 {
    const SQL_TYPE: &'static str = "integer";

    fn encode(&self) -> ToSqlOutput<'_> {
        (*self).into()
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        value
            .as_i64()
            .map_err(|_| "is not a whole number".to_owned())
    }
}

impl ColumnType for u64 {
    const SQL_TYPE: &'static str = "integer";

    fn encode(&self) -> ToSqlOutput<'_> {
        i64::try_from(*self).unwrap_or(i64::MAX).into()
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        let number = i64::decode(value)?;
        Self::try_from(number).map_err(|_| format!("is negative: {number}"))
    }
}

impl ColumnType for u32 {
    const SQL_TYPE: &'static str = "integer";

    fn encode(&self) -> ToSqlOutput<'_> {
        (*self).into()
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        let number = i64::decode(value)?;
        Self::try_from(number).map_err(|_| format!("is not below {}: {number}", Self::MAX))
    }
}

impl ColumnType for bool {
    const SQL_TYPE: &'static str = "integer";

    fn encode(&self) -> ToSqlOutput<'_> {
        (*self).into()
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        match value {
            ValueRef::Integer(0) => Ok(false),
            ValueRef::Integer(1) => Ok(true),
            _ => Err("is neither 0 nor 1".to_owned()),
        }
    }
}

impl ColumnType for f64 {
    const SQL_TYPE: &'static str = "real";

    fn encode(&self) -> ToSqlOutput<'_> {
        (*self).into()
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        value.as_f64().map_err(|_| "is not a number".to_owned())
    }
}

impl<T: ColumnType> ColumnType for Option<T> {
    const SQL_TYPE: &'static str = T::SQL_TYPE;

    fn encode(&self) -> ToSqlOutput<'_> {
        self.as_ref()
            .map_or(ToSqlOutput::Owned(Value::Null), T::encode)
    }

    fn decode(value: ValueRef<'_>) -> Result<Self, String> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::decode(value).map(Some),
        }
    }
}
