//! Selects and sorts the memberships of a review, and computes what the reviewer sees about each.
//!
//! - Privileged memberships come first, then those with findings, because reviewers read the first rows most carefully.
//! - Everyone is left out unless requested, because no reviewer can decide on its memberships.

use std::collections::{BTreeMap, HashMap, HashSet};

use clap::ValueEnum;
use jiff::civil::Date;

use super::is_everyone;
use crate::evidence::cells::plain;
use crate::evidence::findings::catalogue::CATALOGUE;
use crate::evidence::findings::exceptions::Exceptions;
use crate::evidence::findings::org::{GroupIndex, Org, UserIndex};
use crate::evidence::findings::{self, FindingContext, MembershipIds};
use crate::evidence::tables::filter::Filter;
use crate::evidence::tables::rows::{Query, list};
use crate::evidence::tables::{Table, columns};
use crate::sheet::Decision;
use crate::snapshot::{Error, Reader};

/// The findings that flag a membership. Findings about groups are not used, since they would flag every member.
const FLAGS: [&str; 12] = [
    "OC101", "OC102", "OC103", "OC104", "OC105", "OC106", "OC107", "OC201", "OC202", "OC203",
    "OC205", "OC601",
];
/// The attributes that every sheet contains.
const ATTRIBUTES: [&str; 4] = ["title", "department", "manager", "userType"];
/// The smallest number of users in a department for which a share is shown.
const FEWEST_PEERS: u64 = 5;

/// The settings that select the rows of a review.
#[derive(Clone, Debug, Default)]
pub struct ReviewOptions {
    /// The settings of the checks.
    pub findings: findings::FindingOptions,
    /// True if memberships of Everyone are included.
    pub include_everyone: bool,
    /// True if memberships without flags are left out.
    pub only_flagged: bool,
    /// True if memberships that the older snapshot contains are left out.
    pub only_new: bool,
    /// More attributes of the users' profiles to show.
    pub attributes: Vec<String>,
}

/// Data from earlier reviews and snapshots.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The memberships of an older snapshot, and its date.
    pub older: Option<(HashSet<MembershipIds>, Date)>,
    /// The decisions of the previous review.
    pub previous: HashMap<MembershipIds, Previous>,
}

/// The decision of an earlier review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the columns'")]
pub struct Previous {
    pub decision: Decision,
    pub reviewer: String,
    pub decided_at: String,
    pub first_seen: String,
}

/// A membership to review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReviewItem {
    /// The group.
    pub group: GroupIndex,
    /// The user.
    pub user: UserIndex,
    /// True if the group is privileged.
    pub privileged: bool,
    /// One bit for each of [`FLAGS`].
    flags: u16,
    /// The index of the membership source in [`Review::sources`].
    source: u8,
}

/// The criterion by which the rows of a review are split into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitBy {
    /// One file for each group.
    Group,
    /// One file for each department.
    Department,
    /// One file for each manager.
    Manager,
}

/// A review, ready to be written.
pub struct Review {
    /// The users and groups.
    pub org: Org,
    /// The memberships, in the order of the sheet.
    pub items: Vec<ReviewItem>,
    history: History,
    sources: Vec<String>,
    /// For each user, the values of [`Self::attribute_names`].
    attributes: Vec<Box<[String]>>,
    attribute_names: Vec<String>,
    group_members: Vec<u64>,
    user_groups: Vec<u64>,
    /// The number of users in each department.
    peers: HashMap<String, u64>,
    /// The number of users of each department in each group.
    peer_members: HashMap<(GroupIndex, String), u64>,
}

impl Review {
    /// Reads a snapshot, and selects and sorts its memberships.
    ///
    /// # Errors
    /// Returns an error if the snapshot is damaged.
    pub fn read(reader: &Reader, options: &ReviewOptions, history: History) -> Result<Self, Error> {
        let org = Org::read(reader)?;
        let attribute_names: Vec<String> = ATTRIBUTES
            .iter()
            .map(|name| (*name).to_owned())
            .chain(options.attributes.iter().cloned())
            .collect();
        let mut review = Self {
            items: Vec::new(),
            history,
            sources: Vec::new(),
            attributes: attributes(reader, &attribute_names)?,
            attribute_names,
            group_members: vec![0; org.groups.len()],
            user_groups: vec![0; org.users.len()],
            peers: HashMap::new(),
            peer_members: HashMap::new(),
            org,
        };
        review.add_members(reader, options)?;
        let flags = Flags::of(&review.org, &review.history, options);
        for item in &mut review.items {
            item.flags = flags.of_member(item);
        }
        if options.only_flagged {
            review.items.retain(|item| item.flags != 0);
        }
        if let Some((older, _)) = review.history.older.as_ref().filter(|_| options.only_new) {
            let org = &review.org;
            let is_new = |item: &ReviewItem| !older.contains(&org.ids((item.group, item.user)));
            review.items.retain(is_new);
        }
        review.sort();
        Ok(review)
    }

    fn add_members(&mut self, reader: &Reader, options: &ReviewOptions) -> Result<(), Error> {
        for user in 0..self.org.users.len() {
            let department = self.attributes[user][1].clone();
            if !department.is_empty() {
                *self.peers.entry(department).or_default() += 1;
            }
        }
        for membership in reader.memberships()?.rows()? {
            let membership = membership?;
            let group = self.org.find_group(&membership.group_id);
            let (Some(group), Some(user)) = (group, self.org.find_user(&membership.user_id)) else {
                continue;
            };
            let of_everyone = is_everyone(self.org.group(group));
            self.group_members[group.0 as usize] += 1;
            self.user_groups[user.0 as usize] += u64::from(!of_everyone);
            let department = &self.attributes[user.0 as usize][1];
            if !department.is_empty() {
                let key = (group, department.clone());
                *self.peer_members.entry(key).or_default() += 1;
            }
            if of_everyone && !options.include_everyone {
                continue;
            }
            let name = self.org.group(group).name.as_deref();
            self.items.push(ReviewItem {
                group,
                user,
                privileged: options.findings.is_privileged(name),
                flags: 0,
                source: source(&mut self.sources, membership.learned),
            });
        }
        Ok(())
    }

    fn sort(&mut self) {
        let org = &self.org;
        self.items.sort_by_cached_key(|item| {
            let (group, user) = (org.group(item.group), org.user(item.user));
            (
                (!item.privileged, item.flags == 0),
                group.display_name().to_lowercase(),
                item.group,
                user.login.as_deref().unwrap_or_default().to_lowercase(),
                item.user,
            )
        });
    }

    /// Returns the memberships of each file, by the name of its group, department or manager.
    pub fn split(&self, by: SplitBy) -> BTreeMap<String, Vec<ReviewItem>> {
        let mut files: BTreeMap<String, Vec<ReviewItem>> = BTreeMap::new();
        for item in &self.items {
            let key = match by {
                SplitBy::Group => self.org.group(item.group).display_name().to_owned(),
                SplitBy::Department => self.attribute(item.user, 1).to_owned(),
                SplitBy::Manager => self.attribute(item.user, 2).to_owned(),
            };
            files.entry(key).or_default().push(*item);
        }
        files
    }

    /// Returns an attribute of a user, by the index of its name; empty if there is none.
    pub fn attribute(&self, user: UserIndex, place: usize) -> &str {
        &self.attributes[user.0 as usize][place]
    }

    /// Returns the names of the attributes, starting with the four that every sheet contains.
    pub fn attribute_names(&self) -> &[String] {
        &self.attribute_names
    }

    /// Returns true if there was a previous review.
    pub fn has_previous(&self) -> bool {
        !self.history.previous.is_empty()
    }

    /// Returns the decision of the previous review.
    pub fn previous(&self, item: &ReviewItem) -> Option<&Previous> {
        if !self.has_previous() {
            return None;
        }
        let pair = self.org.ids((item.group, item.user));
        self.history.previous.get(&pair)
    }

    /// Returns the date of the oldest known snapshot with the membership.
    pub fn first_seen(&self, item: &ReviewItem) -> String {
        let before = self.previous(item).map(|previous| &previous.first_seen);
        if let Some(day) = before.filter(|day| !day.is_empty()) {
            return day.clone();
        }
        let older = self.history.older.as_ref().filter(|(pairs, _)| {
            let pair = self.org.ids((item.group, item.user));
            pairs.contains(&pair)
        });
        older
            .map_or(self.org.taken_on(), |(_, day)| *day)
            .to_string()
    }

    /// Returns the membership source.
    pub fn source(&self, item: &ReviewItem) -> &str {
        self.sources
            .get(usize::from(item.source))
            .map_or("", String::as_str)
    }

    /// Returns the number of members of the group.
    pub fn group_members(&self, item: &ReviewItem) -> u64 {
        self.group_members[item.group.0 as usize]
    }

    /// Returns the number of the user's groups, without Everyone.
    pub fn user_groups(&self, item: &ReviewItem) -> u64 {
        self.user_groups[item.user.0 as usize]
    }

    /// Returns the share of the user's department that is in the group; `None` if the department is too small.
    pub fn peer_share(&self, item: &ReviewItem) -> Option<f64> {
        let department = self.attribute(item.user, 1);
        let peers = *self.peers.get(department)?;
        if peers < FEWEST_PEERS {
            return None;
        }
        let key = (item.group, department.to_owned());
        let members = self.peer_members.get(&key).copied().unwrap_or_default();
        #[allow(
            clippy::cast_precision_loss,
            reason = "a share of people needs few digits"
        )]
        let share = members as f64 / peers as f64;
        Some((share * 100.0).round() / 100.0)
    }

    /// Returns the names of the flags of a membership.
    pub fn flags(item: &ReviewItem) -> Vec<&'static str> {
        let flags = FLAGS.iter().enumerate();
        let set = flags.filter(|(place, _)| item.flags & (1 << place) != 0);
        let names = set.filter_map(|(_, id)| CATALOGUE.iter().find(|entry| entry.id == *id));
        names.map(|entry| entry.name).collect()
    }

    /// Returns the number of memberships with flags and the number of privileged memberships.
    pub fn counts(&self) -> (u64, u64) {
        let count = |is: fn(&ReviewItem) -> bool| self.items.iter().filter(|item| is(item)).count();
        let flagged = count(|item| item.flags != 0);
        (flagged as u64, count(|item| item.privileged) as u64)
    }
}

fn source(sources: &mut Vec<String>, learned: Option<String>) -> u8 {
    let learned = learned.unwrap_or_default();
    let place = sources.iter().position(|known| *known == learned);
    let place = place.unwrap_or_else(|| {
        sources.push(learned);
        sources.len() - 1
    });
    // The file of another program could have more sources. The last one then stands for all others, as the column is
    // only for people.
    u8::try_from(place).unwrap_or(u8::MAX)
}

fn attributes(reader: &Reader, names: &[String]) -> Result<Vec<Box<[String]>>, Error> {
    let attribute = |name: &String| columns::TableColumn {
        name: name.clone(),
        source: columns::ColumnSource::User(columns::Field::Attribute(name.clone())),
    };
    let query = Query {
        table: Table::Users,
        columns: names.iter().map(attribute).collect(),
        filter: Filter::default(),
        limit: None,
    };
    let mut found = Vec::new();
    list(reader, &query, &mut |values| {
        found.push(values.iter().map(plain).collect());
        Ok::<_, Error>(())
    })?;
    Ok(found)
}

/// The flags of users and of memberships, one bit for each of [`FLAGS`].
struct Flags {
    users: HashMap<UserIndex, u16>,
    members: HashMap<(GroupIndex, UserIndex), u16>,
}

impl Flags {
    fn of(org: &Org, history: &History, options: &ReviewOptions) -> Self {
        let mut flags = Self {
            users: HashMap::new(),
            members: HashMap::new(),
        };
        let context = FindingContext {
            older: history.older.as_ref().map(|(pairs, _)| pairs.clone()),
            revoked: None,
        };
        for (place, id) in FLAGS.iter().enumerate() {
            // One check runs at a time, because the rows of all checks could exhaust memory.
            let only = findings::FindingOptions {
                checks: [*id].into(),
                ..options.findings.clone()
            };
            let bit = 1 << place;
            for finding in findings::run(org, &context, &Exceptions::default(), &only) {
                for row in finding.rows {
                    let user = row.user_id.and_then(|id| org.find_user(&id.into()));
                    let Some(user) = user else { continue };
                    let group = row.group_id.and_then(|id| org.find_group(&id.into()));
                    *match group {
                        Some(group) => flags.members.entry((group, user)).or_default(),
                        None => flags.users.entry(user).or_default(),
                    } |= bit;
                }
            }
        }
        flags
    }

    fn of_member(&self, item: &ReviewItem) -> u16 {
        let of_user = self.users.get(&item.user).copied();
        let of_member = self.members.get(&(item.group, item.user)).copied();
        of_user.unwrap_or_default() | of_member.unwrap_or_default()
    }
}
