//! Reads the rows of a listing from a snapshot.

use std::collections::HashMap;

use serde_json::Value;

use super::Table;
use super::columns::{ColumnSource, Field, TableColumn, is_empty, values};
use super::filter::Filter;
use crate::model::{GroupId, UserId};
use crate::snapshot::{Error, GroupRow, MembershipRow, Reader, UserRow};

/// The table, columns and rows to list.
#[derive(Clone, Debug)]
pub struct Query {
    /// The table.
    pub table: Table,
    /// The columns, in the order of the output.
    pub columns: Vec<TableColumn>,
    /// The conditions on rows.
    pub filter: Filter,
    /// The largest number of rows to list.
    pub limit: Option<u64>,
}

/// The numbers of rows of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The rows of the table.
    pub all: u64,
    /// The rows that meet the conditions.
    pub matching: u64,
    /// The listed rows; fewer than the matching ones if there is a limit.
    pub listed: u64,
    /// Attributes without a value in any listed row; possibly mistyped names.
    pub empty_attributes: Vec<String>,
}

/// Lists rows: calls `row` with one value for each column.
///
/// # Errors
/// Returns an error if the snapshot is damaged, and the first error of `row`.
pub fn list<E: From<Error>>(
    reader: &Reader,
    query: &Query,
    row: &mut dyn FnMut(&[Value]) -> Result<(), E>,
) -> Result<Listed, E> {
    let mut listing = Listing {
        query,
        counts: Listed::default(),
        filled: vec![false; query.columns.len()],
        row,
    };
    match query.table {
        Table::Users => users(reader, &mut listing)?,
        Table::Groups => groups(reader, &mut listing)?,
        Table::Memberships => memberships(reader, &mut listing)?,
    }
    Ok(listing.end())
}

struct Listing<'a, E> {
    query: &'a Query,
    counts: Listed,
    /// For each column, true if a row had a value.
    filled: Vec<bool>,
    row: &'a mut dyn FnMut(&[Value]) -> Result<(), E>,
}

impl<E: From<Error>> Listing<'_, E> {
    /// Counts a row of the table, and returns true if it is to be listed.
    fn takes(&mut self, matches: bool) -> bool {
        self.counts.all += 1;
        self.counts.matching += u64::from(matches);
        let limit = self.query.limit;
        matches && limit.is_none_or(|limit| self.counts.listed < limit)
    }

    fn add(&mut self, values: &[Value]) -> Result<(), E> {
        self.counts.listed += 1;
        for (filled, value) in self.filled.iter_mut().zip(values) {
            *filled |= !is_empty(value);
        }
        (self.row)(values)
    }

    fn end(mut self) -> Listed {
        let columns = self.query.columns.iter().zip(&self.filled);
        let empty = columns.filter(|(column, filled)| {
            let field = match &column.source {
                ColumnSource::User(field) | ColumnSource::Group(field) => field,
                _ => return false,
            };
            matches!(field, Field::Attribute(_)) && !**filled
        });
        if self.counts.listed > 0 {
            self.counts.empty_attributes = empty.map(|(column, _)| column.name.clone()).collect();
        }
        self.counts
    }

    /// Returns the fields of the columns that have one, with the indices of these columns.
    fn fields(&self, of: fn(&ColumnSource) -> Option<&Field>) -> (Vec<usize>, Vec<Field>) {
        let columns = self.query.columns.iter().enumerate();
        let fields =
            columns.filter_map(|(place, column)| Some((place, of(&column.source)?.clone())));
        fields.unzip()
    }
}

fn user_field(source: &ColumnSource) -> Option<&Field> {
    match source {
        ColumnSource::User(field) => Some(field),
        _ => None,
    }
}

fn group_field(source: &ColumnSource) -> Option<&Field> {
    match source {
        ColumnSource::Group(field) => Some(field),
        _ => None,
    }
}

fn users<E: From<Error>>(reader: &Reader, listing: &mut Listing<'_, E>) -> Result<(), E> {
    let (_, fields) = listing.fields(user_field);
    for user in reader.users()?.rows()? {
        let user = user?;
        if listing.takes(listing.query.filter.keeps_user(&user)) {
            let values = user_values(&user, &fields);
            listing.add(&values)?;
        }
    }
    Ok(())
}

fn groups<E: From<Error>>(reader: &Reader, listing: &mut Listing<'_, E>) -> Result<(), E> {
    let (_, fields) = listing.fields(group_field);
    for group in reader.groups()?.rows()? {
        let group = group?;
        if listing.takes(listing.query.filter.keeps_group(&group)) {
            let values = group_values(&group, &fields);
            listing.add(&values)?;
        }
    }
    Ok(())
}

fn user_values(user: &UserRow, fields: &[Field]) -> Vec<Value> {
    values(user, || user.display_name(), fields)
}

fn group_values(group: &GroupRow, fields: &[Field]) -> Vec<Value> {
    values(group, || group.display_name().to_owned(), fields)
}

/// The values of a user or a group for its memberships.
struct Side {
    /// True if it meets all conditions except the text.
    selected: bool,
    /// True if it contains the text.
    like: bool,
    values: Box<[Value]>,
}

fn memberships<E: From<Error>>(reader: &Reader, listing: &mut Listing<'_, E>) -> Result<(), E> {
    let filter = &listing.query.filter;
    let (user_places, user_fields) = listing.fields(user_field);
    let (group_places, group_fields) = listing.fields(group_field);
    let mut users: HashMap<UserId, Side> = HashMap::new();
    for user in reader.users()?.rows()? {
        let user = user?;
        let selected = filter.selects_user(&user);
        let side = Side {
            selected,
            like: selected && filter.user_is_like(&user),
            // The values of rows that are not selected are never printed.
            values: if selected {
                user_values(&user, &user_fields).into()
            } else {
                Box::default()
            },
        };
        users.insert(user.id, side);
    }
    let mut groups: HashMap<GroupId, Side> = HashMap::new();
    for group in reader.groups()?.rows()? {
        let group = group?;
        let side = Side {
            selected: filter.selects_group(&group),
            like: filter.group_is_like(&group),
            values: group_values(&group, &group_fields).into(),
        };
        groups.insert(group.id, side);
    }
    let mut values = vec![Value::Null; listing.query.columns.len()];
    for membership in reader.memberships()?.rows()? {
        let membership = membership?;
        let sides = (
            users.get(&membership.user_id),
            groups.get(&membership.group_id),
        );
        let (Some(user), Some(group)) = sides else {
            continue;
        };
        let matches = user.selected && group.selected && (user.like || group.like);
        if !listing.takes(matches) {
            continue;
        }
        for (places, side) in [(&user_places, user), (&group_places, group)] {
            for (place, value) in places.iter().zip(&side.values) {
                values[*place] = value.clone();
            }
        }
        own_values(&listing.query.columns, &membership, &mut values);
        listing.add(&values)?;
    }
    Ok(())
}

/// Sets the columns that do not come from the user or the group.
fn own_values(columns: &[TableColumn], membership: &MembershipRow, values: &mut [Value]) {
    for (column, value) in columns.iter().zip(values) {
        match column.source {
            ColumnSource::GrantId => *value = membership.grant_id().into(),
            ColumnSource::Learned => *value = membership.learned.clone().into(),
            ColumnSource::User(_) | ColumnSource::Group(_) => {}
        }
    }
}
