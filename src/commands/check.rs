//! `check`: does what was configured suffice for a sync, and for changes?
//!
//! One look at each thing that these ask of Okta, at most 12 requests if none has to be sent again, GETs only. A refusal
//! is a finding, and the looking goes on; without an answer, or with a token that is none, it ends there.

mod report;

use std::collections::HashMap;

use jiff::Timestamp;

use self::report::{
    ADMIN_MEMBERS, CHANGES, DOMAINS, DomainSample, EVERYONE, Everyone, GROUPS, MEMBERS, ORG,
    ORIGIN, Owner, RULES, Report, TOKEN, USER_GROUPS, USERS, words,
};
use super::saying_waits;
use crate::config::Check as Config;
use crate::console::Console;
use crate::exit::Exit;
use crate::filter::Scope;
use crate::model::{Group, User, UserId};
use crate::okta::probe::{self, First, answered};
use crate::okta::read::UserListMethod;
use crate::okta::role::{May, may_change};
use crate::okta::{ApiError, Client, Error};
use crate::signal::ShutdownSignal;
use crate::text::{count, number};

/// Runs it.
///
/// # Errors
/// A signal, and what makes a client impossible. Everything that Okta does or does not say is a finding.
pub fn run(config: &Config, console: &Console, stop: &ShutdownSignal) -> anyhow::Result<Exit> {
    let client = Client::new(&config.connection, stop.clone())?;
    let mut report = Report::default();
    match saying_waits(&client, || look(config, &client, &mut report)) {
        Ok(()) | Err(Halt::Said) => {}
        Err(Halt::Because(error @ (Error::Interrupted(_) | Error::Setup(_)))) => {
            return Err(error.into());
        }
        Err(Halt::Because(error)) => report.broke_off(error),
    }
    report.measure(&client);
    report.print(console)
}

/// Why the looking ends early.
enum Halt {
    /// What is already in the report.
    Said,
    /// An error that has to go there yet.
    Because(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Because(error)
    }
}

const GIVE_A_ROLE: &str = "give the token's owner the admin role Read-Only Administrator or more";

fn look(config: &Config, client: &Client, report: &mut Report) -> Result<(), Halt> {
    let owner = first_contact(config, client, report)?;
    let someone = users(config, client, report)?;
    groups(config, client, report)?;
    let user = owner.as_ref().map(|owner| owner.id.clone()).or(someone);
    user_groups(user.as_ref(), client, report)?;
    org(client, report)?;
    rules(client, report)?;
    changes(config, owner.as_ref(), client, report)
}

/// One request says whether this is Okta, and whose the token is.
fn first_contact(
    config: &Config,
    client: &Client,
    report: &mut Report,
) -> Result<Option<User>, Halt> {
    report.step = ORIGIN;
    let origin = config.connection.origin.origin().ascii_serialization();
    let answer = probe::owner(client);
    let by_okta = match &answer {
        Ok(owner) => owner.by_okta,
        Err(Error::Refused(refusal)) => refusal.request_id.is_some() && !is_no_path(refusal),
        // Okta, out of order: nobody else sends limits.
        Err(Error::Unavailable { .. } | Error::Stuck { .. } | Error::Deadline { .. })
            if !client.standings().is_empty() =>
        {
            true
        }
        // Not reached, or not trusted.
        Err(error) => return Err(error.clone().into()),
    };
    match &answer {
        _ if by_okta => {
            let clock = client.clock_skew().and_then(|skew| {
                let now = Timestamp::now().as_millisecond() as f64 / 1000.0 + skew;
                Timestamp::from_second(now.round() as i64).ok()
            });
            let clock = clock.map_or("unknown".to_owned(), |clock| {
                clock.strftime("%FT%TZ").to_string()
            });
            report.ok(format!("{origin} responds; Okta's clock: {clock}"));
        }
        Ok(_) => report.warning(
            format!("{origin} answers like Okta, but without a request id"),
            "if a proxy stands between, let it pass Okta's headers",
        ),
        Err(_) => {
            let said = answer
                .as_ref()
                .err()
                .map_or(String::new(), ToString::to_string);
            report.failure(
                format!("{origin} answers, but not as an Okta org ({said})"),
                "set --domain to the org's own host, such as company.okta.com",
                Exit::Failed,
            );
            return Err(Halt::Said);
        }
    }
    owner(answer.map(|owner| owner.user), report)
}

/// The owner of the token; nothing if Okta does not show them.
fn owner(answer: Result<User, Error>, report: &mut Report) -> Result<Option<User>, Halt> {
    report.step = TOKEN;
    match answered(answer)? {
        Ok(owner) => {
            let login = owner.login().unwrap_or("an admin without a login");
            let status = owner.status.as_deref().unwrap_or("without a status");
            report.ok(format!("belongs to {login}, {}, {status}", owner.id));
            report.owner = Some(Owner {
                id: owner.id.to_string(),
                login: owner.login().map(str::to_owned),
                status: owner.status.clone(),
                roles: None,
            });
            Ok(Some(owner))
        }
        Err(refusal) => {
            report.warning(
                format!(
                    "accepted, but Okta does not say whose it is ({})",
                    words(&refusal)
                ),
                "no action needed if the token does not belong to a person",
            );
            Ok(None)
        }
    }
}

/// Whether the server does not know the path, which means that it is not an Okta org (docs/okta-api.md, Errors).
fn is_no_path(refusal: &ApiError) -> bool {
    refusal.status == 404 && matches!(refusal.code.as_deref(), Some("E0000008") | None)
}

/// The first page of users. Gives one of them, to ask for the groups of if the owner is not known.
fn users(config: &Config, client: &Client, report: &mut Report) -> Result<Option<UserId>, Halt> {
    report.step = USERS;
    let scope = &config.scope;
    let page = probe::users(client, config.connection.page_sizes.users, |user| {
        let domains = user.with_addresses(|addresses| scope.domains_of(addresses));
        (UserId::from(user.id()), domains.unwrap_or_default())
    });
    let (listing, page) = match answered(page)? {
        Ok(page) => page,
        Err(refusal) => {
            report.refused(&refusal, GIVE_A_ROLE);
            return Ok(None);
        }
    };
    let seen = page.rows.len() as u64;
    let is_in_scope = |row: &&(UserId, Vec<_>)| !row.1.is_empty();
    let in_scope = page.rows.iter().filter(is_in_scope).count() as u64;
    report.sample.users_seen = Some(seen);
    report.sample.users_in_scope = Some(in_scope);
    let found = format!("{} in scope", of(in_scope, seen, page.more));
    if seen == 0 {
        report.failure(
            "Okta returned no users; a token without an admin role sees an empty org".to_owned(),
            GIVE_A_ROLE,
            Exit::Credentials,
        );
    } else if in_scope > 0 {
        if listing == UserListMethod::Plain {
            report.warning(
                format!("{found}; Okta refuses to search, so a sync reads the plain lists"),
                "nothing has to be done; a sync says so too",
            );
        } else {
            report.ok(found);
        }
    } else if page.more {
        report.warning(
            found,
            "if no later page has one either, a sync stops; check --email-domains",
        );
    } else {
        report.failure(
            format!("{found}, so a sync stops"),
            "check --email-domains",
            Exit::Guard,
        );
    }
    if in_scope > 0 {
        let met = page.rows.iter().flat_map(|(_, domains)| domains);
        let mut counts = HashMap::new();
        for (place, _) in met {
            *counts.entry(*place).or_insert(0) += 1;
        }
        domains(config, &counts, listing, page.more, client, report)?;
    }
    Ok(page.rows.into_iter().next().map(|(id, _)| id))
}

/// Looks for somebody in each domain that the first page has nobody of.
fn domains(
    config: &Config,
    counts: &HashMap<usize, u64>,
    listing: UserListMethod,
    more: bool,
    client: &Client,
    report: &mut Report,
) -> Result<(), Halt> {
    /// No command line that is right has more domains without anyone on the first page.
    const MOST: usize = 10;
    report.step = DOMAINS;
    let mut searches = 0;
    for (place, domain) in config.scope.domains().iter().enumerate() {
        let on_page = counts.get(&place).copied().unwrap_or(0);
        let is_used = if on_page > 0 {
            Some(true)
        } else if !more {
            Some(false)
        } else if listing == UserListMethod::Plain || searches >= MOST {
            None
        } else {
            searches += 1;
            answered(probe::is_anybody_in(client, domain))?.ok()
        };
        report.domains.push(DomainSample {
            domain: domain.to_string(),
            users_on_first_page: on_page,
            is_used,
        });
    }
    let are = |used| {
        let those = report
            .domains
            .iter()
            .filter(move |domain| domain.is_used == used);
        those
            .map(|domain| domain.domain.clone())
            .collect::<Vec<_>>()
    };
    let (unused, open) = (are(Some(false)), are(None).len());
    if !unused.is_empty() {
        let by = if more {
            "an email or login"
        } else {
            "an address"
        };
        report.warning(
            format!("no user has {by} in {}", unused.join(", ")),
            "see whether --email-domains is spelled right",
        );
    } else if open == 0 && config.scope.domains().len() > 1 {
        report.ok("every domain has users".to_owned());
    }
    Ok(())
}

/// The first page of groups, and what hangs on it: Everyone, and who may see members.
fn groups(config: &Config, client: &Client, report: &mut Report) -> Result<(), Halt> {
    report.step = GROUPS;
    let page_size = config.connection.page_sizes.groups;
    let page = match answered(probe::groups(client, page_size))? {
        Ok(page) => page,
        Err(refusal) => {
            report.refused(&refusal, GIVE_A_ROLE);
            return Ok(());
        }
    };
    let seen = page.rows.len() as u64;
    let in_scope = page
        .rows
        .iter()
        .filter(|group| is_in_scope(group, &config.scope));
    let in_scope = in_scope.count() as u64;
    report.sample.groups_seen = Some(seen);
    report.sample.groups_in_scope = Some(in_scope);
    let found = format!("{} in scope", of(in_scope, seen, page.more));
    let sized = page
        .rows
        .iter()
        .filter(|group| group.members_reported.is_some());
    let sized = sized.count() as u64;
    if seen == 0 {
        report.failure(
            "the list is empty, and every org has groups: the token may not see them".to_owned(),
            GIVE_A_ROLE,
            Exit::Credentials,
        );
    } else if in_scope == 0 && !page.more {
        report.failure(
            format!("{found}, so a sync stops"),
            "check --group-name-filter",
            Exit::Guard,
        );
    } else if in_scope == 0 {
        report.warning(
            found,
            "if no later page has one either, a sync stops; check --group-name-filter",
        );
    } else if sized < seen {
        report.warning(
            format!("{found}; Okta gives the sizes of {} only", number(sized)),
            "a sync counts the others as one request each; set --memberships-by if the estimate is wrong",
        );
    } else {
        report.ok(format!("{found}, with their sizes"));
    }
    if seen > 0 {
        everyone(page_size, &page, client, report)?;
        members(config, &page.rows, client, report)?;
    }
    Ok(())
}

fn is_in_scope(group: &Group, scope: &Scope) -> bool {
    scope.group(group.name())
}

fn everyone(
    page_size: u64,
    page: &First<Group>,
    client: &Client,
    report: &mut Report,
) -> Result<(), Halt> {
    report.step = EVERYONE;
    let on = |page: &First<Group>| page.rows.iter().find(|group| group.is_everyone()).cloned();
    let mut found = on(page).map(|group| ("listing", group));
    // A whole list that lacks it says enough.
    if found.is_none() && page.more {
        match answered(probe::built_in_groups(client, page_size))? {
            Ok(built_in) => found = on(&built_in).map(|group| ("filter", group)),
            Err(refusal) => {
                report.warning(
                    format!(
                        "not on the first page, and Okta does not filter ({})",
                        words(&refusal)
                    ),
                    "nothing yet; a sync, which reads all pages, says if it is missing",
                );
                return Ok(());
            }
        }
    }
    match found {
        Some((found_by, group)) => {
            let size = match group.members_reported {
                Some(members) => count(members, "member"),
                None => "its size is not given".to_owned(),
            };
            report.ok(format!("visible, {size}"));
            report.everyone = Some(Everyone {
                id: group.id.to_string(),
                found_by,
                members_reported: group.members_reported,
            });
        }
        None => report.warning(
            "missing: the token can see only part of the org, so a sync is partial".to_owned(),
            "take a token whose role is not limited to some groups, or accept it with --allow-partial",
        ),
    }
    Ok(())
}

/// Asks for one member of a group without an admin role, and of one with.
fn members(
    config: &Config,
    groups: &[Group],
    client: &Client,
    report: &mut Report,
) -> Result<(), Halt> {
    report.step = MEMBERS;
    match plain_group(groups, &config.scope) {
        None => report.warning(
            "not tried: no group on the first page has members and no admin role".to_owned(),
            "nothing; a sync says whose members it could not read",
        ),
        Some(group) => match answered(probe::a_member(client, &group.id))? {
            Ok(()) => report.ok(format!("readable (tested with {:?})", group.display_name())),
            Err(refusal) if refusal.status == 404 => report.gone(group),
            Err(refusal) => report.refused(&refusal, GIVE_A_ROLE),
        },
    }
    report.step = ADMIN_MEMBERS;
    let Some(group) = admin_group(groups, &config.scope) else {
        return Ok(());
    };
    match answered(probe::a_member(client, &group.id))? {
        Ok(()) => report.ok(format!("readable (tested with {:?})", group.display_name())),
        Err(refusal) if refusal.status == 404 => report.gone(group),
        Err(refusal) => {
            let what = if is_in_scope(group, &config.scope) {
                "it is in scope, so a sync is partial"
            } else {
                "if one is in scope, a sync is partial"
            };
            report.warning(
                format!(
                    "hidden where a group has an admin role, tried with {:?}; {what} ({})",
                    group.display_name(),
                    words(&refusal)
                ),
                "take a Super Administrator's token, leave these groups out with --group-name-filter, or accept it with --allow-partial",
            );
        }
    }
    Ok(())
}

/// The group whose members every reader may see: known to have some and no admin role. One in scope before others, and
/// any before Everyone, which a sync does not ask for.
fn plain_group<'a>(groups: &'a [Group], scope: &Scope) -> Option<&'a Group> {
    let plain = groups.iter().filter(|group| {
        group.has_admin_privilege != Some(true) && group.members_reported != Some(0)
    });
    plain.min_by_key(|group| {
        (
            group.has_admin_privilege.is_none(),
            group.members_reported.is_none(),
            group.is_everyone(),
            !is_in_scope(group, scope),
        )
    })
}

/// A group with an admin role, one in scope and with members before others.
fn admin_group<'a>(groups: &'a [Group], scope: &Scope) -> Option<&'a Group> {
    let admin = groups
        .iter()
        .filter(|group| group.has_admin_privilege == Some(true));
    admin.min_by_key(|group| {
        (
            !is_in_scope(group, scope),
            group.members_reported == Some(0),
        )
    })
}

fn user_groups(user: Option<&UserId>, client: &Client, report: &mut Report) -> Result<(), Halt> {
    report.step = USER_GROUPS;
    let Some(user) = user else {
        report.warning(
            "not tried: there is no user to ask for".to_owned(),
            "see what is said of token and users",
        );
        return Ok(());
    };
    match answered(probe::groups_of(client, user))? {
        Ok(page) => {
            let more = if page.more { " and more" } else { "" };
            let groups = count(page.rows.len() as u64, "group");
            report.ok(format!("visible, {user} is in {groups}{more}"));
        }
        Err(refusal) if refusal.status == 404 => report.warning(
            format!("user {user} is gone meanwhile ({})", words(&refusal)),
            "run it again",
        ),
        Err(refusal) => report.refused(&refusal, GIVE_A_ROLE),
    }
    Ok(())
}

fn org(client: &Client, report: &mut Report) -> Result<(), Halt> {
    report.step = ORG;
    match answered(probe::company(client))? {
        Ok(name) => {
            report.company = name.clone();
            report.ok(name.unwrap_or_else(|| "without a company name".to_owned()));
        }
        Err(refusal) => report.warning(
            format!("hidden ({})", words(&refusal)),
            "nothing; no command needs it",
        ),
    }
    Ok(())
}

fn rules(client: &Client, report: &mut Report) -> Result<(), Halt> {
    report.step = RULES;
    match answered(probe::a_rule(client))? {
        Ok(true) => report.ok("visible".to_owned()),
        Ok(false) => report.ok("visible, there is none".to_owned()),
        Err(refusal) => report.warning(
            format!(
                "hidden, so whether a rule fills a group is unknown ({})",
                words(&refusal)
            ),
            "nothing for a sync; revoke always asks for --yes",
        ),
    }
    Ok(())
}

/// Whether memberships may be changed, as far as that can be known without changing one.
fn changes(
    config: &Config,
    owner: Option<&User>,
    client: &Client,
    report: &mut Report,
) -> Result<(), Halt> {
    report.step = CHANGES;
    let (may, why) = match owner {
        None => (May::Unknown, "it is not known whose token it is".to_owned()),
        Some(owner) => match answered(probe::roles(client, &owner.id))? {
            Ok(roles) => {
                let names: Vec<String> = roles.iter().map(|role| role.name()).collect();
                if let Some(owner) = &mut report.owner {
                    owner.roles = Some(names.clone());
                }
                let names = if names.is_empty() {
                    "no admin role".to_owned()
                } else {
                    names.join(", ")
                };
                (may_change(&roles), names)
            }
            Err(refusal) => (
                May::Unknown,
                format!("the owner's roles are hidden, {}", words(&refusal)),
            ),
        },
    };
    let what = match may {
        May::All => "this token can change every OKTA_GROUP group",
        May::Most => "this token can change every OKTA_GROUP group without an admin role",
        May::Some => {
            "this token can change the groups that its role is assigned for, except those with an admin role"
        }
        May::Unknown => "it is not known which groups this token can change",
        May::Nothing => "this token cannot change any group",
    };
    if !config.provisioning {
        report.ok(format!(
            "disabled without --provisioning; with it, {what} ({why})"
        ));
        return Ok(());
    }
    let what = format!("{what} ({why})");
    match may {
        May::All | May::Most | May::Some => report.ok(what),
        May::Unknown => report.warning(
            what,
            "try it with one change: grant a membership and revoke it",
        ),
        May::Nothing => report.failure(
            what,
            "give the token's owner the role Group Membership Administrator or Group Administrator, or leave --provisioning out",
            Exit::Credentials,
        ),
    }
    Ok(())
}

/// How many of a page's rows; a page with others after it is no more than a sample.
fn of(part: u64, seen: u64, more: bool) -> String {
    let first = if more { "the first " } else { "" };
    format!("{} of {first}{}", number(part), number(seen))
}

#[cfg(test)]
mod tests {
    use super::report::ending;
    use super::*;
    use crate::filter::{Domain, NameFilter};
    use crate::model::{GroupId, Profile};

    fn group(name: &str, admin: Option<bool>, members: Option<u64>) -> Group {
        let mut profile = Profile::new();
        profile.insert("name".to_owned(), name.into());
        let kind = if name == "Everyone" {
            "BUILT_IN"
        } else {
            "OKTA_GROUP"
        };
        Group {
            id: GroupId::from(name),
            kind: Some(kind.to_owned()),
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: members,
            has_admin_privilege: admin,
            profile,
        }
    }

    fn scope(name: &str) -> Scope {
        let domain = Domain::parse("example.com").unwrap();
        Scope::new(vec![domain], false, Some(NameFilter::parse(name).unwrap()))
    }

    #[test]
    fn members_are_asked_of_the_group_that_tells_most() {
        let no = Some(false);
        let table: [(&[Group], Option<&str>); 8] = [
            (&[], None),
            (
                &[group("a", no, Some(0)), group("b", Some(true), Some(3))],
                None,
            ),
            (
                &[group("a", no, Some(1)), group("b", no, Some(1))],
                Some("a"),
            ),
            (
                &[group("a", no, Some(1)), group("in", no, Some(1))],
                Some("in"),
            ),
            (
                &[group("Everyone", no, Some(9)), group("a", no, Some(1))],
                Some("a"),
            ),
            (
                &[group("Everyone", no, Some(9)), group("a", no, Some(0))],
                Some("Everyone"),
            ),
            (
                &[group("in", None, Some(1)), group("a", no, Some(1))],
                Some("a"),
            ),
            (&[group("in", no, None), group("a", no, Some(1))], Some("a")),
        ];
        for (groups, expected) in table {
            let picked = plain_group(groups, &scope("in")).and_then(Group::name);
            assert_eq!(picked, expected, "{groups:?}");
        }
    }

    #[test]
    fn of_groups_with_an_admin_role_one_in_scope_is_asked_first() {
        let yes = Some(true);
        let table: [(&[Group], Option<&str>); 4] = [
            (
                &[group("a", None, Some(1)), group("b", Some(false), Some(1))],
                None,
            ),
            (
                &[group("a", yes, Some(1)), group("in", yes, Some(0))],
                Some("in"),
            ),
            (
                &[group("a", yes, Some(0)), group("b", yes, Some(1))],
                Some("b"),
            ),
            (&[group("a", yes, Some(0))], Some("a")),
        ];
        for (groups, expected) in table {
            let picked = admin_group(groups, &scope("in")).and_then(Group::name);
            assert_eq!(picked, expected, "{groups:?}");
        }
    }

    #[test]
    fn the_token_decides_the_exit_code_before_the_network_and_both_before_the_rest() {
        let (credentials, unavailable) = (Exit::Credentials, Exit::Unavailable);
        let table: [(&[Exit], Exit); 5] = [
            (&[], Exit::Done),
            (&[Exit::Failed], Exit::Failed),
            (&[Exit::Failed, unavailable], unavailable),
            (&[unavailable, Exit::Failed, credentials], credentials),
            (&[credentials], credentials),
        ];
        for (exits, expected) in table {
            assert_eq!(ending(exits), expected, "{exits:?}");
        }
    }
}
