//! Keeps the token out of text from outside: of a server's responses, and of values typed in a wrong place.
//!
//! A proxy or a stand-in may repeat the request in its error, token included. The client masks every header and body
//! as it arrives, so no message, log line, snapshot or audit record can hold the token.

use memchr::memmem::Finder;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// The text that replaces a token.
const MASKED: &[u8] = b"***";
/// Nothing shorter is masked: it could be part of ordinary words, and no token of Okta's is this short.
const SHORTEST: usize = 12;

/// Replaces one token wherever it appears.
pub struct Mask(Option<Finder<'static>>);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Returns a mask for this token.
    pub fn of(token: &SecretString) -> Self {
        let token = token.expose_secret().as_bytes();
        Self((token.len() >= SHORTEST).then(|| Finder::new(token).into_owned()))
    }

    /// Masks the token in a body.
    pub fn bytes(&self, body: &mut Vec<u8>) {
        if let Some(masked) = self.masked(body) {
            *body = masked;
        }
    }

    /// Masks the token in a text.
    pub fn text(&self, text: String) -> String {
        match self.masked(text.as_bytes()) {
            Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
            None => text,
        }
    }

    /// Masks the token in the values of headers.
    pub fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if let Some(masked) = self.masked(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&masked)
                    .unwrap_or_else(|_| HeaderValue::from_static("***"));
            }
        }
    }

    fn masked(&self, text: &[u8]) -> Option<Vec<u8>> {
        let finder = self.0.as_ref()?;
        let mut rest = finder.find_iter(text).peekable();
        rest.peek()?;
        let mut masked = Vec::with_capacity(text.len());
        let mut from = 0;
        for at in rest {
            masked.extend_from_slice(&text[from..at]);
            masked.extend_from_slice(MASKED);
            from = at + finder.needle().len();
        }
        masked.extend_from_slice(&text[from..]);
        Some(masked)
    }
}

/// Returns whether a text where a path is expected looks like a token: one long word of a token's characters. Okta's
/// tokens have 42 of them.
pub fn looks_like_a_token(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 20
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Returns whether one of the words of a text looks like a token.
pub fn holds_a_token(text: &str) -> bool {
    words(text).any(is_token)
}

/// Returns a text with a mask in the place of every word that looks like a token.
pub fn without_tokens(text: &str) -> String {
    let tokens = words(text).filter(|word| is_token(word));
    tokens.fold(text.to_owned(), |text, token| text.replace(token, "***"))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
}

fn is_token(word: &str) -> bool {
    (word.starts_with("00") && word.len() >= 30) || (word.len() >= 40 && !word.contains('-'))
}

/// Returns a value of a setting as a message may show it: quoted, or masked if it looks like a token or contains one.
pub fn shown(value: &str) -> String {
    if holds_a_token(value) {
        "\"***\"".to_owned()
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const TOKEN: &str = "00Ab-cd_efghijklmnopqrstuvwxyz0123456789AB";

    #[test]
    fn a_name_of_a_file_is_no_token_and_a_token_is_no_name() {
        for (text, expected) in [
            (TOKEN, true),
            (" 00Ab-cd_efghijklmnopqrstuvwxyz0123456789AB\n", true),
            ("/run/secrets/okta-token", false),
            ("token.txt", false),
            ("okta-token", false),
        ] {
            assert_eq!(looks_like_a_token(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_value_that_holds_a_token_is_not_shown() {
        assert_eq!(shown(TOKEN), "\"***\"");
        assert_eq!(shown(&format!("https://{TOKEN}@x.okta.com")), "\"***\"");
        assert_eq!(shown("company.okta.com/x"), "\"company.okta.com/x\"");
        let text = format!("unexpected argument '{TOKEN}', and '{TOKEN}' again");
        assert_eq!(
            without_tokens(&text),
            "unexpected argument '***', and '***' again"
        );
    }

    proptest! {
        #[test]
        fn the_token_is_masked_wherever_it_stands_and_nothing_else_changes(
            before in any::<Vec<u8>>(), after in any::<Vec<u8>>(), times in 0_usize..4,
        ) {
            let token = SecretString::from(TOKEN);
            let mut body = before.clone();
            let mut expected = before;
            for _ in 0..times {
                body.extend_from_slice(TOKEN.as_bytes());
                body.extend_from_slice(&after);
                expected.extend_from_slice(MASKED);
                expected.extend_from_slice(&after);
            }
            Mask::of(&token).bytes(&mut body);
            prop_assert_eq!(&body, &expected);
            prop_assert!(Finder::new(TOKEN).find(&body).is_none());
        }
    }
}
