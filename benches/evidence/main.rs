//! Measures the commands on snapshots: `cargo bench --bench evidence`. Each command runs five times in a process of its
//! own, and medians are printed.
//!
//! `diff` compares 1,000,000 memberships per snapshot, of which 1 % changed, in plain SQLite files; SQLite's `sqldiff`
//! compares the same rows if it is installed. `show users --like` searches 100,000 users, `export` writes 300,000
//! memberships, `report` renders a page with 50,000 users and 300,000 memberships, and `review` writes and reads sheets
//! with 300,000 rows. `-- write FOLDER` only writes the snapshots. `-- NAME` runs the cases whose names start with
//! NAME.

#![allow(clippy::print_stdout, reason = "the result")]
#![allow(missing_docs, reason = "a program")]

#[path = "../sync/measure.rs"]
mod measure;
mod people;

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use okta_ciam::testing::filter::MatchedBy;
use okta_ciam::testing::model::{Group, GroupId, MembershipSource, Profile, User, UserId};
use okta_ciam::testing::snapshot::{GroupMembers, RunHeader, RunMetadata, Writer};

const TIMES: usize = 5;
const USERS: u32 = 100_000;
const GROUPS: u32 = 2_000;
/// The number of members of each group.
const MEMBERS: u32 = 500;
/// The number of members of each group in the exported snapshot.
const FEW_MEMBERS: u32 = 150;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == "__measure"
    {
        return measure::measure(rest);
    }
    if let [first, folder] = &arguments[..]
        && first == "write"
    {
        return write_all(Path::new(folder));
    }
    let arguments = arguments.iter().filter(|word| !word.starts_with("--"));
    let chosen: Vec<&String> = arguments.collect();
    let wanted =
        |name: &str| chosen.is_empty() || chosen.iter().any(|word| name.starts_with(*word));
    let folder = tempfile::tempdir()?;
    write_all(folder.path())?;
    let program = env!("CARGO_BIN_EXE_okta-ciam");
    let file = |name: &str| folder.path().join(name);
    if wanted("show") {
        let new = file("new.db");
        let find = ["show", "-f", text(&new)?, "users", "--like", "user.77"];
        case("show users --like", program, &find)?;
    }
    if wanted("export") {
        export(program, folder.path())?;
    }
    if wanted("report") {
        let (people, out) = (file("people.db"), file("report.html"));
        let report = ["report", "-f", text(&people)?, "-o", text(&out)?];
        case("report", program, &report)?;
        println!("report.html: {} bytes", std::fs::metadata(&out)?.len());
    }
    if wanted("review") {
        review(program, folder.path())?;
    }
    if wanted("diff") {
        diff(program, folder.path())?;
    }
    Ok(())
}

/// Measures exporting 300,000 memberships, as a workbook and as CSV.
fn export(program: &str, folder: &Path) -> anyhow::Result<()> {
    for format in ["xlsx", "csv"] {
        let small = folder.join("small.db");
        let out = folder.join(format!("out-{format}"));
        let (small, out) = (text(&small)?, text(&out)?);
        let export = ["export", "-f", small, "--format", format, "-o", out];
        case(&format!("export --format {format}"), program, &export)?;
    }
    Ok(())
}

/// Measures comparing two snapshots, with `diff` and with `sqldiff`.
fn diff(program: &str, folder: &Path) -> anyhow::Result<()> {
    let (old, new) = (folder.join("old.db"), folder.join("new.db"));
    let (old, new) = (text(&old)?, text(&new)?);
    case("diff", program, &["diff", old, new, "--exit-zero"])?;
    // `v1_grants` is a table; sqldiff does not compare the view that joins the tables.
    let table = [
        "--primarykey",
        "--summary",
        "--table",
        "v1_grants",
        old,
        new,
    ];
    if std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join("sqldiff").exists())
    {
        case("sqldiff, memberships only", "sqldiff", &table)?;
    } else {
        println!("sqldiff, memberships only: not installed");
    }
    Ok(())
}

fn write_all(folder: &Path) -> anyhow::Result<()> {
    write(&folder.join("old.db"), false, MEMBERS)?;
    write(&folder.join("new.db"), true, MEMBERS)?;
    write(&folder.join("small.db"), false, FEW_MEMBERS)?;
    people::write(&folder.join("people.db"))
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path is not UTF-8")
}

/// Measures writing and reading sheets with 300,000 rows, as a workbook and as CSV.
fn review(program: &str, folder: &Path) -> anyhow::Result<()> {
    for format in ["xlsx", "csv"] {
        let snapshot = folder.join("small.db");
        let sheet = folder.join(format!("sheet.{format}"));
        let (snapshot, sheet) = (text(&snapshot)?, text(&sheet)?);
        // The sheet is removed first, because `review start` does not replace it.
        let start = format!("rm -f {sheet}; {program} review start -f {snapshot} -o {sheet}");
        case(
            &format!("review start {format}"),
            "/bin/sh",
            &["-c", &start],
        )?;
        // The sheet has no decisions, so `review status` exits with 1.
        let status = format!("{program} review status {sheet} || test $? = 1");
        case(
            &format!("review status {format}"),
            "/bin/sh",
            &["-c", &status],
        )?;
    }
    Ok(())
}

fn case(name: &str, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut runs = Vec::new();
    for _ in 0..TIMES {
        runs.push(measure::run(program, arguments, &[("PATH", &path)])?);
    }
    let median = |value: fn(&measure::Measured) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[TIMES / 2]
    };
    println!(
        "{name}: {:.2} s, {:.2} s of processor time, {:.1} MB",
        median(|run| run.wall),
        median(|run| run.processor),
        median(|run| run.peak as f64 / 1e6)
    );
    Ok(())
}

/// Writes a snapshot. If `changed` is true, one in a hundred members of each group is replaced by another user.
fn write(path: &Path, changed: bool, members: u32) -> anyhow::Result<()> {
    let run = RunHeader {
        sync_id: "3MgMxLrNoNKUhULjIFekjnjH02n".to_owned(),
        started_at: Timestamp::UNIX_EPOCH,
    };
    let user_id = |number: u32| UserId::from(format!("00u{number:017}").as_str());
    let mut writer = Writer::create(path, &run)?;
    for number in 0..USERS {
        let mut profile = Profile::new();
        for (name, value) in [
            ("login", format!("user.{number}@example.com")),
            ("email", format!("user.{number}@example.com")),
            ("firstName", format!("First {number}")),
            ("lastName", format!("Last {}", number % 977)),
            ("department", format!("Department {}", number % 31)),
        ] {
            profile.insert(name.to_owned(), value.into());
        }
        let user = User {
            status: Some("ACTIVE".to_owned()),
            profile,
            ..User::new(user_id(number))
        };
        writer.user(&user, MatchedBy::Email)?;
    }
    for number in 0..GROUPS {
        let mut profile = Profile::new();
        profile.insert("name".to_owned(), format!("Group {number}").into());
        let group = Group {
            id: GroupId::from(format!("00g{number:017}").as_str()),
            kind: Some("OKTA_GROUP".to_owned()),
            source_id: None,
            created: None,
            last_updated: None,
            last_membership_updated: None,
            members_reported: Some(u64::from(members)),
            has_admin_privilege: Some(false),
            profile,
        };
        let count = Some(u64::from(members));
        let read = GroupMembers {
            source: MembershipSource::Listed,
            listed: count,
            stored: count,
        };
        writer.group(&group, &read)?;
        let step = USERS / members;
        let members = (0..members).map(|place| {
            let shift = u32::from(changed && place % 100 == 0);
            user_id(place * step + number % (step - 1) + shift)
        });
        writer.memberships(&group.id, members.collect::<Vec<_>>().iter())?;
    }
    let metadata = RunMetadata {
        sync_id: run.sync_id,
        ..RunMetadata::default()
    };
    writer.finish(&metadata, &[], &[])?;
    Ok(())
}
