//! Packs the rows of the tables for the script: columns as JSON, repeated texts as numbers, members as differences
//! between sorted indices, all compressed with gzip and encoded as base64.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;

use super::PageSource;
use crate::evidence::findings::Finding;
use crate::text::json;

/// A column with repeated texts: the distinct texts, and for each row the position of its text, starting at 1; 0 means
/// none.
#[derive(Default, Serialize)]
struct Repeated<'a> {
    texts: Vec<&'a str>,
    rows: Vec<usize>,
}

impl<'a> FromIterator<Option<&'a str>> for Repeated<'a> {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(rows: I) -> Self {
        let mut column = Self::default();
        let mut numbers = HashMap::new();
        for text in rows {
            let number = text.map_or(0, |text| {
                *numbers.entry(text).or_insert_with(|| {
                    column.texts.push(text);
                    column.texts.len()
                })
            });
            column.rows.push(number);
        }
        column
    }
}

#[derive(Serialize)]
struct Users<'a> {
    id: Vec<&'a str>,
    name: Vec<String>,
    login: Vec<Option<&'a str>>,
    /// 0 if the email equals the login, as it does for most users.
    email: Vec<Text<'a>>,
    second_email: Vec<Option<&'a str>>,
    status: Repeated<'a>,
    matched_by: Repeated<'a>,
    last_login: Vec<Option<i64>>,
    created: Vec<Option<i64>>,
    groups: &'a [u32],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    Own(Option<&'a str>),
    SameAsLogin(u8),
}

#[derive(Serialize)]
struct Groups<'a> {
    id: Vec<&'a str>,
    name: Vec<Option<&'a str>>,
    description: Vec<Option<&'a str>>,
    #[serde(rename = "type")]
    kind: Repeated<'a>,
    learned: Repeated<'a>,
    created: Vec<Option<i64>>,
    last_membership_updated: Vec<Option<i64>>,
    members_reported: Vec<Option<u64>>,
    /// 1 if the members could not be read, otherwise 0.
    unreadable: Vec<u8>,
}

#[derive(Serialize)]
struct Data<'a> {
    users: Users<'a>,
    groups: Groups<'a>,
    /// For each group, the index of its first member, followed by the difference between each member and the next.
    members: Option<Vec<Vec<u32>>>,
    /// For each finding, the indices of its rows in the tables of users, groups and memberships, as differences.
    findings: BTreeMap<&'static str, [Vec<u32>; 3]>,
    /// The names of the findings, by id.
    names: BTreeMap<&'static str, &'static str>,
}

/// Packs the rows.
///
/// # Errors
/// Returns an error if the rows cannot be written as JSON, which is a bug.
pub(super) fn pack(source: &PageSource<'_>, with_memberships: bool) -> io::Result<String> {
    let members = source.listing.members.iter();
    let members = members.map(|places| differences(places));
    let found = || source.findings.iter().filter(|finding| finding.count > 0);
    let data = Data {
        users: users(source),
        groups: groups(source),
        members: with_memberships.then(|| members.collect()),
        names: found().map(|finding| (finding.id, finding.name)).collect(),
        findings: found()
            .map(|finding| (finding.id, places(source, finding, with_memberships)))
            .collect(),
    };
    // Level 9 is 5 times slower and gives the same size.
    let mut packed = GzEncoder::new(Vec::new(), Compression::new(6));
    packed.write_all(json(serde_json::to_string(&data)?).as_bytes())?;
    Ok(STANDARD.encode(packed.finish()?))
}

fn users<'a>(source: &'a PageSource<'_>) -> Users<'a> {
    let rows = || source.listing.users.iter().map(|row| source.org.user(*row));
    Users {
        id: rows().map(|user| user.id.as_str()).collect(),
        name: rows().map(|user| user.display_name()).collect(),
        login: rows().map(|user| user.login.as_deref()).collect(),
        email: rows()
            .map(|user| match (&user.email, &user.login) {
                (Some(email), Some(login)) if email == login => Text::SameAsLogin(0),
                (email, _) => Text::Own(email.as_deref()),
            })
            .collect(),
        second_email: rows().map(|user| user.second_email.as_deref()).collect(),
        status: rows().map(|user| user.status.as_deref()).collect(),
        matched_by: rows().map(|user| user.matched_by.as_deref()).collect(),
        last_login: rows().map(|user| millis(user.last_login)).collect(),
        created: rows().map(|user| millis(user.created)).collect(),
        groups: &source.listing.groups_of,
    }
}

fn groups<'a>(source: &'a PageSource<'_>) -> Groups<'a> {
    let places = &source.listing.groups;
    let rows = || places.iter().map(|row| source.org.group(*row));
    Groups {
        id: rows().map(|group| group.id.as_str()).collect(),
        name: rows().map(|group| group.name.as_deref()).collect(),
        description: rows().map(|group| group.description.as_deref()).collect(),
        kind: rows().map(|group| group.kind.as_deref()).collect(),
        learned: rows().map(|group| group.learned.as_deref()).collect(),
        created: rows().map(|group| millis(group.created)).collect(),
        last_membership_updated: rows()
            .map(|group| millis(group.last_membership_updated))
            .collect(),
        members_reported: rows().map(|group| group.members_reported).collect(),
        unreadable: places
            .iter()
            .map(|row| u8::from(source.is_unreadable(*row)))
            .collect(),
    }
}

fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millisecond)
}

/// Returns the indices of the rows of a finding in the three tables.
fn places(source: &PageSource<'_>, finding: &Finding, with_memberships: bool) -> [Vec<u32>; 3] {
    let mut places = [const { Vec::new() }; 3];
    for row in &finding.rows {
        let user = row.user_id.as_ref().and_then(|id| source.listing.user(id));
        let group = row
            .group_id
            .as_ref()
            .and_then(|id| source.listing.group(id));
        match (user, group) {
            (Some(user), Some(group)) if with_memberships => {
                places[2].extend(source.listing.membership(group, user));
            }
            (Some(user), None) => places[0].push(user),
            (None, Some(group)) => places[1].push(group),
            _ => {}
        }
    }
    places.map(|mut places| {
        places.sort_unstable();
        places.dedup();
        differences(&places)
    })
}

fn differences(sorted: &[u32]) -> Vec<u32> {
    let before = [0].into_iter().chain(sorted.iter().copied());
    let pairs = sorted.iter().zip(before);
    pairs.map(|(place, before)| place - before).collect()
}
