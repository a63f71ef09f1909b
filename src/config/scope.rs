//! The scope: which users and groups a command covers.

use super::environment::{Environment, Setting, or_default, parse_bool};
use super::{Error, required};
use crate::cli;
use crate::filter::{Domain, NameFilter, Scope};

pub(super) fn scope(typed: &cli::ScopeArgs, environment: &Environment) -> Result<Scope, Error> {
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
            domains.push(Domain::parse(piece).map_err(|error| list.error(error))?);
        }
    }
    let skip = environment.setting(
        "--skip-secondary-emails",
        typed.skip_secondary_emails.as_ref(),
    )?;
    let skip = or_default(skip, false, parse_bool, "true or false")?;
    let name = environment.setting("--group-name-filter", typed.group_name_filter.as_ref())?;
    let name = name
        .map(|name| NameFilter::parse(&name.value).map_err(|error| name.error(error)))
        .transpose()?;
    Ok(Scope::new(domains, skip, name))
}
