//! Prints one user with their groups, or one group with its members.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::commands::lookup;
use crate::snapshot::{GroupRow, ProfileText, Reader, UserRow, rfc3339};
use crate::text::{clean, count, number};

/// Returns the users that a text refers to, with their groups, as JSON and as text.
///
/// # Errors
/// Returns an error if there is no such user, or if the file is damaged.
pub fn users(reader: &Reader, file: &Path, typed: &str) -> anyhow::Result<(Value, String)> {
    let found = lookup::users(&[reader], &file.display().to_string(), typed)?;
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
    *text += &line("secondary email", filled(&user.second_email));
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

/// Returns an attribute, unless it is empty.
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

/// Returns the times of a user, with their JSON keys and their names for people.
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

/// Returns the groups that a text refers to, with their members, as JSON and as text.
///
/// # Errors
/// Returns an error if there is no such group, or if the file is damaged.
pub fn groups(reader: &Reader, file: &Path, typed: &str) -> anyhow::Result<(Value, String)> {
    let found = lookup::groups(&[reader], &file.display().to_string(), typed)?;
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
    line("membership source", group.learned.clone());
    line("members, Okta's count", group.members_reported.map(number));
    line("members listed", group.members_seen.map(number));
    if group.learned.as_deref() == Some("forbidden") {
        writeln!(text, "  members unknown: Okta denied access to them")?;
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
