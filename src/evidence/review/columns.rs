//! The columns of a review sheet, in order, and the values of a row.

use serde_json::{Number, Value};

use super::plan::{Review, ReviewItem};
use crate::sheet::row_check::{Checked, RowPosition};
use crate::snapshot::rfc3339;

/// The type of a column's values, which decides how a sheet shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A text that a person wrote, which a spreadsheet must not interpret as anything else.
    Text,
    /// A word, an id or a check sum from okta-ciam or Okta.
    Exact,
    /// A number.
    Number,
    /// A fraction from 0 to 1, shown as a percentage.
    Share,
    /// A time or a date.
    Date,
    /// A cell that the reviewer fills in.
    Input,
}

/// A column of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetColumn {
    /// The title.
    pub name: String,
    /// The type of the values.
    pub kind: ColumnKind,
    /// True if a workbook hides the column because reviewers do not need it.
    pub hidden: bool,
    /// The width in a workbook, in characters.
    pub width: u16,
}

impl SheetColumn {
    fn new(name: &str, kind: ColumnKind, width: u16) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            hidden: false,
            width,
        }
    }

    fn hidden(name: &str, kind: ColumnKind) -> Self {
        Self {
            hidden: true,
            ..Self::new(name, kind, 24)
        }
    }
}

/// Returns the columns of a sheet. The columns for `more_attributes` follow those that every sheet has. A workbook
/// hides the columns that identify a row, those that most reviewers do not need, and, without a previous review, the
/// columns about it.
pub fn columns(more_attributes: &[String], has_previous: bool) -> Vec<SheetColumn> {
    use ColumnKind::{Date, Exact, Input, Number, Share, Text};
    let previous = |name: &str, kind, width| SheetColumn {
        hidden: !has_previous,
        ..SheetColumn::new(name, kind, width)
    };
    let mut columns = vec![
        SheetColumn::hidden("review_id", Exact),
        SheetColumn::new("group_name", Text, 26),
        SheetColumn::hidden("group_id", Exact),
        SheetColumn::hidden("group_type", Exact),
        SheetColumn::new("group_description", Text, 32),
        SheetColumn::new("privileged", Exact, 11),
        SheetColumn::new("user_name", Text, 24),
        SheetColumn::new("user_login", Text, 30),
        SheetColumn::hidden("user_email", Text),
        SheetColumn::hidden("user_id", Exact),
        SheetColumn::new("user_status", Exact, 16),
        SheetColumn::hidden("matched_by", Exact),
        SheetColumn::new("title", Text, 20),
        SheetColumn::new("department", Text, 20),
        SheetColumn::new("manager", Text, 20),
        SheetColumn::hidden("user_type", Text),
    ];
    let attribute = |name: &String| SheetColumn::new(&format!("profile.{name}"), Text, 20);
    columns.extend(more_attributes.iter().map(attribute));
    columns.extend([
        SheetColumn::hidden("created", Date),
        SheetColumn::new("last_login", Date, 17),
        SheetColumn::new("days_since_login", Number, 16),
        SheetColumn::hidden("source", Exact),
        SheetColumn::new("first_seen", Date, 12),
        SheetColumn::new("group_members", Number, 15),
        SheetColumn::new("user_groups", Number, 12),
        SheetColumn::new("peer_share", Share, 11),
        SheetColumn::new("flags", Exact, 30),
        previous("previous_decision", Exact, 18),
        previous("previous_reviewer", Text, 24),
        previous("previous_date", Text, 18),
        SheetColumn::new("reviewer", Input, 24),
        SheetColumn::new("decision", Input, 13),
        SheetColumn::new("comment", Input, 32),
        SheetColumn::new("decided_at", Input, 17),
        SheetColumn::hidden("org", Exact),
        SheetColumn::hidden("sync_id", Exact),
        SheetColumn::hidden("row_check", Exact),
    ]);
    columns
}

/// The org and the snapshot of a review, which each row contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The URL of the org, as `https://host`; empty if the snapshot does not contain it.
    pub org: String,
    /// The id of the run that wrote the snapshot.
    pub sync_id: String,
}

/// Returns the values of a row, in the order of [`columns`].
pub fn values(
    review: &Review,
    origin: &Origin,
    item: &ReviewItem,
    position: RowPosition,
) -> Vec<Value> {
    let (group, user) = (review.org.group(item.group), review.org.user(item.user));
    let review_id = format!("group:{}:member:user:{}", group.id, user.id);
    let name = user.display_name();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (group_name, login, email) = (text(&group.name), text(&user.login), text(&user.email));
    let row_check = Checked {
        org: &origin.org,
        sync_id: &origin.sync_id,
        review_id: &review_id,
        group_id: group.id.as_str(),
        group_name: &group_name,
        user_id: user.id.as_str(),
        user_login: &login,
        user_email: &email,
        user_name: &name,
    }
    .row_check(position);
    let mut values: Vec<Value> = vec![
        review_id.into(),
        group_name.into(),
        group.id.as_str().into(),
        group.kind.clone().into(),
        group.description.clone().into(),
        if item.privileged { "yes" } else { "" }.into(),
        name.into(),
        login.into(),
        email.into(),
        user.id.as_str().into(),
        user.status.clone().into(),
        user.matched_by.clone().into(),
    ];
    let attributes = 0..review.attribute_names().len();
    values.extend(attributes.map(|place| review.attribute(item.user, place).into()));
    let days = user.last_login.map(|time| review.org.days_since(time));
    let share = review.peer_share(item).and_then(Number::from_f64);
    let previous = review.previous(item).cloned().unwrap_or_default();
    values.extend([
        user.created.map(rfc3339).into(),
        user.last_login.map(rfc3339).into(),
        days.into(),
        review.source(item).into(),
        review.first_seen(item).into(),
        review.group_members(item).into(),
        review.user_groups(item).into(),
        share.map_or(Value::Null, Value::Number),
        Review::flags(item).join(" ").into(),
        previous.decision.word().into(),
        previous.reviewer.into(),
        previous.decided_at.into(),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        origin.org.as_str().into(),
        origin.sync_id.as_str().into(),
        row_check.into(),
    ]);
    values
}
