//! The only row of the table `snapshot`: how the snapshot was taken.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::cell::Arguments;
use super::columns::SCHEMA_VERSION;
use super::columns::table;
use super::times;

table! {
    /// The run metadata: how a snapshot was taken, and how much of the org is in scope. It has one field for each column
    /// of the table `snapshot`.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct RunMetadata = "snapshot" {
        /// The run of `v1_sync_runs` that the plain tables describe.
        sync_id: String,
        /// The org, as `https://host`.
        origin: String,
        /// The email domains of the scope, joined with commas.
        email_domains: String,
        /// True if secondary emails were ignored.
        skip_secondary_emails: bool,
        /// The text that group names had to contain.
        group_name_filter: Option<String>,
        /// `sync` or `demo`.
        command: String,
        /// The version of the program.
        tool_version: String,
        /// The commit that the program was built from, with `-dirty` appended if the source had uncommitted changes.
        tool_commit: Option<String>,
        /// The id of the token's owner; unknown if Okta does not show it.
        read_as_id: Option<String>,
        /// The login of that user.
        read_as_login: Option<String>,
        /// The user of the system that ran the program.
        os_user: Option<String>,
        /// The name of the machine.
        host: Option<String>,
        /// The name of the run from `--run-id` or the CI system.
        run_id: Option<String>,
        /// The value of `--note`.
        note: Option<String>,
        /// The options and variables that were given.
        arguments: Option<Arguments>,
        /// The start of the run.
        #[serde(serialize_with = "as_rfc3339")]
        started_at: Timestamp,
        /// The time of the last response.
        #[serde(serialize_with = "as_rfc3339")]
        ended_at: Timestamp,
        /// True if everything in scope could be read.
        complete: bool,
        /// The strategy that was used for memberships: `group` or `user`.
        strategy: String,
        /// The strategy that was requested: `auto`, `group` or `user`.
        memberships_by: String,
        /// The method that was used to list users.
        users_listed_by: String,
        /// Users that Okta listed; unknown if the search returned possible matches only.
        users_seen: Option<u64>,
        /// Users in scope.
        users_kept: u64,
        /// Groups that Okta listed.
        groups_seen: u64,
        /// Groups in scope.
        groups_kept: u64,
        /// Memberships in scope.
        memberships_kept: u64,
        /// Memberships that Okta listed.
        memberships_seen: Option<u64>,
        /// The hash of users, groups and memberships, in hexadecimal; the writer replaces any given value.
        content_sha256: Option<String>,
        /// Users in scope that were in a group's list of members, but in no list of users.
        users_only_as_members: u64,
        /// Groups in scope that were in a user's list of groups, but in no list of groups.
        groups_only_from_users: u64,
        /// Users that were deleted before their groups were requested.
        users_vanished: u64,
        /// Groups that were deleted before their members were requested.
        groups_vanished: u64,
        /// The number of members of Everyone that Okta reports.
        everyone_reported: Option<u64>,
        /// Users that Okta listed and that are not deprovisioned.
        users_not_deprovisioned: Option<u64>,
        /// True if a deprovisioned user was found in Everyone; unknown if it made no difference or if none was in
        /// scope.
        deprovisioned_in_everyone: Option<bool>,
        /// Requests sent.
        requests: u64,
        /// Requests that were retries.
        retries: u64,
        /// Waits for a rate limit.
        waits: u64,
        /// The total duration of these waits.
        waited_seconds: f64,
        /// The number of times that the run was interrupted and resumed.
        interruptions: u64,
        /// The time by which this machine's clock was ahead of Okta's.
        clock_skew_seconds: Option<i64>,
        /// True if `--allow-partial` was set.
        allow_partial: bool,
        /// True if `--allow-empty` was set.
        allow_empty: bool,
        /// The version of the plain tables; the writer replaces any given value.
        schema_version: u32,
    }
}

impl Default for RunMetadata {
    fn default() -> Self {
        Self {
            sync_id: String::new(),
            origin: String::new(),
            email_domains: String::new(),
            skip_secondary_emails: false,
            group_name_filter: None,
            command: "sync".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            tool_commit: option_env!("OKTA_CIAM_COMMIT").map(str::to_owned),
            read_as_id: None,
            read_as_login: None,
            os_user: None,
            host: None,
            run_id: None,
            note: None,
            arguments: None,
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            complete: true,
            strategy: "group".to_owned(),
            memberships_by: "auto".to_owned(),
            users_listed_by: String::new(),
            users_seen: None,
            users_kept: 0,
            groups_seen: 0,
            groups_kept: 0,
            memberships_kept: 0,
            memberships_seen: None,
            content_sha256: None,
            users_only_as_members: 0,
            groups_only_from_users: 0,
            users_vanished: 0,
            groups_vanished: 0,
            everyone_reported: None,
            users_not_deprovisioned: None,
            deprovisioned_in_everyone: None,
            requests: 0,
            retries: 0,
            waits: 0,
            waited_seconds: 0.0,
            interruptions: 0,
            clock_skew_seconds: None,
            allow_partial: false,
            allow_empty: false,
            schema_version: SCHEMA_VERSION,
        }
    }
}

fn as_rfc3339<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&times::rfc3339(*time))
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params_from_iter};

    use super::*;
    use crate::snapshot::columns::{BadValue, TableRow as _};
    use crate::snapshot::schema;

    /// Stores metadata, runs SQL that changes the table, and reads the metadata again.
    fn read_again(metadata: &RunMetadata, change: &str) -> Result<RunMetadata, BadValue> {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(&schema::create_table::<RunMetadata>())
            .unwrap();
        let values = params_from_iter(metadata.values());
        db.execute(&schema::insert_into::<RunMetadata>(), values)
            .unwrap();
        db.execute_batch(change).unwrap();
        let mut select = db.prepare("select * from snapshot").unwrap();
        let mut rows = select.query([]).unwrap();
        RunMetadata::from_row(rows.next().unwrap().unwrap(), 0)
    }

    #[test]
    fn facts_survive_their_row() {
        let metadata = RunMetadata {
            users_seen: Some(7),
            waited_seconds: 1.5,
            clock_skew_seconds: Some(-3),
            group_name_filter: Some("vpn".to_owned()),
            arguments: Some(Arguments(vec![
                "--note=a \"b\", ü".to_owned(),
                "--fresh".to_owned(),
            ])),
            ..RunMetadata::default()
        };
        assert_eq!(read_again(&metadata, ""), Ok(metadata));
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        for (change, column) in [
            (
                "update snapshot set skip_secondary_emails = 2",
                "skip_secondary_emails",
            ),
            ("update snapshot set sync_id = null", "sync_id"),
            ("update snapshot set arguments = '[1]'", "arguments"),
        ] {
            let error = read_again(&RunMetadata::default(), change).unwrap_err();
            assert_eq!(error.column, column);
        }
    }

    #[test]
    fn facts_are_printed_as_json_with_times_as_text() {
        let json = serde_json::to_value(RunMetadata::default()).unwrap();
        assert_eq!(json["started_at"], "1970-01-01T00:00:00.000Z");
        assert_eq!(json["complete"], true);
        assert!(json["users_seen"].is_null());
    }
}
