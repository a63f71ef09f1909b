//! Renders users and groups as Okta's JSON, directly into the body.

use jiff::Timestamp;
use jiff::fmt::StdIoWrite;
use jiff::fmt::temporal::DateTimePrinter;

use super::org::{Group, Millis, Org, Role, Rule, Size, User};

/// The optional parts of a user's JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserParts {
    /// True to include `credentials`, which a request header can exclude from listings.
    pub credentials: bool,
    /// True to include all links to actions on the user, which are returned only for a single user.
    pub all_links: bool,
}

/// Appends a user.
pub(super) fn user(out: &mut Vec<u8>, user: &User, base: &str, parts: UserParts) {
    if let Some(raw) = &user.raw {
        return put(out, raw);
    }
    put(out, "{\"id\":");
    string(out, &user.id);
    put(out, ",\"status\":");
    string(out, &user.status);
    put(out, ",\"created\":");
    time(out, Some(user.created));
    put(out, ",\"activated\":");
    time(out, user.activated);
    put(out, ",\"statusChanged\":");
    time(out, user.status_changed);
    put(out, ",\"lastLogin\":");
    time(out, user.last_login);
    put(out, ",\"lastUpdated\":");
    time(out, Some(user.last_updated));
    put(out, ",\"passwordChanged\":");
    time(out, user.password_changed);
    put(
        out,
        ",\"type\":{\"id\":\"oty1demo0000000000h7\"},\"profile\":",
    );
    put(out, &user.profile);
    if parts.credentials {
        put(
            out,
            ",\"credentials\":{\"password\":{},\"provider\":{\"type\":\"OKTA\",\"name\":\"OKTA\"}}",
        );
    }
    user_links(out, &user.id, base, parts.all_links);
    put(out, "}");
}

fn user_links(out: &mut Vec<u8>, id: &str, base: &str, all: bool) {
    put(out, ",\"_links\":{\"self\":{\"href\":\"");
    let link = |out: &mut Vec<u8>, tail: &str| {
        put(out, base);
        put(out, "/api/v1/users/");
        put(out, id);
        put(out, tail);
    };
    link(out, "\"}");
    if all {
        put(out, ",\"schema\":{\"href\":\"");
        put(out, base);
        put(
            out,
            "/api/v1/meta/schemas/user/osc1demo0000000000h7\"},\"type\":{\"href\":\"",
        );
        put(out, base);
        put(out, "/api/v1/meta/types/user/oty1demo0000000000h7\"}");
        for (name, path) in [
            ("suspend", "lifecycle/suspend"),
            ("deactivate", "lifecycle/deactivate"),
            ("resetPassword", "lifecycle/reset_password"),
            ("expirePassword", "lifecycle/expire_password"),
            ("changePassword", "credentials/change_password"),
            ("forgotPassword", "credentials/forgot_password"),
            (
                "changeRecoveryQuestion",
                "credentials/change_recovery_question",
            ),
        ] {
            put(out, &format!(",\"{name}\":{{\"href\":\""));
            link(out, "/");
            put(out, path);
            put(out, "\",\"method\":\"POST\"}");
        }
    }
    put(out, "}");
}

/// Appends a group, with its statistics if they were requested and are available.
pub(super) fn group(out: &mut Vec<u8>, org: &Org, group: &Group, base: &str, stats: bool) {
    if let Some(raw) = &group.raw {
        return put(out, raw);
    }
    put(out, "{\"id\":");
    string(out, &group.id);
    put(out, ",\"created\":");
    time(out, Some(group.created));
    put(out, ",\"lastUpdated\":");
    time(out, Some(group.last_updated));
    put(out, ",\"lastMembershipUpdated\":");
    time(out, Some(group.last_membership_updated));
    put(out, ",\"objectClass\":[");
    string(out, &group.object_class);
    put(out, "],\"type\":");
    string(out, &group.kind);
    put(out, ",\"profile\":");
    put(out, &group.profile);
    let size = match group.size {
        Size::Real => Some(org.size(group)),
        Size::Says(size) => Some(size),
        Size::Withheld => None,
    };
    if let Some(size) = size.filter(|_| stats) {
        let apps = u8::from(group.source.is_some());
        put(
            out,
            &format!(
                ",\"_embedded\":{{\"stats\":{{\"usersCount\":{size},\"appsCount\":{apps},\"groupPushMappingsCount\":0"
            ),
        );
        if let Some(admin) = group.admin {
            put(out, &format!(",\"hasAdminPrivilege\":{admin}"));
        }
        put(out, "}}");
    }
    put(
        out,
        ",\"_links\":{\"logo\":[{\"name\":\"medium\",\"href\":\"",
    );
    put(out, base);
    put(out, "/assets/group.png\",\"type\":\"image/png\"}]");
    for name in ["users", "apps"] {
        put(
            out,
            &format!(
                ",\"{name}\":{{\"href\":\"{base}/api/v1/groups/{}/{name}\"}}",
                group.id
            ),
        );
    }
    if let Some(source) = &group.source {
        put(
            out,
            &format!(",\"source\":{{\"href\":\"{base}/api/v1/apps/{source}\"}}"),
        );
    }
    put(out, "}}");
}

/// Appends an admin role of a user.
pub(super) fn role(out: &mut Vec<u8>, role: &Role, user: &str, base: &str) {
    // Okta uses the same role ids for different users (docs/okta-api.md, Admin roles).
    put(out, "{\"id\":\"ra1demo00000000000h7\",\"label\":");
    string(out, &role.label);
    put(out, ",\"type\":");
    string(out, &role.kind);
    put(out, ",\"status\":");
    string(out, &role.status);
    put(
        out,
        ",\"created\":\"2023-01-09T09:00:00.000Z\",\"lastUpdated\":\"2023-01-09T09:00:00.000Z\",\"assignmentType\":\"USER\"",
    );
    if role.kind == "CUSTOM" {
        put(
            out,
            ",\"resource-set\":\"iam1demo0000000000h7\",\"role\":\"cr01demo0000000000h7\"",
        );
    }
    put(
        out,
        &format!(",\"_links\":{{\"assignee\":{{\"href\":\"{base}/api/v1/users/{user}\"}}}}}}"),
    );
}

/// Appends a group rule.
pub(super) fn rule(out: &mut Vec<u8>, rule: &Rule) {
    put(out, "{\"type\":\"group_rule\",\"id\":");
    string(out, &rule.id);
    put(out, ",\"status\":");
    string(out, &rule.status);
    put(out, ",\"name\":");
    string(out, &rule.name);
    put(out, ",\"created\":");
    time(out, Some(rule.created));
    put(out, ",\"lastUpdated\":");
    time(out, Some(rule.created));
    put(out, ",\"conditions\":{\"people\":{\"users\":{\"exclude\":");
    strings(out, &rule.excluded);
    put(
        out,
        "},\"groups\":{\"exclude\":[]}},\"expression\":{\"value\":",
    );
    string(out, &rule.expression);
    put(
        out,
        ",\"type\":\"urn:okta:expression:1.0\"}},\"actions\":{\"assignUserToGroups\":{\"groupIds\":",
    );
    strings(out, &rule.groups);
    put(out, "}},\"allGroupsValid\":true}");
}

/// Appends a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push(b'"');
        put(out, text);
        out.push(b'"');
    } else {
        put(out, &serde_json::Value::from(text).to_string());
    }
}

fn strings(out: &mut Vec<u8>, texts: &[String]) {
    out.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, text);
    }
    out.push(b']');
}

/// Prints milliseconds, also those of a full second.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Appends a time in full seconds, as Okta shows it, or null.
pub(super) fn time(out: &mut Vec<u8>, time: Option<Millis>) {
    let second = time.map(|time| Timestamp::from_second(time.div_euclid(1000)));
    // Times that do not exist are null, too.
    let Some(Ok(second)) = second else {
        return put(out, "null");
    };
    out.push(b'"');
    // Writing to a vector cannot fail.
    let _ = PRINTER.print_timestamp(&second, StdIoWrite(&mut *out));
    out.push(b'"');
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_rendered_as_jiff_renders_its_full_second(millis in 0_i64..253_402_300_799_000) {
            let mut out = Vec::new();
            time(&mut out, Some(millis));
            let second = Timestamp::from_second(millis / 1000).unwrap().to_string();
            let expected = second.replace('Z', ".000Z");
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("\"{expected}\""));
        }

        #[test]
        fn a_string_reads_back_as_itself(text in ".*") {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
