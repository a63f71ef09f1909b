//! Table tests and property tests of the decisions.

use super::*;
use crate::change::Action;
use crate::filter::{Domain, NameFilter, Scope};
use crate::model::Profile;
use crate::sync::plan::pages;

fn user(id: &str, login: &str, email: &str, status: &str) -> User {
    let mut profile = Profile::new();
    profile.insert("login".to_owned(), login.into());
    profile.insert("email".to_owned(), email.into());
    User {
        status: Some(status.to_owned()),
        profile,
        ..User::new(UserId::from(id))
    }
}

fn group(id: &str, name: &str, kind: &str) -> Group {
    let mut profile = Profile::new();
    profile.insert("name".to_owned(), name.into());
    Group {
        id: GroupId::from(id),
        kind: Some(kind.to_owned()),
        source_id: None,
        created: None,
        last_updated: None,
        last_membership_updated: None,
        members_reported: None,
        has_admin_privilege: Some(false),
        profile,
    }
}

fn ids<T>(found: &Found<T>, id: impl Fn(&T) -> String) -> String {
    let all = |list: &[Arc<T>]| list.iter().map(|it| id(it)).collect::<Vec<_>>().join(" ");
    match found {
        Found::One(it) => id(it),
        Found::Nothing | Found::Near(_) => "nothing".to_owned(),
        Found::Several(list) => format!("several {}", all(list)),
        Found::OtherCase(list) => format!("other case {}", all(list)),
        Found::Unreadable(refusal) => refusal.reason.clone(),
    }
}

#[test]
fn a_user_matches_only_by_complete_id_login_or_email() {
    let ada = user("00u1", "ada@example.com", "Ada@Example.com", "ACTIVE");
    let other = user("00u2", "ada", "ada@example.com", "ACTIVE");
    let third = user("00u3", "ada3", "ADA@example.com", "ACTIVE");
    let named_like_an_id = user("00u4", "00U3", "", "ACTIVE");
    for (typed, answers, expected) in [
        ("ADA@example.com", vec![ada.clone(), ada.clone()], "00u1"),
        ("00U1", vec![ada.clone()], "00u1"),
        ("ada", vec![ada.clone()], "nothing"),
        ("me", vec![ada.clone()], "nothing"),
        // A login takes precedence over another user's email, in any order.
        ("ada@example.com", vec![ada.clone(), other.clone()], "00u1"),
        ("ada@example.com", vec![other.clone(), ada.clone()], "00u1"),
        (
            "ada@example.com",
            vec![other.clone(), third.clone()],
            "several 00u2 00u3",
        ),
        ("00u3", vec![third, named_like_an_id], "several 00u3 00u4"),
        ("ada", vec![ada, other], "00u2"),
        ("x", vec![], "nothing"),
    ] {
        assert_eq!(
            ids(&choose_user(typed, answers), |user| user.id.to_string()),
            expected,
            "{typed}"
        );
    }
}

#[test]
fn a_group_matches_only_by_its_complete_name_byte_for_byte() {
    let upper = group("00g1", "VPN", "OKTA_GROUP");
    let lower = group("00g2", "vpn", "OKTA_GROUP");
    let twin = group("00g3", "VPN", "APP_GROUP");
    let named_like_an_id = group("00g4", "00g1", "OKTA_GROUP");
    for (typed, answers, expected) in [
        ("VPN", vec![upper.clone(), lower.clone()], "00g1"),
        ("Vpn", vec![upper.clone(), lower], "other case 00g1 00g2"),
        ("VPN", vec![upper.clone(), twin], "several 00g1 00g3"),
        (
            "00g1",
            vec![upper.clone(), named_like_an_id],
            "several 00g1 00g4",
        ),
        ("VP", vec![upper], "nothing"),
    ] {
        assert_eq!(
            ids(&choose_group(typed, answers), |group| group.id.to_string()),
            expected,
            "{typed}"
        );
    }
}

#[test]
fn every_refusal_precedes_the_comparison_with_memberships() {
    let users = [
        (
            "in",
            Found::One(Arc::new(user(
                "00u1",
                "a@example.com",
                "a@example.com",
                "ACTIVE",
            ))),
        ),
        (
            "out",
            Found::One(Arc::new(user(
                "00u2",
                "b@else.example",
                "b@else.example",
                "ACTIVE",
            ))),
        ),
        (
            "gone",
            Found::One(Arc::new(user(
                "00u3",
                "c@example.com",
                "c@example.com",
                "DEPROVISIONED",
            ))),
        ),
        (
            "two",
            choose_user(
                "x@example.com",
                vec![
                    user("00u4", "x1@example.com", "x@example.com", "SUSPENDED"),
                    user("00u5", "", "x@example.com", "ACTIVE"),
                ],
            ),
        ),
        ("none", Found::Nothing),
    ];
    let groups = [
        (
            "team",
            Found::One(Arc::new(group("00g1", "app team", "OKTA_GROUP"))),
        ),
        (
            "hidden",
            Found::One(Arc::new(group("00g2", "other", "OKTA_GROUP"))),
        ),
        (
            "app",
            Found::One(Arc::new(group("00g3", "app ad", "APP_GROUP"))),
        ),
        (
            "builtin",
            Found::One(Arc::new(group("00g4", "app Everyone", "BUILT_IN"))),
        ),
        (
            "case",
            choose_group("App", vec![group("00g5", "app", "OKTA_GROUP")]),
        ),
        ("none", Found::Nothing),
    ];
    let knowledge = Knowledge {
        users: users
            .into_iter()
            .map(|(name, found)| (name.to_owned(), found))
            .collect(),
        groups: groups
            .into_iter()
            .map(|(name, found)| (name.to_owned(), found))
            .collect(),
        memberships: HashMap::new(),
    };
    let scope = Scope::new(
        vec![Domain::parse("example.com").unwrap()],
        false,
        Some(NameFilter::parse("app").unwrap()),
    );
    for (action, user, group, expected) in [
        (Action::Grant, "in", "team", None),
        (
            Action::Grant,
            "out",
            "team",
            Some((
                FailureKind::Refused,
                "out of scope: no address in example.com",
            )),
        ),
        (
            Action::Grant,
            "gone",
            "team",
            Some((FailureKind::Refused, "DEPROVISIONED")),
        ),
        (Action::Revoke, "gone", "team", None),
        (
            Action::Grant,
            "two",
            "team",
            Some((
                FailureKind::Refused,
                "several users: 00u4 (x1@example.com, SUSPENDED), 00u5 (no login, ACTIVE); use an id",
            )),
        ),
        (
            Action::Grant,
            "none",
            "team",
            Some((FailureKind::Other, "no user has")),
        ),
        (
            Action::Grant,
            "in",
            "hidden",
            Some((FailureKind::Refused, "does not contain \"app\"")),
        ),
        (
            Action::Grant,
            "in",
            "app",
            Some((FailureKind::Refused, "APP_GROUP")),
        ),
        (
            Action::Revoke,
            "in",
            "builtin",
            Some((FailureKind::Refused, "BUILT_IN")),
        ),
        (
            Action::Grant,
            "in",
            "case",
            Some((FailureKind::Refused, "did you mean")),
        ),
        (
            Action::Grant,
            "in",
            "none",
            Some((FailureKind::Other, "no group has")),
        ),
    ] {
        let row = Row {
            line: Some(2),
            user: user.to_owned(),
            group: group.to_owned(),
            keep: false,
            reviewed: None,
        };
        let planned_row = check(action, std::slice::from_ref(&row), &knowledge, &scope).remove(0);
        match (planned_row.action, expected) {
            (RowAction::Change, None) => {}
            (RowAction::Refused(refusal), Some((exit, part))) => {
                assert_eq!(refusal.kind, exit, "{user} {group}");
                assert!(refusal.reason.contains(part), "{}", refusal.reason);
            }
            (action, expected) => panic!("{user} {group}: {action:?}, not {expected:?}"),
        }
    }
    let rows: Vec<Row> = [2, 3]
        .map(|line| Row {
            line: Some(line),
            user: "in".to_owned(),
            group: "team".to_owned(),
            keep: false,
            reviewed: None,
        })
        .into();
    let planned_rows = check(Action::Grant, &rows, &knowledge, &scope);
    assert_eq!(planned_rows[1].action, RowAction::Duplicate(Some(2)));
    let mut sheet = rows;
    sheet[1].keep = true;
    for planned_row in check(Action::Revoke, &sheet, &knowledge, &scope) {
        let RowAction::Refused(refusal) = planned_row.action else {
            panic!("{:?}", planned_row.action)
        };
        assert!(
            refusal.reason.contains("contradicts this decision"),
            "{}",
            refusal.reason
        );
    }
}

#[test]
fn a_row_to_keep_that_may_refer_to_a_membership_prevents_its_revoke() {
    let ada = user("00u1", "a@example.com", "", "ACTIVE");
    let bob = user("00u2", "b@example.com", "", "ACTIVE");
    let (team, other) = (
        group("00g1", "team", "OKTA_GROUP"),
        group("00g2", "other", "OKTA_GROUP"),
    );
    let two_users = choose_user(
        "x@example.com",
        vec![
            user("00u1", "a@example.com", "x@example.com", ""),
            user("00u3", "c@example.com", "x@example.com", ""),
        ],
    );
    let users = HashMap::from([
        ("00u1".to_owned(), Found::One(Arc::new(ada))),
        ("00u2".to_owned(), Found::One(Arc::new(bob))),
        ("two".to_owned(), two_users),
        ("nobody".to_owned(), Found::Nothing),
        (
            "hidden".to_owned(),
            Found::Unreadable(RowRefusal {
                kind: FailureKind::Credentials,
                reason: "403".to_owned(),
            }),
        ),
    ]);
    let groups = HashMap::from([
        ("00g1".to_owned(), Found::One(Arc::new(team.clone()))),
        ("00g2".to_owned(), Found::One(Arc::new(other))),
        ("Team".to_owned(), choose_group("Team", vec![team.clone()])),
        (
            "team".to_owned(),
            choose_group("team", vec![team, group("00g3", "team", "APP_GROUP")]),
        ),
        ("nothing".to_owned(), Found::Nothing),
    ]);
    let knowledge = Knowledge {
        users,
        groups,
        memberships: HashMap::new(),
    };
    let scope = Scope::new(vec![Domain::parse("example.com").unwrap()], false, None);
    let row = |line, user: &str, group: &str, keep| Row {
        line: Some(line),
        user: user.to_owned(),
        group: group.to_owned(),
        keep,
        reviewed: None,
    };
    // Ada in team, Ada in other, Bob in team, Bob in other: which are still revoked.
    for (user, group, expected) in [
        ("two", "00g1", [false, true, true, true]),
        ("two", "00g2", [true, false, true, true]),
        ("nobody", "00g1", [false, true, false, true]),
        ("hidden", "00g2", [true, false, true, false]),
        ("00u1", "nothing", [false, false, true, true]),
        ("00u2", "team", [true, true, false, true]),
        ("00u2", "Team", [true, true, false, true]),
        ("two", "team", [false, true, true, true]),
        ("two", "nothing", [false, false, true, true]),
        ("nobody", "nothing", [false; 4]),
    ] {
        for keep_is_first in [true, false] {
            let mut rows = vec![
                row(3, "00u1", "00g1", false),
                row(4, "00u1", "00g2", false),
                row(5, "00u2", "00g1", false),
                row(6, "00u2", "00g2", false),
            ];
            let place = if keep_is_first { 0 } else { rows.len() };
            rows.insert(place, row(2, user, group, true));
            let mut planned_rows = check(Action::Revoke, &rows, &knowledge, &scope);
            let keep = planned_rows.remove(place);
            let RowAction::Refused(refusal) = keep.action else {
                panic!("{user} {group}: {:?}", keep.action)
            };
            assert!(
                refusal.reason.starts_with("its decision is keep, but "),
                "{}",
                refusal.reason
            );
            let revoked: Vec<bool> = planned_rows
                .iter()
                .map(|planned_row| planned_row.action == RowAction::Change)
                .collect();
            assert_eq!(revoked, expected, "{user} {group}");
            let stopped = planned_rows
                .iter()
                .filter(|planned_row| planned_row.action != RowAction::Change);
            for planned_row in stopped {
                let RowAction::Refused(refusal) = &planned_row.action else {
                    panic!("{:?}", planned_row.action)
                };
                assert_eq!(refusal.kind, FailureKind::Refused);
                assert!(
                    refusal.reason.contains("the decision of line 2 is keep"),
                    "{}",
                    refusal.reason
                );
            }
        }
    }
    // A row to keep with a clear membership is not shown and does not affect other rows.
    let rows = [row(2, "00u1", "00g1", true), row(3, "00u2", "00g1", false)];
    let planned_rows = check(Action::Revoke, &rows, &knowledge, &scope);
    assert_eq!(planned_rows.len(), 1);
    assert_eq!(planned_rows[0].action, RowAction::Change);
}

#[test]
fn changes_that_are_already_made_are_not_sent() {
    let (ada, team) = (
        user("00u1", "a@example.com", "", "ACTIVE"),
        group("00g1", "team", "OKTA_GROUP"),
    );
    for (action, member, expected) in [
        (Action::Grant, true, RowAction::Unchanged),
        (Action::Grant, false, RowAction::Change),
        (Action::Revoke, true, RowAction::Change),
        (Action::Revoke, false, RowAction::Unchanged),
    ] {
        let mut planned_rows = [PlannedRow {
            row: Row {
                line: None,
                user: String::new(),
                group: String::new(),
                keep: false,
                reviewed: None,
            },
            user: Some(Arc::new(ada.clone())),
            group: Some(Arc::new(team.clone())),
            action: RowAction::Change,
        }];
        let memberships = HashMap::from([((ada.id.clone(), team.id.clone()), Ok(member))]);
        let knowledge = Knowledge {
            users: HashMap::new(),
            groups: HashMap::new(),
            memberships,
        };
        leave_out_what_is_done(action, &mut planned_rows, &knowledge);
        assert_eq!(planned_rows[0].action, expected, "{action:?} {member}");
    }
}

/// Parses pairs of a letter for the user and a digit for the group: `a1 b1` is two users in one group. Capital letters
/// are deprovisioned users.
fn pairs(text: &str, sizes: &[Option<u64>]) -> Vec<Pair> {
    let pair = |word: &str| {
        let (name, number) = word.split_at(1);
        let status = if name == name.to_lowercase() {
            "ACTIVE"
        } else {
            "DEPROVISIONED"
        };
        let number: usize = number.parse().unwrap();
        let group = Group {
            members_reported: sizes[number],
            ..group(&format!("00g{number}"), "team", "OKTA_GROUP")
        };
        (
            Arc::new(user(&format!("00u{name}"), name, "", status)),
            Arc::new(group),
        )
    };
    text.split_whitespace().map(pair).collect()
}

#[test]
fn memberships_are_read_with_the_fewest_requests() {
    for (text, sizes, groups, users) in [
        ("", &[][..], "", ""),
        // For one user of a group, both strategies need one request, and the user's groups are listed.
        ("a0", &[Some(5)], "", "a"),
        ("a0 b0", &[Some(5)], "0", ""),
        ("a0 b0", &[Some(1000)], "0", ""),
        ("a0 b0", &[Some(1001)], "", "ab"),
        ("a0 b0 c0", &[Some(1001)], "0", ""),
        // A repeated row counts once.
        ("a0 a0 a0", &[Some(5)], "", "a"),
        // The cost of listing a group of unknown size is unknown.
        ("a0 b0 c0", &[None], "", "abc"),
        ("A0 B0 c0", &[Some(3)], "", "ABc"),
        ("A0 b0 c0", &[Some(3)], "0", "A"),
        // The groups of a user are listed once for many rows.
        ("a0 a1 a2", &[Some(1), Some(1), Some(1)], "", "a"),
        ("a0 b0 c0 a1 b1 c1", &[Some(3), Some(3)], "01", ""),
        ("a0 b0 a1 b1", &[Some(3), Some(3)], "", "ab"),
        // The users of a large group are read one by one, and the members of a small group are listed.
        ("a0 b0 c1 d1 e1", &[Some(90_000), Some(3)], "1", "ab"),
        // The second list is worthwhile only because the first one is read.
        ("a0 b0 c0 a1 d1 e1 f1", &[Some(1500), Some(3)], "01", ""),
        ("a0 a1 b1 c1", &[None, Some(3)], "1", "a"),
    ] {
        let reading = Reading::cheapest(&pairs(text, sizes), 1000);
        let ids = |mut ids: Vec<String>| {
            ids.sort();
            ids.iter().map(|id| id[3..].to_owned()).collect::<String>()
        };
        let listed = ids(reading.groups.iter().map(ToString::to_string).collect());
        let requested = ids(reading.users.iter().map(ToString::to_string).collect());
        assert_eq!(
            (listed.as_str(), requested.as_str()),
            (groups, users),
            "{text} {sizes:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn every_membership_is_read_with_at_most_one_request_per_user(
        rows in proptest::collection::vec((0..9_u8, 0..5_usize), 0..40),
        sizes in proptest::collection::vec(proptest::option::of(0..5_000_u64), 5),
    ) {
        let text: Vec<String> = rows
            .iter()
            .map(|(user, group)| format!("{}{group}", char::from(b"abcdefgXY"[usize::from(*user)])))
            .collect();
        let pairs = pairs(&text.join(" "), &sizes);
        let reading = Reading::cheapest(&pairs, 1000);
        for (user, group) in &pairs {
            let listed = reading.groups.contains(&group.id) && !user.is_deprovisioned();
            proptest::prop_assert!(listed || reading.users.contains(&user.id));
        }
        let lists: u64 = reading
            .groups
            .iter()
            .map(|id| {
                let (_, group) = pairs.iter().find(|(_, group)| group.id == *id).unwrap();
                pages(group.members_reported, 1000)
            })
            .sum();
        let by_user = Reading::by_user(&pairs).users.len();
        proptest::prop_assert!(lists + reading.users.len() as u64 <= by_user as u64);
    }
}

#[test]
fn rules_require_confirming_a_revoke_and_admin_roles_a_grant() {
    let rule = Rules::Known(vec!["by department".to_owned()]);
    let none = Rules::Known(Vec::new());
    for (action, admin, rules, notes, needs_yes) in [
        (Action::Grant, Some(false), &none, 0, false),
        (Action::Revoke, Some(false), &none, 0, false),
        (Action::Grant, Some(false), &rule, 1, false),
        (Action::Revoke, Some(false), &rule, 1, true),
        (Action::Revoke, Some(false), &Rules::Unknown, 1, true),
        (Action::Grant, Some(true), &none, 1, true),
        (Action::Grant, None, &none, 1, true),
        (Action::Revoke, Some(true), &none, 1, false),
    ] {
        let team = Group {
            has_admin_privilege: admin,
            ..group("00g1", "team", "OKTA_GROUP")
        };
        let (said, yes) = caution(action, &team, rules);
        assert_eq!(
            (said.len(), yes),
            (notes, needs_yes),
            "{action:?} {admin:?} {rules:?}"
        );
    }
}
