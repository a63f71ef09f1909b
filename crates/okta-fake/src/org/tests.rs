use std::time::Duration;

use super::*;

fn org() -> Org {
    let mut org = Org::new();
    org.add_user(User::with_email("00u1", "A.Person@example.com"));
    org.add_user(User::with_email("00u2", "b@example.org").status("DEPROVISIONED"));
    org.add_group(Group::new("00g1", "One"));
    org.join("00g1", "00u1");
    org.join("00g1", "00u2");
    org
}

#[test]
fn everyone_contains_all_but_deprovisioned_users_without_storing_them() {
    let mut org = org();
    let everyone = org.find_group("Everyone").unwrap().id.clone();
    assert_eq!(org.members(&everyone), ["00u1".into()]);
    assert!(!org.join(&everyone, "00u2"));
    org.edit_user("00u2", |user| user.status = "ACTIVE".into());
    assert_eq!(org.members(&everyone).len(), 2);
}

#[test]
fn removed_objects_leave_no_memberships() {
    let mut org = org();
    assert!(org.remove_user("00u1") && !org.remove_user("00u1"));
    assert_eq!(org.members("00g1"), ["00u2".into()]);
    assert!(org.remove_group("00g1"));
    assert!(org.user("00u2").unwrap().groups.is_empty());
}

#[test]
fn an_edit_keeps_memberships_and_renews_the_index() {
    let mut org = org();
    org.edit_user("00u1", |user| {
        user.profile = r#"{"login":"New@example.com"}"#.into();
        user.created = 5;
    });
    assert_eq!(org.find_user("NEW@example.com").unwrap().id, "00u1".into());
    assert!(org.is_member("00g1", "00u1"));
    assert_eq!(org.by_created.len(), 2);
    org.edit_group("00g1", |group| group.profile = r#"{"name":"Uno"}"#.into());
    assert_eq!(org.members(&org.find_group("Uno").unwrap().id).len(), 2);
}

#[test]
fn a_user_is_found_by_id_login_and_an_unambiguous_short_login() {
    let mut org = org();
    for name in ["00u1", "a.person@EXAMPLE.com", "A.person"] {
        assert_eq!(org.find_user(name).unwrap().id, "00u1".into(), "{name}");
    }
    org.add_user(User::with_email("00u3", "a.person@example.org"));
    assert!(org.find_user("a.person").is_none());
}

#[test]
fn a_delayed_change_is_stored_at_once_and_shown_when_it_is_due() {
    let mut org = org();
    let now = Instant::now();
    org.set_later("00g1", "00u1", false, now + Duration::from_secs(5));
    assert!(!org.is_member("00g1", "00u1") && org.members("00g1").len() == 1);
    assert_eq!(org.size(org.group("00g1").unwrap()), 2);
    assert!(!org.is_due(now));
    org.apply_due(now + Duration::from_secs(6));
    assert_eq!(org.size(org.group("00g1").unwrap()), 1);
}

#[test]
fn the_server_reads_status_and_addresses_of_a_raw_user() {
    let mut org = Org::new();
    let text = r#"{"status":"NEW_ONE","profile":{"login":"x@example.com","email":7}}"#;
    org.add_user(User::with_raw("00u9", text));
    let user = org.find_user("x@example.com").unwrap();
    assert_eq!(
        (user.status.as_ref(), user.email.as_deref()),
        ("NEW_ONE", None)
    );
}
