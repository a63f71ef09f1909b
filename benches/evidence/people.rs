//! Writes the snapshot for measuring `report`: 50,000 users and 300,000 memberships, whose ids, names and times
//! compress as badly as real ones.

use std::path::Path;

use jiff::Timestamp;
use okta_ciam::testing::filter::MatchedBy;
use okta_ciam::testing::model::{Group, GroupId, MembershipSource, Profile, User, UserId};
use okta_ciam::testing::snapshot::{GroupMembers, RunHeader, RunMetadata, Writer};

const USERS: usize = 50_000;
const GROUPS: usize = 2_000;
const MEMBERS: usize = 150;
/// 2026-06-01T00:00:00Z.
const TAKEN_AT: i64 = 1_780_272_000_000;
const DAY: i64 = 24 * 3600 * 1000;
const STATUSES: [&str; 10] = [
    "ACTIVE",
    "ACTIVE",
    "ACTIVE",
    "ACTIVE",
    "ACTIVE",
    "ACTIVE",
    "STAGED",
    "SUSPENDED",
    "DEPROVISIONED",
    "LOCKED_OUT",
];

/// Writes the snapshot.
pub fn write(path: &Path) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(7);
    let taken_at = Timestamp::from_millisecond(TAKEN_AT)?;
    let run = RunHeader {
        sync_id: "3MgMxLrNoNKUhULjIFekjnjH02n".to_owned(),
        started_at: taken_at,
    };
    let mut writer = Writer::create(path, &run)?;
    let users = ids(&mut random, "00u", USERS);
    for (number, id) in users.iter().enumerate() {
        writer.user(&user(&mut random, number, id)?, MatchedBy::Email)?;
    }
    let mut stored = 0;
    for (number, id) in ids(&mut random, "00g", GROUPS).iter().enumerate() {
        let mut members: Vec<usize> = (0..MEMBERS).map(|_| random.usize(0..USERS)).collect();
        members.sort_unstable();
        members.dedup();
        let count = Some(members.len() as u64);
        stored += members.len() as u64;
        let group = group(number, id, count);
        writer.group(
            &group,
            &GroupMembers {
                source: MembershipSource::Listed,
                listed: count,
                stored: count,
            },
        )?;
        let members: Vec<UserId> = members
            .into_iter()
            .map(|place| UserId::from(users[place].as_str()))
            .collect();
        writer.memberships(&group.id, members.iter())?;
    }
    let metadata = RunMetadata {
        sync_id: run.sync_id,
        origin: "https://company.okta.com".to_owned(),
        email_domains: "example.com".to_owned(),
        started_at: taken_at,
        ended_at: taken_at,
        users_seen: Some(USERS as u64),
        users_kept: USERS as u64,
        groups_seen: GROUPS as u64,
        groups_kept: GROUPS as u64,
        memberships_kept: stored,
        ..RunMetadata::default()
    };
    writer.finish(&metadata, &[], &[])?;
    Ok(())
}

/// Returns distinct ids, sorted.
fn ids(random: &mut fastrand::Rng, start: &str, count: usize) -> Vec<String> {
    let mut ids: Vec<String> = (0..count)
        .map(|_| {
            let rest = (0..17).map(|_| random.alphanumeric());
            format!("{start}{}", rest.collect::<String>())
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn word(random: &mut fastrand::Rng) -> String {
    let mut word: String = (0..random.usize(2..5))
        .flat_map(|_| {
            let consonant = random.choice(b"bcdfghjklmnprstvw");
            let vowel = random.choice(b"aeiou");
            [consonant, vowel]
                .into_iter()
                .flatten()
                .map(|byte| char::from(*byte))
        })
        .collect();
    word[..1].make_ascii_uppercase();
    word
}

fn user(random: &mut fastrand::Rng, number: usize, id: &str) -> anyhow::Result<User> {
    let (first, last) = (word(random), word(random));
    let login = format!("{first}.{last}{number}@example.com").to_lowercase();
    let profile: Profile = [
        ("login", login.clone()),
        ("email", login),
        ("firstName", first),
        ("lastName", last),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    let created = TAKEN_AT - random.i64(DAY..3000 * DAY);
    let last_login = random
        .u8(0..10)
        .ge(&2)
        .then(|| random.i64(created..TAKEN_AT));
    Ok(User {
        status: Some(STATUSES[random.usize(0..STATUSES.len())].to_owned()),
        created: Some(Timestamp::from_millisecond(created)?),
        last_login: last_login.map(Timestamp::from_millisecond).transpose()?,
        profile,
        ..User::new(UserId::from(id))
    })
}

fn group(number: usize, id: &str, members: Option<u64>) -> Group {
    let profile: Profile = [
        ("name", format!("Group {number} of people")),
        (
            "description",
            format!("Everybody who needs access {number}"),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    Group {
        id: GroupId::from(id),
        kind: Some("OKTA_GROUP".to_owned()),
        source_id: None,
        created: None,
        last_updated: None,
        last_membership_updated: None,
        members_reported: members,
        has_admin_privilege: Some(false),
        profile,
    }
}
