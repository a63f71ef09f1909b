//! `show`: what is in a snapshot. Reads one file, asks nobody.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::provenance::Provenance;
use super::sync::domain_lines;
use crate::cli::ShowWhat;
use crate::console::Console;
use crate::exit::Exit;
use crate::snapshot::{
    Counts, DomainUsers, FileFormat, FileInfo, GroupRow, ProfileText, Reader, UserRow, Warning,
    rfc3339,
};
use crate::text::{self, clean, count, number};

/// Runs it.
///
/// # Errors
/// A file that cannot be read, or an object that is not in it.
pub fn run(file: &Path, what: Option<&ShowWhat>, console: &Console) -> anyhow::Result<Exit> {
    let reader = Reader::open(file)?;
    let (value, text) = match what {
        None => summary(&reader, file)?,
        Some(ShowWhat::User { user }) => users(&reader, file, user)?,
        Some(ShowWhat::Group { group }) => groups(&reader, file, group)?,
    };
    let text = if console.json() {
        text::json(serde_json::to_string_pretty(&value)?)
    } else {
        text
    };
    console.data(&text)?;
    Ok(Exit::Done)
}

fn summary(reader: &Reader, file: &Path) -> anyhow::Result<(Value, String)> {
    let about = reader.info();
    let counts = reader.counts()?;
    let warnings = reader.warnings()?;
    let domains = reader.domains()?;
    let container = match about.format {
        FileFormat::C1z => "c1z",
        FileFormat::Sqlite => "sqlite",
    };
    let value = json!({
        "file": file.display().to_string(),
        "container": container,
        "sync_id": about.sync_id,
        "started_at": rfc3339(about.started_at),
        "ended_at": rfc3339(about.ended_at),
        "runs": about.runs,
        "counts": counts,
        "domains": domains,
        "snapshot": about.metadata,
        "warnings": warnings,
    });
    let mut text = String::new();
    run_text(about, file, container, &mut text)?;
    contents_text(&counts, &domains, &mut text)?;
    if about.runs > 1 {
        let runs = number(about.runs);
        writeln!(
            text,
            "  runs         {runs}; this is the newest complete one"
        )?;
    }
    warnings_text(&warnings, &mut text)?;
    Ok((value, text))
}

/// Writes what the file is, and how its run was taken.
fn run_text(info: &FileInfo, file: &Path, container: &str, text: &mut String) -> std::fmt::Result {
    let made_by = match &info.metadata {
        Some(metadata) => format!("okta-ciam {}", clean(&metadata.tool_version)),
        None => "another connector".to_owned(),
    };
    let file = file.display().to_string();
    writeln!(
        text,
        "{}  {container} file, written by {made_by}",
        clean(&file)
    )?;
    let (started, ended) = (rfc3339(info.started_at), rfc3339(info.ended_at));
    writeln!(text, "  taken        {started} to {ended}")?;
    let Some(metadata) = &info.metadata else {
        return Ok(());
    };
    let complete = if metadata.complete {
        "complete"
    } else {
        "INCOMPLETE: see the warnings"
    };
    writeln!(text, "  state        {complete}")?;
    writeln!(text, "  org          {}", clean(&metadata.origin))?;
    let mut scope = clean(&metadata.email_domains).replace(',', ", ");
    if metadata.skip_secondary_emails {
        scope += ", secondary emails not counted";
    }
    if let Some(name) = &metadata.group_name_filter {
        write!(scope, "; groups whose name contains {:?}", clean(name))?;
    }
    writeln!(text, "  scope        {scope}")?;
    for line in Provenance::of(metadata).lines() {
        writeln!(text, "{line}")?;
    }
    Ok(())
}

/// Writes how much the run contains.
fn contents_text(counts: &Counts, domains: &[DomainUsers], text: &mut String) -> std::fmt::Result {
    let (users, statuses) = (number(counts.users), split(&counts.users_by_status));
    writeln!(text, "  users        {users}{statuses}")?;
    for line in domain_lines(domains) {
        writeln!(text, "{line}")?;
    }
    let (groups, types) = (number(counts.groups), split(&counts.groups_by_type));
    writeln!(text, "  groups       {groups}{types}")?;
    writeln!(text, "  memberships  {}", number(counts.memberships))?;
    if counts.dangling > 0 {
        let what = "grant to an object that is not in the file";
        let dangling = count(counts.dangling, what).replace("files", "file");
        writeln!(text, "  dangling     {dangling}")?;
    }
    if !counts.others.is_empty() {
        let others = split(&counts.others);
        writeln!(text, "  also         {}", others.trim_start())?;
    }
    Ok(())
}

fn warnings_text(warnings: &[Warning], text: &mut String) -> std::fmt::Result {
    writeln!(text, "  warnings     {}", number(warnings.len() as u64))?;
    for warning in warnings {
        let object = warning.object_id.as_deref();
        let object = object.map_or(String::new(), |id| format!(" {id}"));
        let line = format!("{}{object}: {}", warning.code, warning.message);
        writeln!(text, "    {}", clean(&line))?;
    }
    Ok(())
}

/// `  12 ACTIVE, 3 STAGED`
fn split(parts: &std::collections::BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, count)| format!("{} {}", number(*count), clean(name)))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("  {}", parts.join(", "))
    }
}

fn users(reader: &Reader, file: &Path, asked: &str) -> anyhow::Result<(Value, String)> {
    let found = reader.find_users(asked)?;
    if found.is_empty() {
        bail!(
            "no user of {} has the id, login or email {asked:?}; only a full match counts, ignoring case",
            file.display()
        );
    }
    let mut values = Vec::new();
    let mut text = String::new();
    for user in &found {
        let groups = reader.groups_of(&user.id)?;
        let mut value = user_value(user, file)?;
        value["groups"] = groups.iter().map(group_line_value).collect();
        values.push(value);
        user_text(&mut text, user, &groups)?;
    }
    Ok((Value::Array(values), text))
}

fn user_text(text: &mut String, user: &UserRow, groups: &[GroupRow]) -> std::fmt::Result {
    writeln!(
        text,
        "{}  {}",
        clean(&user.display_name()),
        clean(user.id.as_str())
    )?;
    let line = |name: &str, value: Option<&str>| match value {
        Some(value) => format!("  {name:<16} {}\n", clean(value)),
        None => String::new(),
    };
    *text += &line("status", user.status.as_deref());
    *text += &line("login", filled(&user.login));
    *text += &line("email", filled(&user.email));
    *text += &line("second email", filled(&user.second_email));
    *text += &line("in scope by", user.matched_by.as_deref());
    for (name, time) in times_of(user) {
        *text += &line(name.1, time.map(rfc3339).as_deref());
    }
    writeln!(text, "  {}", count(groups.len() as u64, "group"))?;
    for group in groups {
        let kind = group.kind.as_deref().unwrap_or("-");
        let learned = group
            .learned
            .as_deref()
            .filter(|learned| *learned == "implied");
        let learned = learned.map_or(String::new(), |learned| format!("  ({learned})"));
        writeln!(
            text,
            "    {}  {:<10}  {}{learned}",
            clean(group.id.as_str()),
            clean(kind),
            clean(group.display_name())
        )?;
    }
    Ok(())
}

/// An attribute, unless it is empty.
fn filled(attribute: &Option<String>) -> Option<&str> {
    attribute.as_deref().filter(|text| !text.is_empty())
}

fn profile_value(profile: &ProfileText, id: &str, file: &Path) -> anyhow::Result<Value> {
    let parsed = profile.parse().with_context(|| {
        format!(
            "{} is damaged: the profile of {id} cannot be read",
            file.display()
        )
    })?;
    Ok(Value::Object(parsed))
}

/// The keys in JSON and the words for people.
fn times_of(user: &UserRow) -> [((&'static str, &'static str), Option<Timestamp>); 6] {
    [
        (("created", "created"), user.created),
        (("activated", "activated"), user.activated),
        (("status_changed", "status changed"), user.status_changed),
        (("last_login", "last login"), user.last_login),
        (("last_updated", "last updated"), user.last_updated),
        (
            ("password_changed", "password changed"),
            user.password_changed,
        ),
    ]
}

fn user_value(user: &UserRow, file: &Path) -> anyhow::Result<Value> {
    let mut value = user_line_value(user);
    value["second_email"] = json!(filled(&user.second_email));
    value["matched_by"] = json!(user.matched_by);
    for (name, time) in times_of(user) {
        value[name.0] = time_value(time);
    }
    value["profile"] = profile_value(&user.profile, user.id.as_str(), file)?;
    Ok(value)
}

fn user_line_value(user: &UserRow) -> Value {
    json!({
        "id": user.id.as_str(),
        "status": user.status,
        "login": filled(&user.login),
        "email": filled(&user.email),
        "display_name": user.display_name(),
    })
}

fn time_value(time: Option<Timestamp>) -> Value {
    json!(time.map(rfc3339))
}

fn groups(reader: &Reader, file: &Path, asked: &str) -> anyhow::Result<(Value, String)> {
    let found = reader.find_groups(asked)?;
    if found.is_empty() {
        bail!(
            "no group of {} has the id or the name {asked:?}; the whole name is compared",
            file.display()
        );
    }
    let mut values = Vec::new();
    let mut text = String::new();
    for group in &found {
        let members = reader.members_of(&group.id)?;
        let mut value = group_value(group, file)?;
        value["members"] = members.iter().map(user_line_value).collect();
        values.push(value);
        group_text(&mut text, group, &members)?;
    }
    Ok((Value::Array(values), text))
}

fn group_text(text: &mut String, group: &GroupRow, members: &[UserRow]) -> std::fmt::Result {
    writeln!(
        text,
        "{}  {}",
        clean(group.display_name()),
        clean(group.id.as_str())
    )?;
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            *text += &format!("  {name:<22} {}\n", clean(&value));
        }
    };
    line("description", filled(&group.description).map(str::to_owned));
    line("type", group.kind.clone());
    line("source", group.source_id.clone());
    for (name, time) in group_times_of(group) {
        line(name.1, time.map(rfc3339));
    }
    line("members learned", group.learned.clone());
    line("members, Okta's count", group.members_reported.map(number));
    line("members listed", group.members_seen.map(number));
    if group.learned.as_deref() == Some("forbidden") {
        writeln!(text, "  members unknown: Okta would not let them be read")?;
        return Ok(());
    }
    writeln!(text, "  {} in scope", count(members.len() as u64, "member"))?;
    for user in members {
        let login = filled(&user.login).unwrap_or("-");
        let status = user.status.as_deref().unwrap_or("-");
        writeln!(
            text,
            "    {}  {:<16}  {}  {}",
            clean(user.id.as_str()),
            clean(status),
            clean(login),
            clean(&user.display_name())
        )?;
    }
    Ok(())
}

fn group_times_of(group: &GroupRow) -> [((&'static str, &'static str), Option<Timestamp>); 3] {
    [
        (("created", "created"), group.created),
        (("last_updated", "last updated"), group.last_updated),
        (
            ("last_membership_updated", "members changed"),
            group.last_membership_updated,
        ),
    ]
}

fn group_value(group: &GroupRow, file: &Path) -> anyhow::Result<Value> {
    let mut value = group_line_value(group);
    value["description"] = json!(filled(&group.description));
    value["source_id"] = json!(group.source_id);
    for (name, time) in group_times_of(group) {
        value[name.0] = time_value(time);
    }
    value["members_reported"] = json!(group.members_reported);
    value["members_seen"] = json!(group.members_seen);
    value["members_kept"] = json!(group.members_kept);
    value["profile"] = profile_value(&group.profile, group.id.as_str(), file)?;
    Ok(value)
}

fn group_line_value(group: &GroupRow) -> Value {
    json!({
        "id": group.id.as_str(),
        "name": filled(&group.name),
        "type": group.kind,
        "learned": group.learned,
    })
}
