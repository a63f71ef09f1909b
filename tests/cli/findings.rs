//! Tests `findings` with snapshots of generated orgs and of the Go connector.

use std::collections::BTreeMap;

use okta_fake::{Group, Org, User};
use serde_json::Value;

use crate::support::{Folder, Okta, Ran, open, rows};

/// Returns an org with users of every status and age, some with shared addresses, in privileged and other groups.
fn org(users: u32) -> Org {
    let mut org = Org::new();
    let statuses = [
        "ACTIVE",
        "SUSPENDED",
        "DEPROVISIONED",
        "STAGED",
        "LOCKED_OUT",
        "PASSWORD_EXPIRED",
        "ACTIVE",
    ];
    for number in 0..users {
        let email = format!(
            "user.{}@example.com",
            if number % 50 == 7 { number - 1 } else { number }
        );
        let mut user = User::with_email(
            &format!("00u{number:06}"),
            &format!("user.{number}@example.com"),
        );
        user.status = statuses[number as usize % statuses.len()].into();
        let second = if number % 41 == 3 {
            format!("user.{}@example.com", number / 2)
        } else {
            String::new()
        };
        user.profile = format!(
            r#"{{"login":"user.{number}@example.com","email":"{email}","secondEmail":"{second}"}}"#
        )
        .into();
        org.add_user(user);
    }
    for (number, name) in ["team", "T-e a m", "admins", "empty", "one", "copy"]
        .iter()
        .enumerate()
    {
        org.add_group(Group::new(&format!("00g{number}"), name));
    }
    for number in 0..users {
        let user = format!("00u{number:06}");
        if number % 3 == 0 {
            assert!(org.join("00g0", &user));
            assert!(org.join("00g5", &user));
        }
        if number % 5 == 0 {
            assert!(org.join("00g1", &user));
        }
        if number % 97 == 0 {
            assert!(org.join("00g2", &user));
        }
    }
    assert!(org.join("00g4", "00u000001"));
    org
}

fn findings(folder: &Folder, arguments: &[&str]) -> Ran {
    folder
        .run(&[&["findings", "-f", "a.db"], arguments].concat())
        .end()
}

fn synced(org: Org) -> (Okta, Folder) {
    let (okta, folder) = (Okta::with(org), Folder::new());
    folder
        .sync(&okta, &["-f", "a.db", "--now", "2026-07-01T00:00:00Z"])
        .ok();
    (okta, folder)
}

/// Returns the ids in the rows of each finding.
fn by_id(report: &Value) -> BTreeMap<String, Vec<String>> {
    let findings = report["findings"].as_array().unwrap().iter();
    let ids = |finding: &Value| {
        let rows = finding["rows"].as_array().unwrap().iter();
        let id = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let mut ids: Vec<String> = rows
            .map(|row| format!("{}|{}", id(row, "group_id"), id(row, "user_id")))
            .collect();
        ids.sort();
        ids
    };
    findings
        .map(|finding| (finding["id"].as_str().unwrap().to_owned(), ids(finding)))
        .collect()
}

const IN_USE: &str = "u.status not in ('DEPROVISIONED', 'SUSPENDED', 'STAGED', 'PROVISIONED')";
/// The memberships that count, with their users and groups, as SQL.
const MEMBERS: &str = "from memberships m join users u on u.id = m.user_id join groups g on g.id = m.group_id \
     where m.learned <> 'implied'";

/// Returns the number of days from a time to the end of the run, as SQL.
fn days(column: &str) -> String {
    format!(
        "(cast(strftime('%s', (select ended_at from snapshot)) as integer) - cast(strftime('%s', {column}) as integer)) / 86400"
    )
}

fn oracle() -> Vec<(&'static str, String)> {
    let member = |condition: &str| format!("select g.id || '|' || u.id {MEMBERS} and {condition}");
    let (created, changed, login) = (
        days("u.created"),
        days("u.status_changed"),
        days("u.last_login"),
    );
    let dormant = format!("{IN_USE} and {login} > 90");
    let never = format!("{IN_USE} and u.last_login is null and {created} > 30");
    let unactivated = format!("u.status in ('STAGED', 'PROVISIONED') and {created} > 30");
    let counts =
        "(select user_id, count(*) as n from memberships where learned <> 'implied' group by 1)";
    vec![
        ("OC101", member("u.status = 'DEPROVISIONED'")),
        ("OC102", member("u.status = 'SUSPENDED'")),
        ("OC103", member(&unactivated)),
        ("OC104", member(&dormant)),
        ("OC105", member(&never)),
        ("OC106", member("u.matched_by = 'second_email'")),
        (
            "OC107",
            member(&format!(
                "g.name like '%admin%' and (u.status in ('DEPROVISIONED', 'SUSPENDED') or ({unactivated}) or ({dormant})
                    or ({never}) or u.matched_by = 'second_email')"
            )),
        ),
        (
            "OC201",
            "select '|' || u.id from users u where u.status <> 'DEPROVISIONED' and exists (select 1 from users o
                where o.id <> u.id and o.status <> 'DEPROVISIONED' and lower(o.email) = lower(u.email))"
                .to_owned(),
        ),
        (
            "OC202",
            "select '|' || u.id from users u where u.second_email <> '' and exists (select 1 from users o where o.id <> u.id
                and lower(u.second_email) in (lower(o.email), lower(o.login), lower(o.second_email)))"
                .to_owned(),
        ),
        (
            "OC203",
            format!(
                "select '|' || u.id from users u
                    where u.status in ('LOCKED_OUT', 'RECOVERY', 'PASSWORD_EXPIRED', 'PROVISIONED') and {changed} > 30"
            ),
        ),
        ("OC204", format!("select '|' || u.id from users u where {dormant}")),
        (
            "OC205",
            format!(
                "select '|' || user_id from {counts} where n > max(20, 5 * (select n from {counts} order by n
                    limit 1 offset (select (count(*) - 1) / 2 from {counts})))"
            ),
        ),
        (
            "OC206",
            format!("select '|' || id from users where status = 'ACTIVE' and id not in (select user_id from {counts})"),
        ),
        (
            "OC301",
            "select id || '|' from groups where type = 'OKTA_GROUP' and (members_seen = 0 or learned = 'reported_empty')"
                .to_owned(),
        ),
        ("OC302", "select id || '|' from groups where coalesce(members_seen, members_kept) = 1".to_owned()),
        (
            "OC304",
            "with sets as (select group_id, count(*) as n, group_concat(user_id) as members
                from (select * from memberships where learned <> 'implied' order by group_id, user_id) group by 1)
                select a.group_id || '|' from sets a where a.n >= 3 and exists (select 1 from sets b
                where b.group_id <> a.group_id and b.members = a.members)"
                .to_owned(),
        ),
        (
            "OC305",
            "with looks as (select id, replace(replace(lower(name), ' ', ''), '-', '') as look from groups)
                select a.id || '|' from looks a where exists (select 1 from looks b where b.id <> a.id and b.look = a.look)"
                .to_owned(),
        ),
        (
            "OC307",
            "select group_id || '|' from memberships join groups g on g.id = group_id
                where g.name like '%admin%' group by group_id having count(*) > 15"
                .to_owned(),
        ),
        ("OC401", "select id || '|' from groups where members_kept is null".to_owned()),
    ]
}

fn assert_equals_the_oracle(users: u32) {
    let (_okta, folder) = synced(org(users));
    let report = findings(&folder, &["--privileged", "admin", "--output", "json"])
        .code(0)
        .json();
    let found = by_id(&report);
    let db = open(&folder.path("a.db"));
    for (id, sql) in oracle() {
        let mut expected = rows(&db, &sql);
        expected.sort();
        assert_eq!(found[id].len(), expected.len(), "{id}");
        assert!(found[id] == expected, "{id}");
    }
    for id in [
        "OC101", "OC102", "OC103", "OC105", "OC107", "OC201", "OC202", "OC203", "OC206", "OC301",
        "OC302", "OC304", "OC305",
    ] {
        assert!(!found[id].is_empty(), "{id} was not tested");
    }
}

#[test]
fn the_list_of_checks_is_data_and_so_printed_with_quiet() {
    let folder = Folder::new();
    let listed = folder.run(&["findings", "--list"]).ok().stdout;
    assert!(listed.contains("deprovisioned-member"), "{listed}");
    let quiet = folder.run(&["findings", "--list", "--quiet"]).ok().stdout;
    assert_eq!(quiet, listed);
}

#[test]
fn each_finding_has_the_rows_that_sql_finds() {
    assert_equals_the_oracle(2_000);
}

#[test]
#[ignore = "long"]
fn each_finding_has_the_rows_that_sql_finds_in_a_large_org() {
    assert_equals_the_oracle(20_000);
}

#[test]
fn every_sarif_result_has_a_location_and_a_unique_fingerprint() {
    let (_okta, folder) = synced(org(2_000));
    let sarif = findings(&folder, &["--privileged", "admin", "--format", "sarif"])
        .code(0)
        .json();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(
        rules
            .iter()
            .all(|rule| rule["properties"]["security-severity"].is_string())
    );
    let results = run["results"].as_array().unwrap();
    assert!(!results.is_empty() && results.len() <= 5_000);
    let mut prints = std::collections::BTreeSet::new();
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a.db");
        assert_eq!(place["region"]["startLine"], 1);
        let rule = result["ruleIndex"].as_u64().unwrap();
        assert_eq!(
            rules[usize::try_from(rule).unwrap()]["id"],
            result["ruleId"]
        );
        assert!(
            prints.insert(result["partialFingerprints"]["oktaCiam/v1"].to_string()),
            "{result}"
        );
    }
}

#[test]
fn sarif_has_at_most_5000_results_and_counts_the_rest() {
    let (_okta, folder) = synced(org(9_000));
    let sarif = findings(&folder, &["--format", "sarif"]).code(0).json();
    let run = &sarif["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 5_000);
    assert!(run["properties"]["results_left_out"].as_u64().unwrap() > 0);
}

#[test]
fn every_format_is_written_also_with_hostile_names() {
    let mut org = org(20);
    let name = "=a\"b<c>&\u{1b}[31m\u{202e}\r\n`|]]>";
    org.add_group(Group::new("00gbad", name));
    assert!(org.join("00gbad", "00u000001"));
    let (_okta, folder) = synced(org);
    let formats = ["text", "json", "csv", "markdown", "sarif", "junit"];
    let outputs: Vec<String> = formats
        .iter()
        .map(|format| format!("{format}=out.{format}"))
        .collect();
    let mut arguments = vec!["--check", "suspended-member,OC302"];
    for output in &outputs {
        arguments.extend(["--out", output]);
    }
    findings(&folder, &arguments).code(0);
    let read =
        |format: &str| std::fs::read_to_string(folder.path(&format!("out.{format}"))).unwrap();
    for format in ["text", "json", "markdown", "sarif", "junit"] {
        let text = read(format);
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\r'),
            "{format}"
        );
    }
    let json: Value = serde_json::from_str(&read("json")).unwrap();
    let single = json["findings"][1]["rows"].as_array().unwrap();
    assert!(single.iter().any(|row| row["group_name"] == name));
    let mut names = csv::Reader::from_path(folder.path("out.csv")).unwrap();
    assert!(
        names
            .records()
            .any(|record| record.unwrap()[7] == format!("'{name}"))
    );
    let junit = read("junit");
    assert_eq!(junit.matches("<testcase ").count(), 2);
    assert!(junit.contains("&lt;c&gt;&amp;\\u{1b}[31m"), "{junit}");
    serde_json::from_str::<Value>(&read("sarif")).unwrap();
}

#[test]
fn fail_on_decides_the_exit_code_and_exceptions_suppress_rows() {
    let (_okta, folder) = synced(org(20));
    let only = ["--check", "OC102,OC701"];
    let fails = |more: &[&str]| findings(&folder, &[&only, more].concat()).code;
    assert_eq!(fails(&[]), Some(0));
    for (fail_on, code) in [
        ("suspended-member", 1),
        ("oc102", 1),
        ("medium", 1),
        ("high", 0),
        ("OC701", 0),
    ] {
        assert_eq!(fails(&["--fail-on", fail_on]), Some(code), "{fail_on}");
    }
    let all = findings(&folder, &[&only[..], &["--output", "json"]].concat()).json();
    let count = all["findings"][0]["count"].as_u64().unwrap();
    let login = all["findings"][0]["rows"][0]["user_login"]
        .as_str()
        .unwrap();
    let write = |until: &str| {
        let text = format!(
            "finding,user,group,until,reason,approved_by\nOC102,{login},,{until},on leave,Eve\nOC102,nobody,,2027-01-01,left,Eve\n"
        );
        std::fs::write(folder.path("exceptions.csv"), text).unwrap();
        findings(
            &folder,
            &[
                &only[..],
                &["--exceptions", "exceptions.csv", "--output", "json"],
            ]
            .concat(),
        )
        .json()
    };
    let with = write("2026-07-01");
    let suppressed = with["findings"][0]["suppressed"].as_u64().unwrap();
    assert!(suppressed > 0);
    assert_eq!(
        with["findings"][0]["count"].as_u64().unwrap() + suppressed,
        count
    );
    assert_eq!(with["findings"][1]["count"], 1);
    let expired = write("2026-06-30");
    assert_eq!(expired["findings"][0]["count"].as_u64().unwrap(), count);
    assert_eq!(expired["findings"][1]["count"], 2);
}

#[test]
fn an_older_snapshot_and_a_review_are_read() {
    let (okta, folder) = synced(org(400));
    std::fs::copy(folder.path("a.db"), folder.path("old.db")).unwrap();
    assert!(okta.org_mut().join("00g2", "00u000002"));
    folder
        .sync(&okta, &["-f", "a.db", "--now", "2026-07-02T00:00:00Z"])
        .ok();
    let sheet = "group_id,user_id,decision\n00g2,00u000002,revoke\n00g2,00u000000,Revoke\n00g2,00u000097,approve\n";
    std::fs::write(folder.path("sheet.csv"), sheet).unwrap();
    let arguments = [
        "--privileged",
        "ADMIN",
        "--since",
        "old.db",
        "--review",
        "sheet.csv",
        "--check",
        "OC601,OC602,OC603",
    ];
    let report = findings(&folder, &[&arguments[..], &["--output", "json"]].concat()).json();
    let found = by_id(&report);
    assert_eq!(found["OC601"], ["00g2|00u000002"]);
    assert_eq!(found["OC602"], ["00g2|00u000002"]);
    assert_eq!(found["OC603"], ["00g2|00u000000"]);
}

#[test]
fn invalid_input_is_one_line_and_the_go_connectors_file_is_read() {
    let (_okta, folder) = synced(org(20));
    std::fs::write(folder.path("bad.csv"), "finding,user\n").unwrap();
    for (arguments, part) in [
        (
            &["--check", "dormant-membr"][..],
            "did you mean dormant-member?",
        ),
        (
            &["--exceptions", "bad.csv"],
            "bad.csv: the column group is missing",
        ),
        (&["--exceptions", "missing.csv"], "missing.csv"),
        (
            &["--review", "bad.csv"],
            "bad.csv: the column group_id is missing",
        ),
        (&["--since", "missing.db"], "missing.db"),
        (&["--out", "sarif=missing/x.sarif"], "missing"),
    ] {
        let ran = findings(&folder, arguments).fails(2, part);
        assert_eq!(ran.stdout, "");
    }
    let go = format!(
        "{}/tests/fixtures/go-connector.c1z",
        env!("CARGO_MANIFEST_DIR")
    );
    let ran = folder.run(&["findings", "-f", &go]).ok();
    assert!(
        ran.stdout.contains("another program wrote the snapshot"),
        "{}",
        ran.stdout
    );
}
