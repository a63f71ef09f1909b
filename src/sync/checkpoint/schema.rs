//! The tables of a checkpoint. Only this program reads them, and it does not resume a checkpoint of another version, so they
//! can change at any time.

use crate::snapshot::columns::SCHEMA_VERSION;

/// The version of the tables, stored as SQLite's `user_version`. It includes the version of the snapshot's tables, because
/// users in an older checkpoint lack the values of newer columns.
pub(super) const VERSION: i64 = 6 + SCHEMA_VERSION as i64;

/// The tables. Other files of this module decode `select *`, so the order of the columns matters. The fields of a user are
/// stored as one value without their names, except for those that queries use: a new field needs no new column, but a new
/// version.
pub(super) const SCHEMA: &str = "
create table run (resume_key text not null, started_at integer not null, began_at integer not null,
  saved_at integer not null, interruptions integer not null default 0, requests integer not null default 0,
  retries integer not null default 0, waits integer not null default 0, waited real not null default 0,
  users_listed_by text, both_ends_tried integer not null default 0, strategy text, any_user_visible integer,
  deprovisioned_in_everyone integer, token_owner text);
create table listings (id integer primary key, kind text not null, object integer, subject text, cursor text,
  reached text, done integer not null default 0);
create table pages (listing integer not null, keys blob not null);
create table out_of_scope_members (keys blob not null);
create table warnings (code text not null, kind text not null, object_id text, message text not null);
create table users (local_id integer primary key, id text not null, status text, last_updated integer,
  fields blob not null, profile text not null, matched_by text, from_listing integer not null,
  in_listing integer not null, deleted integer not null default 0);
create table groups (local_id integer primary key, id text not null, type text, source_id text, created integer,
  last_updated integer, last_membership_updated integer, members_reported integer, profile text not null,
  in_scope integer not null, from_listing integer not null, in_listing integer not null, membership_source text,
  members_listed integer, deleted integer not null default 0);
create table memberships (owner integer not null, others blob not null);
";
