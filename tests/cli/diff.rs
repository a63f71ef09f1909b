//! Tests `diff` with fixed snapshots of okta-ciam and of the Go connectors.

mod columns;

use std::path::{Path, PathBuf};

use okta_fake::{Group, Org, User};
use serde_json::Value;

use crate::support::{Folder, Okta, Ran};

/// Two snapshots of the same org, before and after a change.
struct Pair {
    folder: Folder,
    okta: Okta,
}

impl Pair {
    fn new(before: Org, change: impl FnOnce(&mut Org)) -> Self {
        let (folder, okta) = (Folder::new(), Okta::with(before));
        let pair = Self { folder, okta };
        pair.sync("old.c1z", &[]);
        change(&mut pair.okta.org_mut());
        pair.sync("new.c1z", &[]);
        pair
    }

    fn sync(&self, file: &str, more: &[&str]) {
        let now = ["-f", file, "--now", "2026-01-31T12:00:00Z"];
        self.folder.sync(&self.okta, &[&now, more].concat()).ok();
    }

    fn diff(&self, arguments: &[&str]) -> Ran {
        diff(&self.folder, &[&["old.c1z", "new.c1z"], arguments].concat())
    }
}

fn diff(folder: &Folder, arguments: &[&str]) -> Ran {
    folder.run(&[&["diff"], arguments].concat()).end()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Returns an org with Ada and Bob in `team`, and Eve in `app`.
fn org() -> Org {
    let mut org = Org::new();
    for (id, email) in [
        ("00uada", "ada@example.com"),
        ("00ubob", "bob@example.com"),
        ("00ueve", "eve@example.com"),
    ] {
        org.add_user(User::with_email(id, email));
    }
    for (id, name) in [
        ("00gteam", "team"),
        ("00gvpn", "vpn users"),
        ("00gapp", "app"),
    ] {
        org.add_group(Group::new(id, name));
    }
    for (group, user) in [
        ("00gteam", "00uada"),
        ("00gteam", "00ubob"),
        ("00gapp", "00ueve"),
    ] {
        assert!(org.join(group, user));
    }
    org
}

fn rename(org: &mut Org, id: &str, name: &str) {
    org.edit_group(id, |group| {
        group.profile = serde_json::json!({ "name": name }).to_string().into();
    });
}

/// Makes one change of each kind: a user is suspended, one deleted and one added; a membership is added and one
/// removed; a group is renamed.
fn changed(org: &mut Org) {
    org.edit_user("00uada", |user| {
        user.status = "SUSPENDED".into();
        user.profile =
            r#"{"login":"ada@example.com","email":"ada@example.com","firstName":"Ada","lastName":"Test","department":"Sales"}"#.into();
    });
    org.remove_user("00ueve");
    org.add_user(User::with_email("00unew", "new@example.com"));
    rename(org, "00gvpn", "VPN");
    assert!(org.join("00gvpn", "00ubob"));
    assert!(org.leave("00gteam", "00uada"));
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

fn golden(name: &str, text: &str) {
    let file = fixture("diff").join(name);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{name}");
}

/// Returns a text without the parts that differ between runs.
fn steady(text: &str, pair: &Pair) -> String {
    let mut text = text.replace(&pair.okta.origin(), "https://company.okta.com");
    for (place, _) in text.clone().match_indices("\"content_sha256\":\"") {
        let start = place + "\"content_sha256\":\"".len();
        text.replace_range(start..start + 64, &"0".repeat(64));
    }
    for (place, _) in text.clone().match_indices("\"sync_id\":\"") {
        let start = place + "\"sync_id\":\"".len();
        text.replace_range(start..start + 27, &"0".repeat(27));
    }
    for word in ["\"started_at\":\"", "\"ended_at\":\""] {
        for (place, _) in text.clone().match_indices(word) {
            let start = place + word.len();
            text.replace_range(start..start + 24, "2026-01-31T12:00:00.000Z");
        }
    }
    text
}

#[test]
fn every_format_shows_the_differences_in_a_fixed_order() {
    let pair = Pair::new(org(), changed);
    for (name, arguments) in [
        ("text.txt", [].as_slice()),
        ("json.json", &["--format", "json"]),
        ("csv.csv", &["--format", "csv"]),
        ("markdown.md", &["--format", "markdown"]),
        ("stat.txt", &["--stat"]),
        ("stat.csv", &["--stat", "--format", "csv"]),
    ] {
        let ran = pair.diff(arguments).code(1);
        assert_eq!(ran.stderr, "", "{name}");
        golden(name, &steady(&ran.stdout, &pair));
    }
    let by_output = pair.diff(&["--output", "json"]).code(1);
    assert_eq!(by_output.stdout, pair.diff(&["--format", "json"]).stdout);
}

/// Returns the ids of the finished runs in a c1z file, oldest first.
fn finished_runs(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    let mut database = zstd::decode_all(bytes.strip_prefix(b"C1ZF\0").unwrap()).unwrap();
    // The header refers to a write-ahead log, which the container does not contain.
    database[18..20].fill(1);
    let mut db = rusqlite::Connection::open_in_memory().unwrap();
    let size = database.len();
    db.deserialize_read_exact("main", database.as_slice(), size, true)
        .unwrap();
    let runs = "select sync_id from v1_sync_runs where ended_at is not null order by ended_at";
    crate::support::rows(&db, runs)
}

#[test]
fn files_of_the_go_connectors_are_compared_and_one_run_of_a_file_is_chosen_by_its_id() {
    let folder = Folder::new();
    let two = fixture("go-connector-2syncs.c1z");
    let two = two.to_str().unwrap();
    let one = fixture("go-connector.c1z");
    let ran = diff(&folder, &[two, one.to_str().unwrap(), "--format", "csv"]).code(1);
    golden("go-connector.csv", &ran.stdout);
    let ids = finished_runs(&fixture("go-connector-2syncs.c1z"));
    assert_eq!(ids.len(), 2);
    let (old, new) = (format!("{two}#{}", ids[0]), format!("{two}#{}", ids[1]));
    let between = json(&diff(&folder, &[&old, &new, "--format", "json"]));
    assert_eq!(between["meta"]["old"]["sync_id"], ids[0].as_str());
    assert_eq!(between["meta"]["new"]["sync_id"], ids[1].as_str());
    // Without an id, the newest run is used.
    diff(&folder, &[two, &new]).code(0);
    let absent = diff(&folder, &[two, &format!("{two}#absent")]).code(2);
    assert!(absent.error().contains("no finished run \"absent\""));
}

#[test]
fn filters_and_limits_exclude_rows() {
    let pair = Pair::new(org(), changed);
    let rows = |arguments: &[&str]| {
        let ran = pair.diff(&[arguments, &["--format", "csv"]].concat());
        let lines = ran.stdout.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{} {} {}{}", cells[0], cells[1], cells[4], cells[6])
        });
        (ran.code.unwrap(), lines.collect::<Vec<_>>())
    };
    assert_eq!(
        rows(&["--only", "memberships", "--change", "removed"]),
        (
            1,
            vec![
                "removed memberships eve@example.comEveryone".to_owned(),
                "removed memberships eve@example.comapp".to_owned(),
                "removed memberships ada@example.comteam".to_owned(),
            ]
        )
    );
    assert_eq!(
        rows(&["--user", "BOB@example.com"]),
        (1, vec!["added memberships bob@example.comVPN".to_owned()])
    );
    assert_eq!(
        rows(&["--group", "team"]).1,
        ["removed memberships ada@example.comteam"]
    );
    assert_eq!(
        rows(&["--user", "bob@example.com", "--group", "team"]),
        (0, vec![])
    );
    assert_eq!(
        rows(&["--only", "users", "--ignore", "status,profile.department"])
            .1
            .len(),
        2
    );
    assert_eq!(rows(&["--only", "memberships", "--limit", "1"]).1.len(), 1);
    let text = pair.diff(&["--limit", "1"]);
    assert!(
        text.stdout.contains("more; pass a higher --limit"),
        "{}",
        text.stdout
    );
    pair.diff(&["--exit-zero"]).code(0);
    for (arguments, part) in [
        (
            ["--user", "nobody"],
            "no user of either snapshot has the id, login or email \"nobody\"",
        ),
        (
            ["--group", "nothing"],
            "no group of either snapshot has the id or name \"nothing\"",
        ),
        (["--ignore", "statuss"], "did you mean status?"),
        (
            ["--ignore", "groups.status"],
            "expected a column, TABLE.COLUMN or profile.ATTRIBUTE",
        ),
        (
            ["--ignore", "memberships.profile.title"],
            "expected a column, TABLE.COLUMN or profile.ATTRIBUTE",
        ),
    ] {
        pair.diff(&arguments).fails(2, part);
    }
}

#[test]
fn times_of_use_are_compared_only_on_request() {
    let pair = Pair::new(org(), |org| {
        org.edit_user("00ubob", |user| user.last_login = Some(1_700_000_000_000));
    });
    pair.diff(&[]).code(0);
    let ran = pair.diff(&["--all-fields"]).code(1);
    assert!(ran.stdout.contains("last_login"), "{}", ran.stdout);
}

#[test]
fn a_user_and_a_group_under_a_new_id_are_recreated() {
    let pair = Pair::new(org(), |org| {
        org.remove_user("00ubob");
        org.add_user(User::with_email("00ubob2", "bob@example.com"));
        org.remove_group("00gvpn");
        org.add_group(Group::new("00gvpn2", "vpn users"));
    });
    let diff = json(&pair.diff(&["--format", "json"]).code(1));
    for (table, name, old_id, new_id) in [
        ("users", "bob@example.com", "00ubob", "00ubob2"),
        ("groups", "vpn users", "00gvpn", "00gvpn2"),
    ] {
        assert_eq!(
            diff[table]["recreated"],
            serde_json::json!([{"name": name, "old_id": old_id, "new_id": new_id}])
        );
    }
    let text = pair.diff(&[]).stdout;
    assert!(
        text.contains("recreated: bob@example.com was 00ubob and is 00ubob2"),
        "{text}"
    );
}

#[test]
fn memberships_of_a_group_that_could_not_be_read_are_unknown_and_never_removed() {
    for backwards in [false, true] {
        let (folder, okta) = (Folder::new(), Okta::with(org()));
        let pair = Pair { folder, okta };
        let files = if backwards {
            ["new.c1z", "old.c1z"]
        } else {
            ["old.c1z", "new.c1z"]
        };
        pair.sync(files[0], &[]);
        pair.okta
            .org_mut()
            .edit_group("00gteam", |group| group.members_forbidden = true);
        pair.sync(files[1], &["--allow-partial", "--memberships-by", "group"]);
        let ran = pair.diff(&[]).code(1);
        assert!(
            ran.stdout
                .contains("2 memberships of groups or users that one snapshot could not read"),
            "{}",
            ran.stdout
        );
        assert!(ran.stdout.contains("INCOMPLETE"), "{}", ran.stdout);
        let diff = json(&pair.diff(&["--format", "json"]));
        let summary = &diff["summary"]["memberships"];
        assert_eq!(
            (&summary["unknown"], &summary["removed"], &summary["added"]),
            (&2.into(), &0.into(), &0.into())
        );
    }
}

#[test]
fn memberships_of_a_user_whose_groups_could_not_be_read_are_unknown_and_never_removed() {
    let by_user = ["--memberships-by", "user"];
    let (folder, okta) = (Folder::new(), Okta::with(org()));
    let pair = Pair { folder, okta };
    pair.sync("old.c1z", &by_user);
    pair.okta
        .org_mut()
        .edit_user("00uada", |user| user.groups_forbidden = true);
    pair.sync("new.c1z", &["--memberships-by", "user", "--allow-partial"]);
    let diff = json(&pair.diff(&["--format", "json"]).code(1));
    let summary = &diff["summary"]["memberships"];
    assert_eq!(summary["removed"], 0, "{summary}");
    assert_eq!(diff["memberships"]["unknown"][0]["user_id"], "00uada");
}

#[test]
fn a_different_scope_is_named_and_a_different_org_is_refused() {
    let pair = Pair::new(org(), |_| {});
    pair.sync("new.c1z", &["--group-name-filter", "team", "--fresh"]);
    let ran = pair.diff(&[]).code(1);
    assert!(
        ran.stdout
            .contains("scope  group_name_filter  null -> \"team\""),
        "{}",
        ran.stdout
    );
    let other = Okta::with(org());
    pair.folder.sync(&other, &["-f", "other.c1z"]).ok();
    let ran = diff(&pair.folder, &["old.c1z", "other.c1z"]).code(2);
    assert!(ran.error().contains("different orgs"), "{}", ran.stderr);
    let ran = diff(
        &pair.folder,
        &["old.c1z", "other.c1z", "--allow-different-org"],
    )
    .code(0);
    assert!(ran.stdout.contains("different orgs"), "{}", ran.stdout);
}

#[test]
fn hostile_names_stay_data_in_every_format() {
    let long = "x".repeat(100_000);
    let names = [
        "=HYPERLINK(\"http://x\")",
        "a\"b,c\r\nd",
        "\u{1b}[31mred",
        "x\u{202e}y",
        "`a` | <b> @team #1",
        &long,
    ];
    let mut before = org();
    for (number, _) in names.iter().enumerate() {
        before.add_group(Group::new(
            &format!("00gbad{number}"),
            &format!("old {number}"),
        ));
    }
    let pair = Pair::new(before, |org| {
        for (number, name) in names.iter().enumerate() {
            rename(org, &format!("00gbad{number}"), name);
        }
    });
    let csv = pair.diff(&["--format", "csv"]).code(1).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let new: Vec<String> = reader
        .records()
        .map(|record| record.unwrap()[9].to_owned())
        .collect();
    assert_eq!(new[0], format!("'{}", names[0]));
    assert_eq!(new[1..], names[1..]);
    let parsed = json(&pair.diff(&["--format", "json"]));
    for (number, name) in names.iter().enumerate() {
        assert_eq!(
            parsed["groups"]["changed"][number]["changes"]["name"][1],
            **name
        );
    }
    let text = pair.diff(&[]).stdout;
    let markdown = pair
        .diff(&["--format", "markdown", "--max-bytes", "20000"])
        .stdout;
    for shown in [&text, &markdown] {
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}') && !shown.contains('\r'));
    }
    assert!(markdown.len() < 20_000, "{}", markdown.len());
    assert!(markdown.ends_with("1 change left out.\n"), "{markdown}");
    assert!(
        markdown.contains("→ `` `a` \\| <b> @team #1``")
            || markdown.contains("`` `a` \\| <b> @team #1 ``"),
        "{markdown}"
    );
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let pair = Pair::new(org(), changed);
    std::fs::write(pair.folder.path("text.c1z"), "no snapshot").unwrap();
    for arguments in [
        ["absent.c1z", "new.c1z"],
        ["old.c1z", "absent.c1z"],
        ["text.c1z", "new.c1z"],
    ] {
        let ran = diff(&pair.folder, &arguments).code(2);
        assert!(ran.error().contains(".c1z"), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    diff(&pair.folder, &["old.c1z", "old.c1z"]).code(0);
    let run = || pair.folder.run(&["diff", "old.c1z", "new.c1z"]);
    let full = run().under("exec >/dev/full").end().code(2);
    assert!(
        full.error().contains("cannot write the differences"),
        "{}",
        full.stderr
    );
    // The reader may stop reading; the exit code still reports a difference.
    let closed = run().under("mkfifo pipe && exec 3<>pipe >pipe && exec 3<&-");
    closed.end().code(1);
}
