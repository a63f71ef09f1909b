"""Creates the initial inputs for fuzzing: small databases, links, scopes and lists. Needs only Python 3."""

import os
import sqlite3
import tempfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def seed(target, name, content):
    folder = os.path.join(HERE, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)


def database(sql, page_size=512):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.db")
        db = sqlite3.connect(path)
        db.executescript(f"pragma page_size = {page_size}; {sql}")
        db.commit()
        db.close()
        with open(path, "rb") as file:
            return file.read()


def field(tag, content):
    return bytes([tag, len(content)]) + content


USER = field(0x1A, b"Ada") + field(
    0x22,
    field(0x0A, b"c1.connector.v2.UserTrait")
    + field(
        0x12,
        field(0x0A, field(0x0A, b"ada@example.com") + b"\x10\x01")
        + field(0x12, b"\x08\x01" + field(0x12, b"ACTIVE"))
        + field(0x1A, field(0x0A, field(0x0A, b"n") + field(0x12, b"\x11" + bytes(8)))),
    ),
)
BATON = f"""
create table v1_sync_runs (id integer primary key, sync_id text, started_at datetime, ended_at datetime, sync_type text);
insert into v1_sync_runs values (1, 'r', '2026-01-01 00:00:00', '2026-01-01 00:00:01', 'full');
create table v1_resources (id integer primary key, resource_type_id text, external_id text, data blob, sync_id text);
create unique index u on v1_resources (external_id, sync_id);
insert into v1_resources values (1, 'user', 'user:00u1', x'{USER.hex()}', 'r'), (2, 'group', 'group:00g1', x'1a045465616d', 'r'),
    (3, 'role', 'role:A', x'', 'r');
create table v1_entitlements (id integer primary key, external_id text, sync_id text);
insert into v1_entitlements values (1, 'group:00g1:member', 'r');
create table v1_grants (id integer primary key, resource_type_id text, resource_id text, principal_resource_type_id text,
    principal_resource_id text, sync_id text);
insert into v1_grants values (1, 'group', '00g1', 'user', '00u1', 'r'), (2, 'group', '00g1', 'user', '00u2', 'r');
"""
FACTS = (
    "sync_id origin email_domains skip_secondary_emails group_name_filter command tool_version started_at ended_at "
    "complete strategy memberships_by users_listed_by users_seen users_kept groups_seen groups_kept memberships_kept "
    "memberships_seen users_only_as_members groups_only_from_users users_vanished groups_vanished everyone_reported "
    "users_not_deprovisioned requests retries waits waited_seconds interruptions clock_skew_seconds allow_partial "
    "allow_empty schema_version"
).split()
TEXT = {"origin", "email_domains", "command", "tool_version", "strategy", "memberships_by", "users_listed_by"}


def fact(name):
    if name == "sync_id":
        return "'r'"
    if name.endswith("_at"):
        return "'2026-01-01T00:00:00.000Z'"
    if name == "waited_seconds":
        return "0.5"
    return "'x'" if name in TEXT else "1" if name == "schema_version" else "null" if name == "group_name_filter" else "0"


OURS = BATON + f"""
create table users (id text primary key, status text, login text, email text, created text, activated text,
    status_changed text, last_login text, last_updated text, password_changed text, matched_by text, profile text);
insert into users values ('00u1', 'ACTIVE', 'ada@example.com', 'ada@example.com', '2026-01-01T00:00:00.000Z', null, null,
    null, null, null, 'email', '{{"login":"ada@example.com","a":[1,{{"b":null}}]}}');
create table groups (id text primary key, name text, type text, source_id text, created text, last_updated text,
    last_membership_updated text, members_reported integer, members_seen integer, members_kept integer, learned text,
    profile text);
insert into groups values ('00g1', 'Team', 'OKTA_GROUP', null, null, null, null, 1, 1, 1, 'listed', '{{"name":"Team"}}');
create table warnings (code text, kind text, object_id text, message text);
insert into warnings values ('a', 'group', '00g1', 'b');
create table snapshot ({", ".join(FACTS)});
insert into snapshot values ({", ".join(map(fact, FACTS))});
"""
for name, sql in (("baton", BATON), ("ours", OURS)):
    plain = database(sql)
    for how in (b"\0", b"\1"):
        seed("c1z", f"{name}-{how[0]}", how + plain)
seed("c1z", "ours-utf16", b"\0" + database("pragma encoding = 'UTF-16le';" + OURS, 1024))

ORIGIN = "https://company.okta.com/api/v1/users"
seed("link", "next", f'<{ORIGIN}?limit=200>; rel="self"\n<{ORIGIN}?after=x&limit=200>; rel="next"'.encode())
seed("link", "joined", f'<{ORIGIN}>; rel="self", </api/v1/users?a=b>; title="a, b"; rel=next'.encode())
seed("link", "other", b'<//evil.example/api/v1/users>; rel="prev next"')

seed("filter", "domain", "example.com\nvpn\nada@EXAMPLE.com\nVPN users".encode())
seed("filter", "stars", "*.bücher.example\nΣ\nada@x.BÜCHER.example\nΟΔΟΣ".encode())

seed("csv", "list", b'user,group\na@example.com,"Team, A"\n\nb,c\n')
seed("csv", "sheet", b"\xef\xbb\xbfUser , group,decision\r\na,g,revoke\r\nb,g,keep\r\nc,g,\r\n")
seed("csv", "grant", b"group:00g1:member:user:00u1")
