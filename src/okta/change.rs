//! Changes memberships, one at a time. Only this file sends a PUT or a DELETE.

use super::http::Error;
use super::http::{ChangeResponse, Client, MembershipOp};
use super::read::path;
use crate::model::{GroupId, UserId};

/// Adds a user to a group, or removes the user from it.
///
/// # Errors
/// See [`Error`]. After an error, nothing was changed.
pub fn membership(
    client: &Client,
    change: MembershipOp,
    group: &GroupId,
    user: &UserId,
) -> Result<ChangeResponse, Error> {
    let target = path(&["groups", group.as_str(), "users", user.as_str()]);
    let target = target.ok_or_else(|| Error::Setup("an id is empty".to_owned()))?;
    client.change(change, &target)
}
