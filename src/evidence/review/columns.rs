//! The columns of a review sheet, in order, and the values of a row.

use serde_json::{Number, Value};

use super::plan::{Item, Review};
use crate::sheet::row_check::{Checked, Position};
use crate::snapshot::rfc3339;

/// The type of a column's values, which decides how a sheet shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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
pub struct Column {
    /// The title.
    pub name: String,
    /// The type of the values.
    pub kind: Kind,
    /// True if a workbook hides the column because reviewers do not need it.
    pub hidden: bool,
    /// The width in a workbook, in characters.
    pub width: u16,
}

impl Column {
    fn new(name: &str, kind: Kind, width: u16) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            hidden: false,
            width,
        }
    }

    fn hidden(name: &str, kind: Kind) -> Self {
        Self {
            hidden: true,
            ..Self::new(name, kind, 24)
        }
    }
}

/// Returns the columns of a sheet. The columns for `more_attributes` follow those that every sheet has. A workbook
/// hides the columns that identify a row, those that most reviewers do not need, and, without a previous review, the
/// columns about it.
pub fn columns(more_attributes: &[String], has_previous: bool) -> Vec<Column> {
    use Kind::{Date, Exact, Input, Number, Share, Text};
    let previous = |name: &str, kind, width| Column {
        hidden: !has_previous,
        ..Column::new(name, kind, width)
    };
    let mut columns = vec![
        Column::hidden("review_id", Exact),
        Column::new("group_name", Text, 26),
        Column::hidden("group_id", Exact),
        Column::hidden("group_type", Exact),
        Column::new("group_description", Text, 32),
        Column::new("privileged", Exact, 11),
        Column::new("user_name", Text, 24),
        Column::new("user_login", Text, 30),
        Column::hidden("user_email", Text),
        Column::hidden("user_id", Exact),
        Column::new("user_status", Exact, 16),
        Column::hidden("matched_by", Exact),
        Column::new("title", Text, 20),
        Column::new("department", Text, 20),
        Column::new("manager", Text, 20),
        Column::hidden("user_type", Text),
    ];
    let attribute = |name: &String| Column::new(&format!("profile.{name}"), Text, 20);
    columns.extend(more_attributes.iter().map(attribute));
    columns.extend([
        Column::hidden("created", Date),
        Column::new("last_login", Date, 17),
        Column::new("days_since_login", Number, 16),
        Column::hidden("source", Exact),
        Column::new("first_seen", Date, 12),
        Column::new("group_members", Number, 15),
        Column::new("user_groups", Number, 12),
        Column::new("peer_share", Share, 11),
        Column::new("flags", Exact, 30),
        previous("previous_decision", Exact, 18),
        previous("previous_reviewer", Text, 24),
        previous("previous_date", Text, 18),
        Column::new("reviewer", Input, 24),
        Column::new("decision", Input, 13),
        Column::new("comment", Input, 32),
        Column::new("decided_at", Input, 17),
        Column::hidden("org", Exact),
        Column::hidden("sync_id", Exact),
        Column::hidden("row_check", Exact),
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
pub fn values(review: &Review, origin: &Origin, item: &Item, position: Position) -> Vec<Value> {
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
