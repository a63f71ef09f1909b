//! What is changed: memberships, one at a time. The only file that sends a PUT or a DELETE.

use super::http::Error;
use super::http::{ChangeResponse, Client, MembershipOp};
use super::read::path;
use crate::model::{GroupId, UserId};

/// Makes a user a member of a group, or no member any more.
///
/// # Errors
/// See [`Error`]; then nothing was changed.
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
