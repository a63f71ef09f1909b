//! The part of Okta's search language that the tool uses. Everything else is refused.

use jiff::Timestamp;

use super::org::{Group, Millis, User};

/// An attribute that a search can contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Status,
    Created,
    Email,
    Login,
    Name,
    Kind,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Present,
    Equal,
    StartsWith,
    Contains,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A condition. Texts are in lower case if the comparison ignores case.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Search {
    Text(Attribute, Operator, String),
    /// The status, and true if the comparison is case-sensitive.
    Status(String, bool),
    Created(Operator, Millis),
    Present,
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// The reason for refusing a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// The search is not valid, or uses parts of the language that are not supported here.
    Syntax,
    /// `co` with fewer than three characters.
    Short,
    /// A value that should be a time is not one.
    Date,
}

/// The parameter that contains the search, which determines the permitted conditions and whether case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    UserSearch,
    UserFilter,
    GroupSearch,
    GroupFilter,
}

impl Place {
    fn allows(self, attribute: Attribute, operator: Operator) -> bool {
        use Attribute::{Created, Email, Kind, Login, Name, Status};
        use Operator::{Contains, Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        use Operator::{Present, StartsWith};
        match (self, attribute) {
            (Self::UserSearch, Status) => matches!(operator, Present | Equal),
            (Self::UserSearch, Email | Login) => matches!(operator, Contains | Equal),
            (Self::UserSearch, Created) => {
                matches!(operator, Greater | GreaterOrEqual | Less | LessOrEqual)
            }
            (Self::UserFilter, Status | Email | Login) | (Self::GroupFilter, Kind) => {
                operator == Equal
            }
            (Self::GroupSearch, Name) => matches!(operator, Contains | StartsWith | Equal),
            _ => false,
        }
    }

    fn ignores_case(self) -> bool {
        matches!(self, Self::UserSearch | Self::GroupSearch)
    }
}

impl Search {
    /// Parses a search.
    pub(super) fn parse(text: &str, place: Place) -> Result<Self, Bad> {
        let tokens = tokens(text)?;
        let mut parser = Parser {
            tokens: tokens.into_iter().peekable(),
            place,
            depth: 0,
        };
        let search = parser.any()?;
        match parser.tokens.next() {
            None => Ok(search),
            Some(_) => Err(Bad::Syntax),
        }
    }

    /// Returns true if a user matches.
    pub(super) fn user(&self, user: &User) -> bool {
        match self {
            Self::Present => true,
            Self::All(parts) => parts.iter().all(|part| part.user(user)),
            Self::Any(parts) => parts.iter().any(|part| part.user(user)),
            Self::Created(operator, time) => match operator {
                Operator::Greater => user.created > *time,
                Operator::GreaterOrEqual => user.created >= *time,
                Operator::Less => user.created < *time,
                _ => user.created <= *time,
            },
            Self::Status(text, true) => user.status == *text,
            Self::Status(text, false) => user.status.to_lowercase() == *text,
            Self::Text(Attribute::Email, operator, text) => {
                matches(user.email.as_deref(), *operator, text)
            }
            Self::Text(_, operator, text) => matches(user.login.as_deref(), *operator, text),
        }
    }

    /// Returns true if a group matches.
    pub(super) fn group(&self, group: &Group) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.group(group)),
            Self::Any(parts) => parts.iter().any(|part| part.group(group)),
            Self::Text(Attribute::Kind, _, text) => *group.kind == **text,
            Self::Text(_, operator, text) => {
                let name = group.name().map(str::to_lowercase);
                matches(name.as_deref(), *operator, text)
            }
            Self::Present | Self::Created(..) | Self::Status(..) => false,
        }
    }

    /// Returns a range of creation times, including both ends, that contains all matching users; `None` if the search
    /// does not limit the creation time.
    pub(super) fn created(&self) -> Option<(Millis, Millis)> {
        match self {
            Self::Created(operator, time) => Some(match operator {
                Operator::Greater => (time.saturating_add(1), Millis::MAX),
                Operator::GreaterOrEqual => (*time, Millis::MAX),
                Operator::Less => (Millis::MIN, time.saturating_sub(1)),
                _ => (Millis::MIN, *time),
            }),
            Self::All(parts) => parts
                .iter()
                .filter_map(Self::created)
                .reduce(|a, b| (a.0.max(b.0), a.1.min(b.1))),
            Self::Text(..) | Self::Status(..) | Self::Present | Self::Any(_) => None,
        }
    }

    /// Returns true if `wanted` is true for a part of the search.
    pub(super) fn uses(&self, wanted: &impl Fn(&Self) -> bool) -> bool {
        wanted(self)
            || match self {
                Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.uses(wanted)),
                _ => false,
            }
    }
}

fn matches(value: Option<&str>, operator: Operator, text: &str) -> bool {
    value.is_some_and(|value| match operator {
        Operator::Contains => value.contains(text),
        Operator::StartsWith => value.starts_with(text),
        _ => value == text,
    })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Quoted(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, Bad> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '"' => {
                let mut quoted = String::new();
                loop {
                    match chars.next().ok_or(Bad::Syntax)? {
                        '"' => break,
                        '\\' => quoted.push(chars.next().ok_or(Bad::Syntax)?),
                        c => quoted.push(c),
                    }
                }
                tokens.push(Token::Quoted(quoted));
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !matches!(c, ' ' | '(' | ')' | '"')) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    place: Place,
    depth: u8,
}

impl Parser {
    /// Parses a condition; `and` binds closer than `or`.
    fn any(&mut self) -> Result<Search, Bad> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Search::Any))
    }

    fn all(&mut self) -> Result<Search, Bad> {
        let first = self.part()?;
        let mut parts = vec![first];
        while self.word("and") {
            parts.push(self.part()?);
        }
        Ok(one_or(parts, Search::All))
    }

    fn word(&mut self, word: &str) -> bool {
        let same = |token: &Token| matches!(token, Token::Word(text) if text == word);
        self.tokens.next_if(same).is_some()
    }

    fn operator(&mut self) -> Result<Operator, Bad> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(match word.as_str() {
                "pr" => Operator::Present,
                "eq" => Operator::Equal,
                "sw" => Operator::StartsWith,
                "co" => Operator::Contains,
                "gt" => Operator::Greater,
                "ge" => Operator::GreaterOrEqual,
                "lt" => Operator::Less,
                "le" => Operator::LessOrEqual,
                _ => return Err(Bad::Syntax),
            }),
            _ => Err(Bad::Syntax),
        }
    }

    fn part(&mut self) -> Result<Search, Bad> {
        let attribute = match self.tokens.next() {
            Some(Token::Open) if self.depth < 16 => {
                self.depth += 1;
                let inner = self.any()?;
                self.depth -= 1;
                return match self.tokens.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(Bad::Syntax),
                };
            }
            Some(Token::Word(word)) => match word.as_str() {
                "status" => Attribute::Status,
                "created" => Attribute::Created,
                "profile.email" => Attribute::Email,
                "profile.login" => Attribute::Login,
                "profile.name" => Attribute::Name,
                "type" => Attribute::Kind,
                _ => return Err(Bad::Syntax),
            },
            _ => return Err(Bad::Syntax),
        };
        let operator = self.operator()?;
        if !self.place.allows(attribute, operator) {
            return Err(Bad::Syntax);
        }
        if operator == Operator::Present {
            return Ok(Search::Present);
        }
        let Some(Token::Quoted(text)) = self.tokens.next() else {
            return Err(Bad::Syntax);
        };
        if attribute == Attribute::Created {
            let time: Timestamp = text.parse().map_err(|_| Bad::Date)?;
            return Ok(Search::Created(operator, time.as_millisecond()));
        }
        if operator == Operator::Contains && text.chars().count() < 3 {
            return Err(Bad::Short);
        }
        let text = if self.place.ignores_case() {
            text.to_lowercase()
        } else {
            text
        };
        Ok(match attribute {
            Attribute::Status => Search::Status(text, !self.place.ignores_case()),
            _ => Search::Text(attribute, operator, text),
        })
    }
}

fn one_or(mut parts: Vec<Search>, many: fn(Vec<Search>) -> Search) -> Search {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::super::org::{Org, at};
    use super::*;

    fn found(search: &str) -> Result<Vec<String>, Bad> {
        let mut org = Org::new();
        let mut add = |id: &str, email: &str, created: &str| {
            let mut user = User::with_email(id, email);
            user.created = at(created);
            org.add_user(user);
        };
        add("1", "Mira@Example.com", "2024-01-01T00:00:00.250Z");
        add("2", "a@example.org", "2024-01-01T00:00:01Z");
        add("3", "q\"uote@other.net", "2025-01-01T00:00:00Z");
        org.edit_user("2", |user| user.status = "STAGED".into());
        let search = Search::parse(search, Place::UserSearch)?;
        let users = org.users().filter(|user| search.user(user));
        Ok(users.map(|user| user.id.to_string()).collect())
    }

    #[test]
    fn a_search_finds_the_matching_users() {
        let table = [
            ("status pr", "123"),
            ("profile.email co \"@EXAMPLE.com\"", "1"),
            (
                "profile.email co \"example\" or profile.login co \"other\"",
                "123",
            ),
            ("profile.login co \"Q\\\"uo\"", "3"),
            ("created ge \"2024-01-01T00:00:00.251Z\"", "23"),
            (
                "created gt \"2024-01-01T00:00:00.250Z\" and created lt \"2025-01-01T00:00:00.000Z\"",
                "2",
            ),
            ("created le \"2024-01-01T00:00:00.250Z\"", "1"),
            (
                "status pr and (created lt \"2024-06-01T00:00:00.000Z\")",
                "12",
            ),
            (
                "(profile.email co \"mira\" or profile.email co \"quote\") and created lt \"2024-06-01T00:00:00Z\"",
                "1",
            ),
            (
                "profile.email co \"mira\" or profile.email co \"uote\" and created lt \"2024-06-01T00:00:00Z\"",
                "1",
            ),
            ("status eq \"staged\"", "2"),
        ];
        for (search, expected) in table {
            assert_eq!(
                found(search).map(|ids| ids.concat()),
                Ok(expected.into()),
                "{search}"
            );
        }
    }

    #[test]
    fn a_search_outside_the_language_is_refused() {
        let table = [
            ("", Bad::Syntax),
            ("status", Bad::Syntax),
            ("status pr and", Bad::Syntax),
            ("(status pr", Bad::Syntax),
            ("status pr)", Bad::Syntax),
            ("profile.email ew \"example.com\"", Bad::Syntax),
            ("profile.secondEmail co \"example.com\"", Bad::Syntax),
            ("profile.email co \"unclosed", Bad::Syntax),
            ("profile.email co bare", Bad::Syntax),
            ("status ne \"ACTIVE\"", Bad::Syntax),
            ("profile.email co \"ab\"", Bad::Short),
            ("created ge \"yesterday\"", Bad::Date),
        ];
        for (search, expected) in table {
            assert_eq!(found(search), Err(expected), "{search}");
        }
    }

    #[test]
    fn a_filter_is_case_sensitive_and_supports_less() {
        let active = User::with_email("1", "a@example.com");
        let filter = |text| Search::parse(text, Place::UserFilter);
        assert!(filter("status eq \"ACTIVE\"").unwrap().user(&active));
        assert!(!filter("status eq \"active\"").unwrap().user(&active));
        assert_eq!(filter("status pr"), Err(Bad::Syntax));
    }

    #[test]
    fn a_search_limits_creation_times_only_if_all_alternatives_do() {
        let created = |text: &str| Search::parse(text, Place::UserSearch).unwrap().created();
        let window = "created ge \"1970-01-01T00:00:01Z\" and created lt \"1970-01-01T00:00:02Z\"";
        assert_eq!(created(window), Some((1000, 1999)));
        assert_eq!(
            created(&format!("status pr and ({window})")),
            Some((1000, 1999))
        );
        assert_eq!(created(&format!("status pr or ({window})")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(text in any::<String>()) {
            let _ = Search::parse(&text, Place::UserSearch);
        }

        #[test]
        fn a_quoted_text_is_parsed_back(text in any::<String>()) {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(tokens(&format!("\"{escaped}\"")).unwrap(), [Token::Quoted(text)]);
        }
    }
}
