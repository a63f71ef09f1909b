//! All SQL that creates a snapshot's tables and fills them.

use super::columns::{DomainUsers, GroupRow, TableRow, UserRow, Warning};
use super::metadata::RunMetadata;

/// The tables of Baton's v1 format, as its SDK 0.7.27 creates them.
pub const BATON_TABLES: &str = "
create table v1_resource_types (
    id integer primary key,
    external_id text not null,
    data blob not null,
    sync_id text not null,
    discovered_at datetime not null
);
create table v1_resources (
    id integer primary key,
    resource_type_id text not null,
    external_id text not null,
    parent_resource_type_id text,
    parent_resource_id text,
    data blob not null,
    sync_id text not null,
    discovered_at datetime not null
);
create table v1_entitlements (
    id integer primary key,
    resource_type_id text not null,
    resource_id text not null,
    external_id text not null,
    data blob not null,
    sync_id text not null,
    discovered_at datetime not null
);
create table v1_sync_runs (
    id integer primary key,
    sync_id text not null,
    started_at datetime not null,
    ended_at datetime,
    sync_token text not null,
    sync_type text not null default 'full',
    parent_sync_id text not null default '',
    linked_sync_id text not null default '',
    supports_diff integer not null default 0
);
create table v1_grants (
    id integer primary key,
    resource_type_id text not null,
    resource_id text not null,
    entitlement_id text not null,
    principal_resource_type_id text not null,
    principal_resource_id text not null,
    external_id text not null,
    expansion blob,
    needs_expansion integer not null default 0,
    data blob not null,
    sync_id text not null,
    discovered_at datetime not null
);
create table v1_assets (
    id integer primary key,
    external_id text not null,
    content_type text not null,
    data blob not null,
    sync_id text not null,
    discovered_at datetime not null
);
create table v1_connector_sessions (
    id integer primary key,
    sync_id text not null,
    key text not null,
    value blob not null
);
";

/// The indexes of Baton's v1 format that contain none of our rows. They are created before the rows: afterwards, creating
/// each would read all grants.
pub const EMPTY_INDEXES: &str = "
create index idx_grants_sync_expansion_v1 on v1_grants (sync_id) where expansion is not null;
create index idx_grants_sync_needs_expansion_v1 on v1_grants (sync_id) where needs_expansion = 1;
";

/// The other indexes of Baton's v1 format, created after the rows. Baton itself swapped the names of two of them.
pub const BATON_INDEXES: &str = "
create unique index idx_resource_types_external_sync_v1 on v1_resource_types (external_id, sync_id);
create index idx_resources_resource_type_id_v1 on v1_resources (resource_type_id);
create index idx_resources_external_sync_v1 on v1_resources (parent_resource_type_id, parent_resource_id);
create unique index idx_resources_parent_resource_id_v1 on v1_resources (external_id, sync_id);
create index idx_entitlements_resource_id_v1 on v1_entitlements (resource_type_id, resource_id);
create unique index idx_entitlements_external_sync_v1 on v1_entitlements (external_id, sync_id);
create unique index idx_sync_runs_sync_id_v1 on v1_sync_runs (sync_id);
create index idx_grants_resource_type_id_resource_id_v1 on v1_grants (resource_type_id, resource_id);
create index idx_grants_principal_id_v1 on v1_grants (principal_resource_type_id, principal_resource_id);
create index idx_grants_entitlement_id_principal_id_v1
    on v1_grants (entitlement_id, principal_resource_type_id, principal_resource_id);
create unique index idx_grants_external_sync_v1 on v1_grants (external_id, sync_id);
create unique index idx_assets_external_sync_v1 on v1_assets (external_id, sync_id);
create unique index idx_session_store_sync_key_v1 on v1_connector_sessions (sync_id, key);
";

/// Returns the SQL of the tables for people and SQL tools.
pub fn plain_tables() -> String {
    [
        create_table::<UserRow>(),
        create_table::<GroupRow>(),
        create_table::<DomainUsers>(),
        create_table::<Warning>(),
        create_table::<RunMetadata>(),
    ]
    .concat()
}

/// Returns the SQL that creates a table.
pub fn create_table<T: TableRow>() -> String {
    let columns: Vec<String> = T::COLUMNS
        .iter()
        .map(|column| format!("    {column}"))
        .collect();
    format!("create table {} (\n{}\n);\n", T::NAME, columns.join(",\n"))
}

/// Returns the SQL that inserts a row, given the values of all columns.
pub fn insert_into<T: TableRow>() -> String {
    let marks = vec!["?"; T::COLUMNS.len()].join(", ");
    format!("insert into {} values ({marks})", T::NAME)
}

/// The view that shows grants as memberships: a membership is stored only once, as a grant.
pub const VIEWS: &str = "
create view memberships as
    select g.principal_resource_id as user_id, g.resource_id as group_id, groups.learned as learned
    from v1_grants g join groups on groups.id = g.resource_id
    where g.resource_type_id = 'group' and g.principal_resource_type_id = 'user'
        and g.sync_id = (select sync_id from snapshot);
";

pub const INSERT_RESOURCE_TYPE: &str = "insert into v1_resource_types (external_id, data, sync_id, discovered_at) values (?1, ?2, ?3, ?4)";

pub const INSERT_RESOURCE: &str =
    "insert into v1_resources (resource_type_id, external_id, data, sync_id, discovered_at)
    values (?1, ?2, ?3, ?4, ?5)";

pub const INSERT_ENTITLEMENT: &str =
    "insert into v1_entitlements (resource_type_id, resource_id, external_id, data, sync_id, discovered_at)
    values ('group', ?1, ?2, ?3, ?4, ?5)";

pub const INSERT_GRANT: &str =
    "insert into v1_grants (resource_type_id, resource_id, entitlement_id, principal_resource_type_id,
        principal_resource_id, external_id, data, sync_id, discovered_at)
    values ('group', ?1, ?2, 'user', ?3, ?4, ?5, ?6, ?7)";

pub const INSERT_RUN: &str =
    "insert into v1_sync_runs (sync_id, started_at, ended_at, sync_token, sync_type, parent_sync_id,
        linked_sync_id, supports_diff)
    values (?1, ?2, ?3, '{}', 'full', '', '', 1)";
