//! Tests `report` with snapshots of generated orgs, of the Go connectors and of an earlier version. `tests/browser/`
//! tests the pages that [`keep`] stores in a browser.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use okta_ciam::testing::evidence::findings::FindingOptions;
use okta_ciam::testing::evidence::report::{File, PageSource};
use okta_ciam::testing::filter::MatchedBy;
use okta_ciam::testing::model::{self, GroupId, MembershipSource, UserId};
use okta_ciam::testing::snapshot::{GroupMembers, Reader, RunHeader, RunMetadata, Writer};

use okta_fake::{Action, Fault, Group, Org, User};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Folder, Okta, Ran, cell, open, rows};

/// A name with markup, a formula, and characters that hide and turn text.
const HOSTILE: &str =
    "=1+1</script><img src=x onerror=alert(1)>\"'&{{7*7}}\u{202e}\u{1b}[31m\u{0}]]>-->";

fn org(users: u32) -> Org {
    let mut org = Org::new();
    let statuses = [
        "ACTIVE",
        "SUSPENDED",
        "DEPROVISIONED",
        "STAGED",
        "LOCKED_OUT",
    ];
    for number in 0..users {
        let login = format!("user.{number}@example.com");
        let mut user = User::with_email(&format!("00u{number:06}"), &login);
        user.status = statuses[number as usize % statuses.len()].into();
        org.add_user(user);
    }
    for (id, name) in [
        ("00gteam", "team"),
        ("00gadmin", "Admins"),
        ("00gempty", "none"),
    ] {
        org.add_group(Group::new(id, name));
    }
    for number in 0..users {
        let user = format!("00u{number:06}");
        assert!(org.join("00gteam", &user));
        if number % 7 == 0 {
            assert!(org.join("00gadmin", &user));
        }
    }
    org
}

fn hostile() -> Org {
    let mut org = org(450);
    org.add_group(Group::new("00gbad", HOSTILE));
    let mut user = User::with_email("00ubad", "bad@example.com");
    let profile = serde_json::json!({
        "login": "=bad@example.com", "email": "bad@example.com", "displayName": HOSTILE,
    });
    user.profile = profile.to_string().into();
    org.add_user(user);
    assert!(org.join("00gbad", "00ubad"));
    org
}

fn synced(org: Org) -> (Okta, Folder) {
    let (okta, folder) = (Okta::with(org), Folder::new());
    folder
        .sync(&okta, &["-f", "a.db", "--now", "2026-07-01T00:00:00Z"])
        .ok();
    (okta, folder)
}

fn report(folder: &Folder, arguments: &[&str]) -> Ran {
    let report = ["report", "-f", "a.db", "-o", "a.html"];
    folder.run(&[&report, arguments].concat()).end()
}

fn page(folder: &Folder, arguments: &[&str]) -> String {
    report(folder, arguments).code(0);
    fs::read_to_string(folder.path("a.html")).unwrap()
}

/// Stores a page for the test in a browser.
fn keep(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}.html"));
    fs::write(path, page).unwrap();
}

/// Returns the texts between `start` and `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    let parts = text.split(start).skip(1);
    parts.map(|part| part.split(end).next().unwrap()).collect()
}

fn data(page: &str) -> Value {
    let packed = between(
        page,
        "<script type=\"application/json\" id=\"data\">",
        "</script>",
    );
    let packed = STANDARD.decode(packed[0]).unwrap();
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the visible text of a page.
fn text_of(page: &str) -> String {
    let body = page.split("<body>").nth(1).unwrap();
    let body = body.split("<script").next().unwrap();
    let texts = body
        .split('<')
        .map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    let text = texts.collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_page_loads_nothing_and_allows_only_its_own_script_and_style() {
    let (_okta, folder) = synced(hostile());
    let page = page(&folder, &["--privileged", "admin"]);
    keep("hostile", &page);
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let (scripts, styles) = (
        between(&page, "<script>", "</script>"),
        between(&page, "<style>", "</style>"),
    );
    assert_eq!((scripts.len(), styles.len()), (1, 1));
    assert_eq!(
        page.matches("<script").count(),
        2,
        "there are one script and the data"
    );
    let policy = between(
        &page,
        "http-equiv=\"Content-Security-Policy\" content=\"",
        "\"",
    );
    assert_eq!(
        policy[0].replace("&#39;", "'"),
        format!(
            "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
            hash(scripts[0]),
            hash(styles[0])
        )
    );
    let html = page.replace(scripts[0], "").replace(styles[0], "");
    for part in [
        " src=",
        " style=",
        " onerror=",
        " onload=",
        " onclick=",
        "url(",
        "<link",
        "<base",
        "<form",
    ] {
        let tags = html.split('<').filter_map(|part| part.split_once('>'));
        assert!(
            !tags
                .into_iter()
                .any(|(tag, _)| format!("<{tag}").contains(part)),
            "{part}"
        );
    }
    assert!(
        between(&html, "href=\"", "\"")
            .iter()
            .all(|link| link.starts_with('#'))
    );
    for part in [
        "fetch(",
        "XMLHttpRequest",
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(!scripts[0].contains(part), "{part}");
    }
}

#[test]
fn hostile_names_stay_text_and_hidden_characters_are_visible() {
    let (_okta, folder) = synced(hostile());
    let title = HOSTILE.replace('\0', "");
    let page = page(&folder, &["--privileged", "img", "--title", &title]);
    for part in ["<img", "\u{202e}", "\u{1b}", "\u{0}", "]]>"] {
        let script = between(&page, "<script>", "</script>")[0];
        assert!(!page.replace(script, "").contains(part), "{part:?}");
    }
    assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;"));
    assert!(page.contains("\\u{202e}\\u{1b}[31m"));
    let data = data(&page);
    let names = data["users"]["name"].as_array().unwrap();
    assert!(
        names.iter().any(|name| name == HOSTILE),
        "names in the data are unchanged"
    );
}

#[test]
fn a_title_is_escaped_and_an_invalid_one_writes_no_page() {
    let (_okta, folder) = synced(hostile());
    let run = |variable: &str, options: &[&str]| {
        let words = ["report", "-f", "a.db", "-o", "titled.html"];
        let run = folder.run(&[&words, options].concat());
        run.env("BATON_TITLE", variable).end()
    };
    let too_long = "x".repeat(201);
    for (variable, options, error) in [
        ("x", &["--title", ""][..], "--title is empty"),
        (&too_long, &[], "BATON_TITLE is longer than 200 characters"),
    ] {
        run(variable, options).code(2).says(error);
    }
    assert!(!folder.path("titled.html").exists());
    run("Access & <b>audit</b>", &[]).code(0);
    let page = fs::read_to_string(folder.path("titled.html")).unwrap();
    let escaped = "Access &#38; &#60;b&#62;audit&#60;/b&#62;";
    assert!(between(&page, "<title>", "</title>")[0].starts_with(escaped));
    assert_eq!(between(&page, "<h1>", "</h1>")[0], escaped);
}

#[test]
fn the_data_of_a_page_equals_the_snapshot() {
    let (_okta, folder) = synced(hostile());
    let page = page(&folder, &["--privileged", "admin"]);
    let data = data(&page);
    let db = open(&folder.path("a.db"));
    let texts = |column: &Value| -> Vec<String> {
        let column = column.as_array().unwrap().iter();
        column
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    };
    let (users, groups) = (texts(&data["users"]["id"]), texts(&data["groups"]["id"]));
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(
        sorted(users.clone()),
        rows(&db, "select id from users order by 1")
    );
    assert_eq!(
        sorted(groups.clone()),
        rows(&db, "select id from groups order by 1")
    );
    let places = |differences: &Value| -> Vec<usize> {
        let differences = differences.as_array().unwrap().iter();
        differences
            .scan(0, |place, value| {
                *place += usize::try_from(value.as_u64().unwrap()).unwrap();
                Some(*place)
            })
            .collect()
    };
    let mut pairs = Vec::new();
    for (group, members) in groups.iter().zip(data["members"].as_array().unwrap()) {
        let members = places(members);
        pairs.extend(
            members
                .iter()
                .map(|user| format!("{group}|{}", users[*user])),
        );
    }
    let stored = "select group_id || '|' || user_id from memberships order by 1";
    assert_eq!(sorted(pairs.clone()), rows(&db, stored));
    for (place, user) in users.iter().enumerate() {
        let status = &data["users"]["status"];
        let number = usize::try_from(status["rows"][place].as_u64().unwrap()).unwrap();
        let stored = cell(
            &db,
            &format!("select status from users where id = '{user}'"),
        );
        assert_eq!(status["texts"][number - 1], stored);
    }
    let found = places(&data["findings"]["OC102"][2]);
    let found: Vec<String> = found
        .into_iter()
        .map(|place| pairs[place].clone())
        .collect();
    let suspended = "select m.group_id || '|' || m.user_id from memberships m join users u on u.id = m.user_id \
         where u.status = 'SUSPENDED' and m.learned <> 'implied' order by 1";
    assert_eq!(sorted(found), rows(&db, suspended));
}

#[test]
fn equal_snapshots_give_equal_pages() {
    let (_okta, folder) = synced(org(50));
    let first = page(&folder, &["--privileged", "admin"]);
    fs::create_dir(folder.path("elsewhere")).unwrap();
    fs::copy(folder.path("a.db"), folder.path("elsewhere/a.db")).unwrap();
    let again = [
        "report",
        "-f",
        "elsewhere/a.db",
        "-o",
        "b.html",
        "--privileged",
        "admin",
    ];
    folder.run(&again).ok();
    assert!(first == fs::read_to_string(folder.path("b.html")).unwrap());
}

#[test]
fn a_page_shows_evidence_findings_and_charts_without_its_script() {
    let (okta, folder) = synced(org(450));
    let page = page(&folder, &["--privileged", "admin"]);
    let text = text_of(&page);
    let db = open(&folder.path("a.db"));
    let sha256 = sha256(&fs::read(folder.path("a.db")).unwrap());
    for part in [
        sha256.as_str(),
        &cell(&db, "select content_sha256 from snapshot"),
        &cell(&db, "select sync_id from snapshot"),
        &okta.origin(),
        "example.com, example.org",
        "Members of all groups together, and memberships in the file",
        "Users by status",
        "Bars: ACTIVE 90, DEPROVISIONED 90",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(
        !text.contains(" differs "),
        "the numbers of this snapshot agree"
    );
    assert!(!text.contains("This snapshot is incomplete"));
    // 90 users are suspended and in `team`, and 13 of them are also in `Admins`.
    let section = between(
        &page,
        "<span class=\"label\">suspended-member ",
        "</details>",
    )[0];
    assert!(section.contains("103 rows"));
    assert_eq!(section.matches("<tr><td>").count(), 100);
    assert!(section.contains("3 more not listed here"));
    assert!(
        text.contains("OC601 new-privileged-member"),
        "checks that did not run are listed"
    );
}

#[test]
fn the_page_of_a_partial_snapshot_lists_what_could_not_be_read() {
    let okta = Okta::with(org(20));
    okta.fault(Fault::path(
        "/api/v1/groups/00gteam/users",
        Action::okta(403, "E0000006"),
    ));
    let folder = Folder::new();
    let partial = ["-f", "a.db", "--allow-partial", "--memberships-by", "group"];
    folder.sync(&okta, &partial).end();
    let page = page(&folder, &[]);
    keep("partial", &page);
    let text = text_of(&page);
    assert!(text.contains("This snapshot is incomplete"), "{text}");
    assert!(text.contains("members_forbidden 00gteam"));
    assert!(text.contains("Groups whose members could not be read team 00gteam"));
}

#[test]
fn changes_since_an_older_snapshot_are_counted_and_another_org_is_refused() {
    let (okta, folder) = synced(org(20));
    fs::rename(folder.path("a.db"), folder.path("old.db")).unwrap();
    {
        let mut org = okta.org_mut();
        org.add_user(User::with_email("00unew", "new@example.com"));
        assert!(org.join("00gteam", "00unew"));
        assert!(org.join("00gadmin", "00unew"));
    }
    folder
        .sync(&okta, &["-f", "a.db", "--now", "2026-07-02T00:00:00Z"])
        .ok();
    let page = page(&folder, &["--since", "old.db", "--privileged", "admin"]);
    keep("since", &page);
    let text = text_of(&page);
    for part in [
        "users added 1, users removed 0, users changed 0",
        // Those of Everyone are included.
        "memberships added 3, memberships removed 0",
        "Older snapshot File old.db",
        "new-privileged-member OC601 A membership of a privileged group that the older snapshot does not have. 1 row",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("different scopes"));
    let narrower = ["-f", "b.db", "--group-name-filter", "admin"];
    folder.sync(&okta, &narrower).ok();
    let compare = ["report", "-f", "b.db", "-o", "b.html", "--since", "old.db"];
    folder.run(&compare).ok();
    let narrower = text_of(&fs::read_to_string(folder.path("b.html")).unwrap());
    assert!(narrower.contains("The snapshots have different scopes"));
    assert!(narrower.contains("group_name_filter: none before, now &#34;admin&#34;"));
    let (_other, elsewhere) = synced(org(20));
    let other = elsewhere.path("a.db");
    let ran = report(&folder, &["--since", other.to_str().unwrap()]).code(2);
    assert!(
        ran.error().contains("is from another org"),
        "{}",
        ran.stderr
    );
}

#[test]
fn exceptions_hide_rows_and_are_counted() {
    let (_okta, folder) = synced(org(20));
    let text = "finding,user,group,until,reason,approved_by\nOC102,user.1@example.com,,2027-01-01,on leave,Eve\n";
    fs::write(folder.path("exceptions.csv"), text).unwrap();
    let page = page(
        &folder,
        &[
            "--exceptions",
            "exceptions.csv",
            "--title",
            "Review of June",
        ],
    );
    assert!(page.contains("<h1>Review of June</h1>"));
    let section = between(
        &page,
        "<span class=\"label\">suspended-member ",
        "</details>",
    )[0];
    assert!(section.contains("Exceptions accept 1 more."));
    assert!(!section.contains("<td>user.1@example.com</td>"));
}

#[test]
fn a_page_that_is_too_large_has_a_note_instead_of_memberships() {
    let (_okta, folder) = synced(org(450));
    let reader = Reader::open(&folder.path("a.db")).unwrap();
    let file = File {
        name: "a.db".to_owned(),
        bytes: 1,
        sha256: "0".to_owned(),
    };
    let source = PageSource::read(&reader, file, FindingOptions::default()).unwrap();
    let with = source.page(None).unwrap();
    assert_eq!(with.size_with_memberships, None);
    let fits = source.page(Some(with.html.len())).unwrap();
    assert!(fits.html == with.html);
    let without = source.page(Some(with.html.len() - 1)).unwrap();
    assert_eq!(without.size_with_memberships, Some(with.html.len()));
    assert!(
        text_of(&without.html)
            .contains("The memberships are left out: with them, this page would have 1 MB.")
    );
    assert!(data(&without.html)["members"].is_null());
    assert!(data(&with.html)["members"].is_array());
    keep("without-memberships", &without.html);
}

/// Writes a snapshot of users with long random logins in one group.
fn write_incompressible(path: &Path, users: usize) {
    let mut random = fastrand::Rng::with_seed(1);
    let run = RunHeader {
        sync_id: "3MgMxLrNoNKUhULjIFekjnjH02n".to_owned(),
        started_at: Timestamp::UNIX_EPOCH,
    };
    let mut writer = Writer::create(path, &run).unwrap();
    let ids: Vec<UserId> = (0..users)
        .map(|number| UserId::from(format!("00u{number:017}")))
        .collect();
    for id in &ids {
        let login: String = (0..100).map(|_| random.alphanumeric()).collect();
        let mut user = model::User::new(id.clone());
        user.profile.insert("login".to_owned(), login.into());
        writer.user(&user, MatchedBy::Login).unwrap();
    }
    let mut group = model::Group {
        id: GroupId::from("00g"),
        kind: Some("OKTA_GROUP".to_owned()),
        source_id: None,
        created: None,
        last_updated: None,
        last_membership_updated: None,
        members_reported: None,
        has_admin_privilege: None,
        profile: model::Profile::new(),
    };
    group.profile.insert("name".to_owned(), "team".into());
    let members = GroupMembers {
        source: MembershipSource::Listed,
        listed: Some(users as u64),
        stored: Some(users as u64),
    };
    writer.group(&group, &members).unwrap();
    writer.memberships(&group.id, ids.iter()).unwrap();
    let metadata = RunMetadata {
        sync_id: run.sync_id,
        users_kept: users as u64,
        groups_kept: 1,
        memberships_kept: users as u64,
        ..RunMetadata::default()
    };
    writer.finish(&metadata, &[], &[]).unwrap();
}

#[test]
#[ignore = "long"]
fn a_page_above_20_mb_has_no_memberships_unless_full_is_given() {
    let folder = Folder::new();
    write_incompressible(&folder.path("a.db"), 200_000);
    let ran = report(&folder, &["--output", "json"]).code(0);
    assert!(
        ran.stderr.contains("pass --full to keep them"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.json()["memberships"], false);
    let ran = report(&folder, &["--output", "json", "--full"]).code(0);
    assert!(!ran.stderr.contains("--full"), "{}", ran.stderr);
    assert_eq!(ran.json()["memberships"], true);
    assert!(ran.json()["bytes"].as_u64().unwrap() > 20_000_000);
}

#[test]
fn snapshots_of_the_go_connector_and_of_an_earlier_version_become_pages() {
    let folder = Folder::new();
    for (name, part) in [
        ("go-connector.c1z", "Completeness not recorded"),
        (
            "go-connector-2syncs.c1z",
            "not recorded: another program wrote the snapshot",
        ),
        ("crafted-levelB-2syncs.c1z", "Completeness not recorded"),
        ("okta-ciam-schema-1.c1z", "Content SHA-256 not recorded"),
    ] {
        let fixture = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        folder.run(&["report", "-f", &fixture, "-o", "a.html"]).ok();
        let page = fs::read_to_string(folder.path("a.html")).unwrap();
        assert!(text_of(&page).contains(part), "{name}");
        assert!(
            !data(&page)["members"].as_array().unwrap().is_empty(),
            "{name}"
        );
        keep(name.trim_end_matches(".c1z"), &page);
    }
}

#[test]
fn a_report_is_never_written_over_a_snapshot_and_bad_options_are_one_line() {
    let (_okta, folder) = synced(org(5));
    let before = fs::read(folder.path("a.db")).unwrap();
    for (arguments, part) in [
        (
            &["report", "-f", "a.db", "-o", "a.db"][..],
            "a.db is a snapshot, which would be lost",
        ),
        (&["report", "-f", "a.db"], "-o is required"),
        (
            &["report", "-f", "a.db", "-o", "missing/a.html"],
            "missing does not exist",
        ),
        (
            &["report", "-f", "missing.db", "-o", "a.html"],
            "missing.db",
        ),
        (
            &[
                "report",
                "-f",
                "a.db",
                "-o",
                "a.html",
                "--dormant-days",
                "x",
            ],
            "a whole number",
        ),
        (
            &[
                "report",
                "-f",
                "a.db",
                "-o",
                "a.html",
                "--exceptions",
                "none.csv",
            ],
            "none.csv",
        ),
    ] {
        folder.run(arguments).end().fails(2, part);
    }
    assert!(fs::read(folder.path("a.db")).unwrap() == before);
    assert!(!folder.names().contains("a.html"));
    let json = report(&folder, &["--output", "json"]).code(0).json();
    assert_eq!(json["path"], "a.html");
    assert_eq!(json["memberships"], true);
    let page = fs::read(folder.path("a.html")).unwrap();
    assert_eq!(json["bytes"].as_u64(), Some(page.len() as u64));
    assert_eq!(json["sha256"], sha256(&page));
}
