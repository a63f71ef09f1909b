//! Tests that okta-ciam reads every response in `tests/fixtures/okta/` and gets the values that its body and headers
//! contain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::http::rate_limit::Signals;
use super::http::{self, Response};
use super::wire;
use crate::model::{Group, User};

/// A file of that folder.
struct Fixture {
    name: String,
    request: String,
    status: u16,
    headers: HeaderMap,
    body: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/okta")
}

impl Fixture {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let mut headers = HeaderMap::new();
        for line in file["headers"].as_array().unwrap() {
            let (name, value) = line.as_str().unwrap().split_once(": ").unwrap();
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Self {
            name: name.to_owned(),
            request: file["request"].as_str().unwrap().to_owned(),
            status: file["status"].as_u64().unwrap().try_into().unwrap(),
            headers,
            body: file["body"].clone(),
        }
    }

    /// Returns all files, in the order of their names.
    fn all() -> Vec<Self> {
        let mut names = BTreeSet::new();
        for group in ["recorded", "specified"] {
            for entry in std::fs::read_dir(folder().join(group)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                names.insert(format!("{group}/{name}"));
            }
        }
        names.iter().map(|name| Self::read(name)).collect()
    }

    fn text(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }

    fn rows(&self) -> &[Value] {
        self.body.as_array().unwrap()
    }

    fn next_page(&self) -> Option<String> {
        let path = self.request.split_once(' ').unwrap().1;
        let requested = Url::parse(&format!("https://kestrel.example{path}")).unwrap();
        let response = Response {
            headers: self.headers.clone(),
            body: Vec::new(),
        };
        response.next_page(&requested).unwrap().unwrap()
    }
}

fn text<'a>(row: &'a Value, pointer: &str) -> Option<&'a str> {
    row.pointer(pointer).and_then(Value::as_str)
}

fn time(row: &Value, pointer: &str) -> Option<Timestamp> {
    text(row, pointer).map(|text| text.parse().unwrap())
}

fn assert_user(user: &User, row: &Value) {
    assert_eq!(Some(user.id.as_str()), text(row, "/id"));
    assert_eq!(user.status.as_deref(), text(row, "/status"));
    assert_eq!(user.created, time(row, "/created"));
    assert_eq!(user.activated, time(row, "/activated"));
    assert_eq!(user.status_changed, time(row, "/statusChanged"));
    assert_eq!(user.last_login, time(row, "/lastLogin"));
    assert_eq!(user.last_updated, time(row, "/lastUpdated"));
    assert_eq!(user.password_changed, time(row, "/passwordChanged"));
    assert_eq!(user.type_id.as_deref(), text(row, "/type/id"));
    assert_eq!(Some(&user.profile), row["profile"].as_object());
    assert!(user.login().is_some() && user.email().is_some());
    assert!(user.status.is_some() && user.created.is_some() && user.last_updated.is_some());
}

fn assert_group(group: &Group, row: &Value) {
    let stats = "/_embedded/stats";
    let admin = ["hasAdminPrivilege", "hasAdminPrivlege"]
        .iter()
        .find_map(|name| row.pointer(&format!("{stats}/{name}")));
    let source = text(row, "/_links/source/href").and_then(|href| href.rsplit('/').next());
    assert_eq!(Some(group.id.as_str()), text(row, "/id"));
    assert_eq!(group.kind.as_deref(), text(row, "/type"));
    assert_eq!(group.source_id.as_deref(), source);
    assert_eq!(group.created, time(row, "/created"));
    assert_eq!(group.last_updated, time(row, "/lastUpdated"));
    let changed = time(row, "/lastMembershipUpdated");
    assert_eq!(group.last_membership_updated, changed);
    let users = row.pointer(&format!("{stats}/usersCount"));
    assert_eq!(group.members_reported, users.and_then(Value::as_u64));
    assert_eq!(group.has_admin_privilege, admin.and_then(Value::as_bool));
    assert_eq!(Some(&group.profile), row["profile"].as_object());
    assert!(group.name().is_some() && group.kind.is_some());
    assert!(group.created.is_some() && changed.is_some());
}

#[test]
fn every_response_is_read_as_it_stands() {
    for fixture in Fixture::all() {
        let (name, body) = (fixture.name.as_str(), fixture.text());
        match name.split_once('/').unwrap().1.trim_end_matches(".json") {
            "users" | "users-filter" | "group-users" => {
                let users = wire::users(&body).unwrap();
                assert_eq!(users.len(), fixture.rows().len(), "{name}");
                for (user, row) in users.iter().zip(fixture.rows()) {
                    assert_user(&user.to_model().unwrap(), row);
                    let deprovisioned = text(row, "/status") == Some("DEPROVISIONED");
                    assert_eq!(user.is_deprovisioned(), deprovisioned);
                    let profile = &row["profile"];
                    user.with_addresses(|addresses| {
                        assert_eq!(addresses.email, text(profile, "/email"));
                        assert_eq!(addresses.login, text(profile, "/login"));
                        assert_eq!(addresses.second_email, text(profile, "/secondEmail"));
                    })
                    .unwrap();
                }
            }
            "user" | "user-staged" => assert_user(&wire::user(&body).unwrap(), &fixture.body),
            "groups" | "groups-filter" | "groups-by-name" | "user-groups" | "groups-stats"
            | "groups-app" => {
                let groups = wire::groups(&body).unwrap();
                assert_eq!(groups.len(), fixture.rows().len(), "{name}");
                for (group, row) in groups.iter().zip(fixture.rows()) {
                    assert_group(group, row);
                    let has_stats =
                        group.has_admin_privilege.is_some() && group.members_reported.is_some();
                    assert_eq!(has_stats, name.contains("stats"), "{name}");
                    assert_eq!(group.source_id.is_some(), name.contains("app"), "{name}");
                }
            }
            "group" => assert_group(&wire::one_group(&body).unwrap(), &fixture.body),
            "group-rules" => {
                let rules = wire::rules(&body).unwrap();
                assert_eq!(wire::how_many(&body).unwrap(), rules.len());
                for (rule, row) in rules.iter().zip(fixture.rows()) {
                    assert_eq!(Some(rule.id.as_str()), text(row, "/id"));
                    assert_eq!(Some(rule.name.as_str()), text(row, "/name"));
                    assert_eq!(rule.active, text(row, "/status") == Some("ACTIVE"));
                    let group = text(row, "/actions/assignUserToGroups/groupIds/0");
                    assert_eq!(rule.groups.first().map(|id| id.as_str()), group);
                    assert!(group.is_some());
                }
            }
            "user-roles" | "user-roles-custom" => {
                let roles = wire::roles(&body).unwrap();
                assert_eq!(roles.len(), fixture.rows().len(), "{name}");
                for (role, row) in roles.iter().zip(fixture.rows()) {
                    for (read, pointer) in [
                        (&role.kind, "/type"),
                        (&role.label, "/label"),
                        (&role.status, "/status"),
                    ] {
                        assert!(read.is_some());
                        assert_eq!(read.as_deref(), text(row, pointer), "{name}");
                    }
                }
            }
            "org" => {
                let company = wire::company(&body).unwrap();
                assert!(company.is_some());
                assert_eq!(company.as_deref(), text(&fixture.body, "/companyName"));
            }
            "membership-put" | "membership-delete" => {
                assert_eq!((fixture.status, &fixture.body), (204, &Value::Null));
            }
            error if error.starts_with("error-") => {
                assert!(name.contains(&fixture.status.to_string()), "{name}");
                let (code, message) = wire::refusal(&body);
                assert_eq!(code.as_deref(), text(&fixture.body, "/errorCode"), "{name}");
                assert!(code.is_some_and(|code| http::error::is_oktas_code(&code)));
                let message = message.unwrap();
                assert!(message.starts_with(text(&fixture.body, "/errorSummary").unwrap()));
                let cause = text(&fixture.body, "/errorCauses/0/errorSummary").unwrap_or_default();
                assert!(message.ends_with(cause), "{name}");
            }
            other => panic!("no test reads {other}"),
        }
    }
}

#[test]
fn the_headers_of_every_response_are_read() {
    for fixture in Fixture::all() {
        let name = fixture.name.as_str();
        let header = |name: &str| fixture.headers.get(name).map(|text| text.to_str().unwrap());
        let number = |name: &str| header(name).map(|text| text.parse().unwrap());
        let signals = Signals::of(&fixture.headers);
        assert_eq!(signals.limit, number("x-rate-limit-limit"), "{name}");
        assert_eq!(
            signals.remaining,
            number("x-rate-limit-remaining"),
            "{name}"
        );
        assert_eq!(signals.reset, number("x-rate-limit-reset"), "{name}");
        assert_eq!(signals.date.is_some(), header("date").is_some(), "{name}");
        let id = http::request_id(&fixture.headers);
        assert_eq!(id.as_deref(), header("x-okta-request-id"), "{name}");
        let next = fixture.next_page();
        let has_next = name == "recorded/users.json";
        assert_eq!(next.is_some(), has_next, "{name}: {next:?}");
        if let Some(next) = next {
            let first = fixture.request.split_once(' ').unwrap().1;
            assert!(http::page::is_page_of(first, &next), "{next}");
        }
    }
}

/// Every file has a row in the folder's README, and every row has a file.
#[test]
fn the_readme_has_the_source_of_every_response() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (_, source) = rest.split_once(" | ")?;
        assert!(
            ["SDK", "TFP", "spec"]
                .iter()
                .any(|known| source.starts_with(known)),
            "{line}"
        );
        Some(name.to_owned())
    });
    let named: BTreeSet<String> = rows.collect();
    let files: BTreeSet<String> = Fixture::all().into_iter().map(|one| one.name).collect();
    assert_eq!(named, files);
}
