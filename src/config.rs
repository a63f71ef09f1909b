//! What was meant: flags and environment become one checked value a command, once. Nothing later reads the environment.
//!
//! - A flag beats a variable; an empty variable is not set.
//! - Every error names the flag or the variable that it is about, and what to write instead. None repeats a secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::{Host, Url};

use crate::change::Action;
use crate::change::rows::{self, Row};
mod proxy;
mod unknown;

pub use self::unknown::notes;
use crate::cli;
use crate::console::{LogFormat, Output, OutputOptions, Terminal};
use crate::filter::{Domain, NameFilter, Scope};
use crate::mask;
use crate::okta::auth::Credentials;
use crate::okta::settings::{Connection, PageSizes};
use crate::snapshot::FileFormat;
use crate::sync;
use crate::sync::plan::MembershipsBy;

/// A problem with an option or a variable, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Error(String);

fn wrong(setting: impl fmt::Display, problem: impl fmt::Display) -> Error {
    Error(format!("{setting}: {problem}"))
}

fn required(flag: &str, variable: &str, next: &str) -> Error {
    Error(format!("{flag} or {variable} is required; {next}"))
}

fn exclusive(first: &Setting, second: &Setting) -> Error {
    let (first, second) = (&first.name, &second.name);
    Error(format!("{first} cannot be used with {second}"))
}

/// The variables of the process, read once: `BATON_*`, and what is customary for terminals.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, OsString>);

const TERMINAL_VARIABLES: [&str; 2] = ["NO_COLOR", "TERM"];

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        let ours = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let counts = name.starts_with("BATON_")
                || TERMINAL_VARIABLES.contains(&name.as_str())
                || proxy::is_variable(&name);
            (counts && !value.is_empty()).then_some((name, value))
        });
        Self(ours.collect())
    }

    /// The same without `BATON_*`.
    pub fn without_settings(mut self) -> Self {
        self.0
            .retain(|name, _| TERMINAL_VARIABLES.contains(&name.as_str()));
        self
    }

    fn terminal(&self) -> Terminal {
        Terminal {
            color: !self.0.contains_key("NO_COLOR"),
            moves: self.0.get("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Setting>, Error> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let value = value.to_str().ok_or_else(|| wrong(name, "is not UTF-8"))?;
        // A file of variables with Windows line ends leaves a carriage return on each.
        let value = value.trim_end_matches(['\r', '\n']);
        if name.starts_with("BATON_")
            && !name.starts_with("BATON_API_TOKEN")
            && value.chars().any(char::is_control)
        {
            return Err(wrong(
                name,
                "contains a control character, such as a line break; remove it",
            ));
        }
        Ok((!value.is_empty()).then(|| Setting::new(name, value)))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
impl Environment {
    fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter();
        Self(
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect(),
        )
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        )
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
struct Setting {
    name: String,
    value: String,
}

impl Setting {
    fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    fn wrong(&self, problem: impl fmt::Display) -> Error {
        wrong(&self.name, problem)
    }

    fn invalid(&self, expected: impl fmt::Display) -> Error {
        let value = mask::shown(&self.value);
        Error(format!(
            "invalid value {value} for {}: expected {expected}",
            self.name
        ))
    }

    fn parse<T>(
        &self,
        read: impl Fn(&str) -> Option<T>,
        expected: impl fmt::Display,
    ) -> Result<T, Error> {
        read(self.value.trim()).ok_or_else(|| self.invalid(expected))
    }
}

fn pick(
    flag: Option<&String>,
    flag_name: &str,
    variable: &str,
    environment: &Environment,
) -> Result<Option<Setting>, Error> {
    match flag {
        Some(value) => Ok(Some(Setting::new(flag_name, value))),
        None => environment.get(variable),
    }
}

fn pick_or<T>(
    setting: Option<Setting>,
    default: T,
    read: impl Fn(&str) -> Option<T>,
    expected: impl fmt::Display,
) -> Result<T, Error> {
    setting.map_or(Ok(default), |setting| setting.parse(read, expected))
}

impl OutputOptions {
    /// Reads the flags and variables of talking.
    ///
    /// # Errors
    /// An unknown level or format.
    pub fn new(typed: &cli::OutputArgs, environment: &Environment) -> Result<Self, Error> {
        let level = pick(
            typed.log_level.as_ref(),
            "--log-level",
            "BATON_LOG_LEVEL",
            environment,
        )?;
        let format = pick(
            typed.log_format.as_ref(),
            "--log-format",
            "BATON_LOG_FORMAT",
            environment,
        )?;
        let output = pick(
            typed.output.as_ref(),
            "--output",
            "BATON_OUTPUT",
            environment,
        )?;
        Ok(Self {
            output: pick_or(
                output,
                Output::Text,
                |text| match text {
                    "text" => Some(Output::Text),
                    "json" => Some(Output::Json),
                    _ => None,
                },
                "text or json",
            )?,
            level: pick_or(
                level,
                tracing::Level::INFO,
                read_level,
                "error, warn, info, debug or trace",
            )?,
            format: pick_or(
                format,
                LogFormat::Console,
                |text| match text {
                    "console" => Some(LogFormat::Console),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                },
                "console or json",
            )?,
            quiet: typed.quiet,
            terminal: environment.terminal(),
        })
    }

    /// How to talk about an error in the flags of talking themselves: as much of them as could be understood.
    pub fn best_effort(typed: &cli::OutputArgs, environment: &Environment) -> Self {
        let json = typed.output.as_deref() == Some("json")
            || typed.output.is_none()
                && matches!(environment.get("BATON_OUTPUT"), Ok(Some(setting)) if setting.value.trim() == "json");
        Self {
            output: if json { Output::Json } else { Output::Text },
            level: tracing::Level::INFO,
            format: LogFormat::Console,
            quiet: typed.quiet,
            terminal: environment.terminal(),
        }
    }
}

fn read_level(text: &str) -> Option<tracing::Level> {
    match text.to_lowercase().as_str() {
        "error" => Some(tracing::Level::ERROR),
        "warn" => Some(tracing::Level::WARN),
        "info" => Some(tracing::Level::INFO),
        "debug" => Some(tracing::Level::DEBUG),
        "trace" => Some(tracing::Level::TRACE),
        _ => None,
    }
}

/// One sync, wholly decided.
#[derive(Clone, Debug)]
pub struct Sync {
    /// The org.
    pub connection: Connection,
    /// Who counts.
    pub scope: Scope,
    /// The file to write.
    pub file: PathBuf,
    /// By the file's ending.
    pub format: FileFormat,
    /// Where the manifest goes.
    pub manifest: Option<PathBuf>,
    /// How memberships are read.
    pub memberships_by: MembershipsBy,
    /// Only say what it would cost.
    pub plan: bool,
    /// Write an incomplete snapshot too.
    pub allow_partial: bool,
    /// Write an empty snapshot too.
    pub allow_empty: bool,
    /// By how many percent the users, groups and memberships of the file may fall.
    pub max_drop: Option<u8>,
    /// Do not go on with an interrupted run.
    pub fresh: bool,
    /// The time to record, where it is not to be the clock's.
    pub now: Option<Timestamp>,
    /// The command that was run, for the record.
    pub command: &'static str,
}

impl Sync {
    /// What the engine needs of it.
    pub fn options(&self) -> sync::Options {
        sync::Options {
            scope: self.scope.clone(),
            memberships_by: self.memberships_by,
            concurrency: self.connection.concurrency,
            page_sizes: self.connection.page_sizes,
            plan: self.plan,
            allow_empty: self.allow_empty,
        }
    }

    /// Reads the flags and variables of a sync, and the files that they name.
    ///
    /// # Errors
    /// Everything that cannot be accepted.
    pub fn new(typed: &cli::Sync, environment: &Environment) -> Result<Self, Error> {
        let file = snapshot_file(typed.file.as_ref(), environment, "sync.c1z")?;
        let manifest = pick(
            typed.manifest.as_ref(),
            "--manifest",
            "BATON_MANIFEST",
            environment,
        )?;
        let by = pick(
            typed.memberships_by.as_ref(),
            "--memberships-by",
            "BATON_MEMBERSHIPS_BY",
            environment,
        )?;
        let by = pick_or(
            by,
            MembershipsBy::Auto,
            |text| {
                [
                    MembershipsBy::Auto,
                    MembershipsBy::Group,
                    MembershipsBy::User,
                ]
                .into_iter()
                .find(|by| by.as_str() == text)
            },
            "auto, group or user",
        )?;
        let max_drop = pick(
            typed.max_drop.as_ref(),
            "--max-drop",
            "BATON_MAX_DROP",
            environment,
        )?;
        let max_drop = max_drop.map(|setting| {
            let percent = |text: &str| text.parse().ok().filter(|percent| *percent <= 100);
            setting.parse(percent, "a whole number from 0 to 100")
        });
        let max_drop = max_drop.transpose()?;
        let scope = scope(&typed.scope, environment)?;
        let connection = Connection::new(&typed.connection, &typed.limits, environment)?;
        let now = typed.now.as_ref().map(|text| {
            let setting = Setting::new("--now", text);
            if !is_loopback(&connection.origin) {
                return Err(setting.wrong("is for orgs on this machine only"));
            }
            setting.parse(
                |text| text.parse().ok(),
                "a time such as 2026-01-31T12:00:00Z",
            )
        });
        let format = format(&file)?;
        Ok(Self {
            now: now.transpose()?,
            connection,
            scope,
            format,
            file: file.value.into(),
            manifest: manifest.map(|setting| setting.value.into()),
            memberships_by: by,
            plan: typed.plan,
            allow_partial: typed.allow_partial,
            allow_empty: typed.allow_empty,
            max_drop,
            fresh: typed.fresh,
            command: "sync",
        })
    }
}

/// One check, wholly decided.
#[derive(Clone, Debug)]
pub struct Check {
    /// The org.
    pub connection: Connection,
    /// Who counts.
    pub scope: Scope,
    /// Whether changes are switched on.
    pub provisioning: bool,
}

impl Check {
    /// Reads the flags and variables of a check, and the files that they name.
    ///
    /// # Errors
    /// What a sync refuses too, and a switch that is none.
    pub fn new(typed: &cli::Check, environment: &Environment) -> Result<Self, Error> {
        Ok(Self {
            provisioning: provisioning(&typed.provisioning, environment)?,
            scope: scope(&typed.scope, environment)?,
            connection: Connection::new(&typed.connection, &typed.limits, environment)?,
        })
    }
}

/// One `grant` or `revoke`, wholly decided.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub action: Action,
    /// The org.
    pub connection: Connection,
    /// Who counts.
    pub scope: Scope,
    /// Whether anything may be changed.
    pub provisioning: bool,
    /// What was asked for.
    pub rows: Vec<Row>,
    /// Where the rows are from, if from a list.
    pub from: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
    /// Where each change is recorded.
    pub audit_log: Option<PathBuf>,
}

/// What a list may hold at most: a hundred thousand rows are some five megabytes.
const LARGEST_LIST: u64 = 64 << 20;

impl Change {
    /// Reads the flags and variables of a change, and the list that they name.
    ///
    /// # Errors
    /// Everything that cannot be accepted, and what is wrong with the list.
    pub fn new(
        action: Action,
        typed: &cli::Change,
        grant_id: Option<&String>,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let scope = scope(&typed.scope, environment)?;
        let provisioning = provisioning(&typed.provisioning, environment)?;
        let audit_log = pick(
            typed.audit_log.as_ref(),
            "--audit-log",
            "BATON_AUDIT_LOG",
            environment,
        )?;
        if typed.from.as_deref() == Some("-")
            && typed.connection.api_token_file.as_deref() == Some("-")
        {
            return Err(wrong(
                "--from and --api-token-file",
                "cannot both be standard input",
            ));
        }
        let connection = Connection::new(&typed.connection, &typed.limits, environment)?;
        Ok(Self {
            action,
            connection,
            scope,
            provisioning,
            rows: rows(action, typed, grant_id)?,
            from: typed.from.clone(),
            dry_run: typed.dry_run,
            yes: typed.yes,
            audit_log: audit_log.map(|setting| setting.value.into()),
        })
    }
}

/// Whether anything may be changed.
///
/// # Errors
/// What is no switch.
pub fn provisioning(typed: &cli::Provisioning, environment: &Environment) -> Result<bool, Error> {
    let setting = pick(
        typed.provisioning.as_ref(),
        "--provisioning",
        "BATON_PROVISIONING",
        environment,
    )?;
    pick_or(setting, false, read_switch, "true or false")
}

fn rows(action: Action, typed: &cli::Change, grant_id: Option<&String>) -> Result<Vec<Row>, Error> {
    let ways = [
        typed.user.is_some() || typed.group.is_some(),
        typed.from.is_some(),
        grant_id.is_some(),
    ];
    let ask = match action {
        Action::Grant => "pass --user and --group, or --from",
        Action::Revoke => "pass --user and --group, or --from, or --grant-id",
    };
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err(wrong(action.as_str(), format!("{ask}; one of them")));
    }
    if let Some(id) = grant_id {
        return Ok(vec![
            rows::of_grant_id(id).map_err(|error| wrong("--grant-id", error))?,
        ]);
    }
    if let Some(from) = &typed.from {
        return list(action, &Setting::new("--from", from));
    }
    match (&typed.user, &typed.group) {
        (Some(user), Some(group)) if !user.trim().is_empty() && !group.is_empty() => {
            Ok(vec![Row {
                line: None,
                user: user.trim().to_owned(),
                group: group.clone(),
                keep: false,
            }])
        }
        (Some(_), Some(_)) => Err(wrong("--user and --group", "must not be empty")),
        _ => Err(wrong("--user and --group", format!("go together; {ask}"))),
    }
}

fn list(action: Action, from: &Setting) -> Result<Vec<Row>, Error> {
    let mut bytes = Vec::new();
    let read = if from.value == "-" {
        std::io::stdin().take(LARGEST_LIST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(&from.value)
            .and_then(|opened| opened.take(LARGEST_LIST).read_to_end(&mut bytes))
    };
    read.map_err(|error| from.wrong(format!("cannot read {}: {error}", mask::shown(&from.value))))?;
    if bytes.len() as u64 == LARGEST_LIST {
        return Err(from.wrong(format!(
            "{} is larger than {LARGEST_LIST} bytes",
            mask::shown(&from.value)
        )));
    }
    rows::read(&bytes, action)
        .map_err(|error| from.wrong(format!("{}: {error}", mask::shown(&from.value))))
}

/// The snapshot that an offline command reads.
///
/// # Errors
/// A path that is not UTF-8.
pub fn snapshot_to_read(
    typed: Option<&String>,
    environment: &Environment,
) -> Result<PathBuf, Error> {
    let file = pick(typed, "--file", "BATON_FILE", environment)?;
    Ok(file
        .map_or_else(|| "sync.c1z".to_owned(), |file| file.value)
        .into())
}

/// What the ending of a file's name says of its format.
///
/// # Errors
/// Any other ending.
pub fn format_of(file: &Path) -> Result<FileFormat, Error> {
    format(&Setting::new("--file", &file.to_string_lossy()))
}

fn snapshot_file(
    typed: Option<&String>,
    environment: &Environment,
    default: &str,
) -> Result<Setting, Error> {
    let file = pick(typed, "--file", "BATON_FILE", environment)?
        .unwrap_or_else(|| Setting::new("--file", default));
    if file.value.is_empty() {
        return Err(file.wrong("is empty; set it to a file, such as sync.c1z"));
    }
    Ok(file)
}

fn format(file: &Setting) -> Result<FileFormat, Error> {
    if let Some((scheme, _)) = file.value.split_once("://") {
        let copy = match scheme {
            "s3" => "aws s3 cp FILE s3://...",
            "gs" => "gcloud storage cp FILE gs://...",
            _ => "a tool that uploads it",
        };
        return Err(file.wrong(format!(
            "is a URL, and okta-ciam writes local files only; run okta-ciam sync -f FILE && {copy}"
        )));
    }
    let ending = Path::new(&file.value)
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("c1z") => Ok(FileFormat::C1z),
        Some("db" | "sqlite" | "sqlite3") => Ok(FileFormat::Sqlite),
        _ => Err(file.wrong(format!(
            "unknown file extension in {}; use .c1z, or .db, .sqlite or .sqlite3 for plain SQLite",
            mask::shown(&file.value)
        ))),
    }
}

fn scope(typed: &cli::Scope, environment: &Environment) -> Result<Scope, Error> {
    let lists = if typed.email_domains.is_empty() {
        let list = environment.get("BATON_EMAIL_DOMAINS")?.ok_or_else(|| {
            required(
                "--email-domains",
                "BATON_EMAIL_DOMAINS",
                "list your users' domains, such as example.com",
            )
        })?;
        vec![list]
    } else {
        typed
            .email_domains
            .iter()
            .map(|list| Setting::new("--email-domains", list))
            .collect()
    };
    let mut domains = Vec::new();
    for list in &lists {
        for piece in list.value.split(',') {
            domains.push(Domain::parse(piece).map_err(|error| list.wrong(error))?);
        }
    }
    let skip = pick(
        typed.skip_secondary_emails.as_ref(),
        "--skip-secondary-emails",
        "BATON_SKIP_SECONDARY_EMAILS",
        environment,
    )?;
    let skip = pick_or(skip, false, read_switch, "true or false")?;
    let name = pick(
        typed.group_name_filter.as_ref(),
        "--group-name-filter",
        "BATON_GROUP_NAME_FILTER",
        environment,
    )?;
    let name = name
        .map(|name| NameFilter::parse(&name.value).map_err(|error| name.wrong(error)))
        .transpose()?;
    Ok(Scope::new(domains, skip, name))
}

fn read_switch(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

impl Connection {
    fn new(
        typed: &cli::Connection,
        limits: &cli::Limits,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let domain = pick(
            typed.domain.as_ref(),
            "--domain",
            "BATON_DOMAIN",
            environment,
        )?
        .ok_or_else(|| {
            required(
                "--domain",
                "BATON_DOMAIN",
                "set it to the org's host, such as company.okta.com",
            )
        })?;
        let capacity = pick(
            limits.max_api_capacity.as_ref(),
            "--max-api-capacity",
            "BATON_MAX_API_CAPACITY",
            environment,
        )?;
        let concurrency = pick(
            limits.concurrency.as_ref(),
            "--concurrency",
            "BATON_CONCURRENCY",
            environment,
        )?;
        let timeout = pick(
            limits.timeout.as_ref(),
            "--timeout",
            "BATON_TIMEOUT",
            environment,
        )?;
        let deadline = pick(
            limits.deadline.as_ref(),
            "--deadline",
            "BATON_DEADLINE",
            environment,
        )?;
        let ca_file = pick(
            typed.ca_file.as_ref(),
            "--ca-file",
            "BATON_CA_FILE",
            environment,
        )?;
        let time = "a duration such as 90s, 15m or 2h";
        let origin = origin(&domain)?;
        Ok(Self {
            proxy: proxy::proxy(environment, &origin)?,
            origin,
            capacity: pick_or(
                capacity,
                75,
                |text| {
                    text.parse()
                        .ok()
                        .filter(|percent| (1..=100).contains(percent))
                },
                "a whole number from 1 to 100",
            )?,
            concurrency: pick_or(
                concurrency,
                8,
                |text| text.parse().ok().filter(|count| (1..=64).contains(count)),
                "a whole number from 1 to 64",
            )?,
            timeout: pick_or(timeout, Duration::from_secs(60), read_duration, time)?,
            deadline: deadline
                .map(|deadline| deadline.parse(read_duration, time))
                .transpose()?,
            ca_pem: ca_file.map(|file| certificates(&file)).transpose()?,
            // Last: it may wait for standard input, which nobody should type for a run that fails anyway.
            credentials: Credentials::ApiToken(token(typed, environment)?),
            page_sizes: PageSizes::default(),
        })
    }
}

/// `90s`, `15m`, `2h`; a bare number is seconds. Zero is none.
fn read_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u32 = digits.parse().ok().filter(|count| *count > 0)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        _ => 1,
    };
    Some(Duration::from_secs(u64::from(count) * seconds))
}

/// Hosts of Okta itself, where `company-admin` is the console of `company` (docs/okta-api.md, Tokens and hosts).
const OKTA_HOSTS: [&str; 7] = [
    "okta.com",
    "oktapreview.com",
    "okta-emea.com",
    "okta-gov.com",
    "okta.mil",
    "okta-miltest.com",
    "trex-govcloud.com",
];

/// Why a text is not one host but something that stands for one, where it is.
fn placeholder(typed: &str) -> Option<&'static str> {
    let has = |characters: &[char]| typed.contains(characters);
    if has(&['$', '{', '}', '%']) {
        Some("is a variable that was not replaced")
    } else if has(&['<', '>']) {
        Some("is a placeholder")
    } else if has(&[',', ';']) || typed.split_whitespace().count() > 1 {
        Some("is more than one host")
    } else if has(&['*']) {
        Some("contains a wildcard")
    } else if has(&['"', '\'', '`']) {
        Some("contains a quote")
    } else {
        None
    }
}

fn origin(domain: &Setting) -> Result<Url, Error> {
    let typed = domain.value.trim();
    let hint = "set it to the org's host, such as company.okta.com";
    if let Some(problem) = placeholder(typed) {
        return Err(domain.wrong(format!("{} {problem}; {hint}", mask::shown(typed))));
    }
    // A host's name is sent to a name server, and printed where there is none of it.
    if mask::holds_a_token(typed) {
        return Err(domain.wrong(format!("contains what looks like a token; {hint}")));
    }
    let with_scheme = if typed.contains("://") {
        typed.to_owned()
    } else {
        format!("https://{typed}")
    };
    let url = Url::parse(&with_scheme).map_err(|error| domain.wrong(format!("{error}; {hint}")))?;
    // The value is not repeated where it may hold a password.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(domain.wrong(format!("contains a user name or an email; {hint}")));
    }
    let refuse = |why: &str| Err(domain.wrong(format!("{} {why}; {hint}", mask::shown(typed))));
    let Some(host) = url.host() else {
        return refuse("contains no host");
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return refuse("would send the token in the clear: http is for this machine only");
        }
        _ => return refuse("has a scheme other than https"),
    }
    if !matches!(url.path(), "" | "/") {
        return refuse("contains a path");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("contains more than a host");
    }
    if let Host::Domain(host) = host
        && let Some((first, rest)) = host.trim_end_matches('.').split_once('.')
        && let Some(company) = first.strip_suffix("-admin")
        && OKTA_HOSTS.contains(&rest)
    {
        return Err(domain.wrong(format!(
            "{host:?} is the admin console; use {company}.{rest}"
        )));
    }
    Ok(url)
}

/// Whether a URL names this machine, by an address or by the one name that always does.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Text files of Windows programs may begin with a mark.
fn without_mark(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    bytes
}

fn certificates(file: &Setting) -> Result<Vec<u8>, Error> {
    let pem = std::fs::read(&file.value)
        .map(without_mark)
        .map_err(|error| {
            file.wrong(format!("cannot read {}: {error}", mask::shown(&file.value)))
        })?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(pem),
        _ => Err(file.wrong(format!(
            "{} holds no PEM certificate",
            mask::shown(&file.value)
        ))),
    }
}

/// A token is some 40 characters; what is longer than this is another file.
const LONGEST_TOKEN: u64 = 4096;

fn token(typed: &cli::Connection, environment: &Environment) -> Result<SecretString, Error> {
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
            return Err(file.wrong(
                "standard input is a terminal, which would show the token; pipe it in, or name a file",
            ));
        }
        stdin.take(LONGEST_TOKEN).read_to_string(&mut text)
    } else {
        std::fs::File::open(&file.value)
            .and_then(|opened| opened.take(LONGEST_TOKEN).read_to_string(&mut text))
    };
    read.map_err(|error| {
        if mask::looks_like_a_token(&file.value) {
            file.wrong(format!(
                "cannot open the file that it names ({error}); if its value is the token itself, use BATON_API_TOKEN"
            ))
        } else {
            file.wrong(format!("cannot open {}: {error}", mask::shown(&file.value)))
        }
    })?;
    if text.len() as u64 == LONGEST_TOKEN {
        return Err(file.wrong("the file is too long for a token"));
    }
    Ok(text)
}

fn checked_token(setting: &str, text: String) -> Result<SecretString, Error> {
    let whole = SecretString::from(text);
    let token = whole.expose_secret().trim_start_matches('\u{feff}').trim();
    let quoted = |quote| token.strip_prefix(quote)?.strip_suffix(quote);
    let token = quoted('"').or_else(|| quoted('\'')).unwrap_or(token);
    if token.is_empty() {
        return Err(wrong(setting, "contains no token"));
    }
    if token.starts_with(['{', '[']) {
        return Err(wrong(setting, "contains JSON; provide only the token"));
    }
    if token
        .split_once('=')
        .is_some_and(|(name, value)| !name.is_empty() && !value.trim_matches('=').is_empty())
    {
        return Err(wrong(
            setting,
            "contains NAME=value; provide only the value, the token",
        ));
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.bytes().all(is_part) {
        return Err(wrong(
            setting,
            "contains characters that are not part of a token; provide only the token, without \"SSWS\"",
        ));
    }
    Ok(SecretString::from(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 3] = [
        ("BATON_DOMAIN", "company.okta.com"),
        ("BATON_API_TOKEN", "00token"),
        ("BATON_EMAIL_DOMAINS", "example.com"),
    ];

    fn with(name: &str, value: &str) -> Environment {
        let mut environment = Environment::from(WHOLE);
        if value.is_empty() {
            environment.0.remove(name);
        } else {
            environment.0.insert(name.to_owned(), value.into());
        }
        environment
    }

    fn token_of(connection: &Connection) -> &str {
        let Credentials::ApiToken(token) = &connection.credentials;
        token.expose_secret()
    }

    fn problem(name: &str, value: &str) -> String {
        match Sync::new(&cli::Sync::default(), &with(name, value)) {
            Ok(_) => panic!("{name}={value:?} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn three_variables_are_enough() {
        let sync = Sync::new(&cli::Sync::default(), &WHOLE.into()).unwrap();
        assert_eq!(sync.connection.origin.as_str(), "https://company.okta.com/");
        assert_eq!(token_of(&sync.connection), "00token");
        assert_eq!(sync.connection.capacity, 75);
        assert_eq!(sync.connection.concurrency, 8);
        assert_eq!(sync.connection.timeout, Duration::from_secs(60));
        assert_eq!(sync.connection.deadline, None);
        assert_eq!(sync.file, Path::new("sync.c1z"));
        assert_eq!(sync.format, FileFormat::C1z);
        assert!(!sync.scope.skip_secondary());
    }

    #[test]
    fn the_token_is_in_no_debug_text() {
        let sync = Sync::new(&cli::Sync::default(), &WHOLE.into()).unwrap();
        assert!(!format!("{sync:?}").contains("00token"));
    }

    #[test]
    fn a_domain_is_read_with_or_without_scheme_slash_and_port() {
        for (typed, origin) in [
            ("company.okta.com", "https://company.okta.com/"),
            (" company.okta.com ", "https://company.okta.com/"),
            ("HTTPS://Company.Okta.com/", "https://company.okta.com/"),
            (
                "login.company.example:8443",
                "https://login.company.example:8443/",
            ),
            ("https://company.okta.com:443", "https://company.okta.com/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://localhost:1", "http://localhost:1/"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            ("my-admin.example.com", "https://my-admin.example.com/"),
        ] {
            let sync = Sync::new(&cli::Sync::default(), &with("BATON_DOMAIN", typed)).unwrap();
            assert_eq!(sync.connection.origin.as_str(), origin, "{typed}");
        }
    }

    #[test]
    fn every_bad_value_is_refused_with_its_name_and_a_way_out() {
        for (name, value, part) in [
            ("BATON_DOMAIN", "", "--domain or BATON_DOMAIN is required"),
            ("BATON_DOMAIN", "http://company.okta.com", "in the clear"),
            ("BATON_DOMAIN", "http://10.0.0.1", "in the clear"),
            ("BATON_DOMAIN", "ftp://company.okta.com", "scheme"),
            ("BATON_DOMAIN", "company.okta.com/admin", "contains a path"),
            ("BATON_DOMAIN", "company.okta.com?x=1", "more than a host"),
            ("BATON_DOMAIN", "company.okta.com#x", "more than a host"),
            (
                "BATON_DOMAIN",
                "mira@company.okta.com",
                "user name or an email",
            ),
            (
                "BATON_DOMAIN",
                "https://a:secret@company.okta.com",
                "user name or an email",
            ),
            (
                "BATON_DOMAIN",
                "company-admin.okta.com",
                "use company.okta.com",
            ),
            (
                "BATON_DOMAIN",
                "company-admin.oktapreview.com",
                "use company.oktapreview.com",
            ),
            ("BATON_DOMAIN", "comp any.okta.com", "more than one host"),
            ("BATON_DOMAIN", "${OKTA_DOMAIN}", "was not replaced"),
            ("BATON_DOMAIN", "%OKTA_DOMAIN%", "was not replaced"),
            ("BATON_DOMAIN", "https://$OKTA_DOMAIN/", "was not replaced"),
            ("BATON_DOMAIN", "{{ .Values.domain }}", "was not replaced"),
            ("BATON_DOMAIN", "*.okta.com", "wildcard"),
            (
                "BATON_DOMAIN",
                "a.okta.com,b.okta.com",
                "more than one host",
            ),
            (
                "BATON_DOMAIN",
                "a.okta.com b.okta.com",
                "more than one host",
            ),
            ("BATON_DOMAIN", "<your domain>", "placeholder"),
            ("BATON_DOMAIN", "\"company.okta.com\"", "quote"),
            ("BATON_FILE", "s3://bucket/okta.c1z", "aws s3 cp"),
            ("BATON_FILE", "x\u{1b}.c1z", "control character"),
            ("BATON_CA_FILE", "ca\n.pem", "control character"),
            ("BATON_DOMAIN", "company.okta.com:99999", "port"),
            (
                "BATON_API_TOKEN",
                "",
                "--api-token-file or BATON_API_TOKEN is required",
            ),
            ("BATON_API_TOKEN", " ", "contains no token"),
            ("BATON_API_TOKEN", "\u{feff}", "contains no token"),
            ("BATON_API_TOKEN", "OKTA_TOKEN=00token", "NAME=value"),
            ("BATON_API_TOKEN", "{\"token\":\"00token\"}", "JSON"),
            ("BATON_API_TOKEN", "\"00token", "not part of a token"),
            ("BATON_API_TOKEN", "$OKTA_TOKEN", "not part of a token"),
            ("BATON_API_TOKEN", "SSWS 00token", "not part of a token"),
            ("BATON_API_TOKEN", "00token\nx", "not part of a token"),
            (
                "BATON_API_TOKEN_FILE",
                "/does/not/exist",
                "cannot be used with",
            ),
            (
                "BATON_EMAIL_DOMAINS",
                "",
                "--email-domains or BATON_EMAIL_DOMAINS is required",
            ),
            ("BATON_EMAIL_DOMAINS", "example.com,", "is empty"),
            (
                "BATON_EMAIL_DOMAINS",
                "example.com,,example.org",
                "is empty",
            ),
            (
                "BATON_EMAIL_DOMAINS",
                "example.com, exam ple",
                "\"exam ple\"",
            ),
            ("BATON_SKIP_SECONDARY_EMAILS", "yes", "true or false"),
            ("BATON_MAX_API_CAPACITY", "0", "1 to 100"),
            ("BATON_MAX_API_CAPACITY", "101", "1 to 100"),
            ("BATON_MAX_API_CAPACITY", "75%", "1 to 100"),
            ("BATON_CONCURRENCY", "0", "1 to 64"),
            ("BATON_CONCURRENCY", "many", "1 to 64"),
            ("BATON_TIMEOUT", "0", "90s, 15m or 2h"),
            ("BATON_TIMEOUT", "1d", "90s, 15m or 2h"),
            ("BATON_TIMEOUT", "-5", "90s, 15m or 2h"),
            ("BATON_TIMEOUT", "1.5s", "90s, 15m or 2h"),
            ("BATON_TIMEOUT", "h", "90s, 15m or 2h"),
            ("BATON_DEADLINE", "soon", "90s, 15m or 2h"),
            ("BATON_CA_FILE", "/does/not/exist", "cannot read"),
            ("BATON_CA_FILE", "Cargo.toml", "no PEM certificate"),
            ("BATON_FILE", "out.json", "use .c1z"),
            ("BATON_FILE", "out", "use .c1z"),
            ("BATON_MEMBERSHIPS_BY", "groups", "auto, group or user"),
        ] {
            let said = problem(name, value);
            assert!(said.contains(part), "{name}={value:?}: {said}");
            let flag = format!(
                "--{}",
                name["BATON_".len()..].to_lowercase().replace('_', "-")
            );
            assert!(
                said.contains(name) || said.contains(&flag),
                "{name}={value:?}: {said}"
            );
            assert!(
                !said.contains("secret") && !said.contains("00token"),
                "{said}"
            );
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }

    #[test]
    fn a_flag_beats_a_variable_even_a_bad_one() {
        let typed = cli::Sync {
            connection: cli::Connection {
                domain: Some("other.okta.com".to_owned()),
                api_token: Some("00other".to_owned()),
                ..cli::Connection::default()
            },
            ..cli::Sync::default()
        };
        let mut environment = with("BATON_DOMAIN", "not a domain");
        environment
            .0
            .insert("BATON_API_TOKEN_FILE".to_owned(), "/x".into());
        let sync = Sync::new(&typed, &environment).unwrap();
        assert_eq!(sync.connection.origin.as_str(), "https://other.okta.com/");
        assert_eq!(token_of(&sync.connection), "00other");
    }

    #[test]
    fn a_token_file_may_end_with_a_line_break() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "00filed\n").unwrap();
        let mut environment = with("BATON_API_TOKEN", "");
        let path = file.path().as_os_str().to_owned();
        environment
            .0
            .insert("BATON_API_TOKEN_FILE".to_owned(), path);
        let sync = Sync::new(&cli::Sync::default(), &environment).unwrap();
        assert_eq!(token_of(&sync.connection), "00filed");
    }

    #[test]
    fn lists_are_split_and_trimmed_and_switches_read() {
        let mut environment = with(
            "BATON_EMAIL_DOMAINS",
            " Example.com , @example.org,*.example.net",
        );
        environment
            .0
            .insert("BATON_SKIP_SECONDARY_EMAILS".to_owned(), "1".into());
        let sync = Sync::new(&cli::Sync::default(), &environment).unwrap();
        let domains: Vec<String> = sync
            .scope
            .domains()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(domains, ["example.com", "*.example.net", "example.org"]);
        assert!(sync.scope.skip_secondary());
    }

    #[test]
    fn changes_are_off_unless_they_are_switched_on() {
        let read = |flag: Option<&str>, variable: &str| {
            let typed = cli::Check {
                provisioning: cli::Provisioning {
                    provisioning: flag.map(str::to_owned),
                },
                ..cli::Check::default()
            };
            let mut environment = Environment::from(WHOLE);
            if !variable.is_empty() {
                environment
                    .0
                    .insert("BATON_PROVISIONING".to_owned(), variable.into());
            }
            Check::new(&typed, &environment).map(|check| check.provisioning)
        };
        for (flag, variable, on) in [
            (None, "", false),
            (Some("true"), "", true),
            (Some("0"), "1", false),
            (None, "1", true),
            (None, "False", false),
        ] {
            assert_eq!(read(flag, variable), Ok(on), "{flag:?} {variable:?}");
        }
        let error = read(None, "yes").unwrap_err().to_string();
        assert!(error.contains("BATON_PROVISIONING"), "{error}");
    }

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        for (typed, seconds) in [("90s", 90), ("90", 90), ("15m", 900), ("2h", 7200)] {
            assert_eq!(
                read_duration(typed),
                Some(Duration::from_secs(seconds)),
                "{typed}"
            );
        }
    }

    #[test]
    fn a_recorded_time_is_for_this_machine_only() {
        let typed = cli::Sync {
            now: Some("2026-01-31T12:00:00Z".to_owned()),
            ..cli::Sync::default()
        };
        let error = Sync::new(&typed, &WHOLE.into()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("--now: is for orgs on this machine only")
        );
        let sync = Sync::new(&typed, &with("BATON_DOMAIN", "http://127.0.0.1:1")).unwrap();
        assert_eq!(sync.now.unwrap().to_string(), "2026-01-31T12:00:00Z");
    }
}
