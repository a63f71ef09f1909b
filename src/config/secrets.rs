//! Reads the files of the configuration: the token and root certificates.

use std::io::{IsTerminal as _, Read as _};

use secrecy::{ExposeSecret as _, SecretString};

use super::environment::{Environment, Setting};
use super::{Error, exclusive, required};
use crate::cli;
use crate::mask;

/// Removes the byte order mark that Windows programs write.
fn without_mark(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    bytes
}

pub(super) fn certificates(file: &Setting) -> Result<Vec<u8>, Error> {
    let pem = std::fs::read(&file.value)
        .map(without_mark)
        .map_err(|error| {
            file.error(format!("cannot read {}: {error}", mask::shown(&file.value)))
        })?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(pem),
        _ => Err(file.error(format!(
            "{} holds no PEM certificate",
            mask::shown(&file.value)
        ))),
    }
}

/// The largest size of a token file, in bytes. A token has about 40 characters.
const LONGEST_TOKEN: u64 = 4096;

pub(super) fn token(
    typed: &cli::ConnectionArgs,
    environment: &Environment,
) -> Result<SecretString, Error> {
    let flag = |value: &Option<String>, name| value.as_ref().map(|value| Setting::new(name, value));
    let flags = [
        flag(&typed.api_token, "--api-token"),
        flag(&typed.api_token_file, "--api-token-file"),
    ];
    let by_flag = flags.iter().any(Option::is_some);
    let [token, file] = if by_flag {
        flags
    } else {
        [
            environment.get("BATON_API_TOKEN")?,
            environment.get("BATON_API_TOKEN_FILE")?,
        ]
    };
    match (token, file) {
        (Some(token), Some(file)) => Err(exclusive(&token, &file)),
        (Some(token), None) => checked_token(&token.name, token.value),
        (None, Some(file)) => {
            let text = read_token(&file)?;
            checked_token(&file.name, text)
        }
        (None, None) => Err(required(
            "--api-token-file",
            "BATON_API_TOKEN",
            "create a token in the Okta admin console under Security, API, Tokens",
        )),
    }
}

fn read_token(file: &Setting) -> Result<String, Error> {
    let mut text = String::new();
    let read = if file.value == "-" {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err(file.error(
                "standard input is a terminal, which would show the token; pipe it in, or use a file",
            ));
        }
        stdin.take(LONGEST_TOKEN).read_to_string(&mut text)
    } else {
        std::fs::File::open(&file.value)
            .and_then(|opened| opened.take(LONGEST_TOKEN).read_to_string(&mut text))
    };
    read.map_err(|error| {
        if mask::looks_like_a_token(&file.value) {
            file.error(format!(
                "cannot open the file that it names ({error}); if its value is the token itself, use BATON_API_TOKEN"
            ))
        } else {
            file.error(format!("cannot open {}: {error}", mask::shown(&file.value)))
        }
    })?;
    if text.len() as u64 == LONGEST_TOKEN {
        return Err(file.error("the file is too long for a token"));
    }
    Ok(text)
}

fn checked_token(setting: &str, text: String) -> Result<SecretString, Error> {
    let whole = SecretString::from(text);
    let token = whole.expose_secret().trim_start_matches('\u{feff}').trim();
    let quoted = |quote| token.strip_prefix(quote)?.strip_suffix(quote);
    let token = quoted('"').or_else(|| quoted('\'')).unwrap_or(token);
    if token.is_empty() {
        return Err(Error::fault(setting, "contains no token"));
    }
    if token.starts_with(['{', '[']) {
        return Err(Error::fault(
            setting,
            "contains JSON; provide only the token",
        ));
    }
    if token
        .split_once('=')
        .is_some_and(|(name, value)| !name.is_empty() && !value.trim_matches('=').is_empty())
    {
        return Err(Error::fault(
            setting,
            "contains NAME=value; provide only the value, the token",
        ));
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.bytes().all(is_part) {
        return Err(Error::fault(
            setting,
            "contains characters that are not part of a token; provide only the token, without \"SSWS\"",
        ));
    }
    Ok(SecretString::from(token.to_owned()))
}
