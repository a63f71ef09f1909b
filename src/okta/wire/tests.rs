use super::body::MOST_ELEMENTS;
use super::*;

#[test]
fn a_user_is_read_whatever_types_the_fields_have() {
    let body = r#"[
        {"id":"00u1","status":"ACTIVE","created":"2025-01-09T08:11:02.000Z","lastLogin":null,"profile":
          {"login":"a@example.com","email":42,"secondEmail":null,"big":12345678901234567890123,"exact":1.50,"list":[1,{"x":null}]},
          "extra":{"deep":[1,2]}},
        {"id":"00u2","status":7,"created":"yesterday","lastUpdated":1.5,"activated":{"a":1},"profile":"none"},
        {"id":"00u3","profile":null},
        {"id":"00u4","status":"NEW_ONE","profile":{"email":"\u0061@example.com"}}
    ]"#;
    let users = users(body.as_bytes()).unwrap();
    let first = users[0].to_model().unwrap();
    assert_eq!(first.login(), Some("a@example.com"));
    assert_eq!(first.email(), None);
    assert_eq!(first.profile["big"].to_string(), "12345678901234567890123");
    assert_eq!(first.profile["exact"].to_string(), "1.50");
    assert_eq!(first.created.unwrap().to_string(), "2025-01-09T08:11:02Z");
    assert_eq!(users[1].to_model().unwrap().status, None);
    assert_eq!(users[1].to_model().unwrap().created, None);
    assert!(users[1].to_model().unwrap().profile.is_empty());
    assert!(users[2].to_model().unwrap().profile.is_empty());
    assert_eq!(
        users[3].to_model().unwrap().status.as_deref(),
        Some("NEW_ONE")
    );
    let addresses = users[0].with_addresses(|a| (a.email.is_some(), a.login.map(str::to_owned)));
    assert_eq!(
        addresses.unwrap(),
        (false, Some("a@example.com".to_owned()))
    );
    assert_eq!(
        users[3]
            .with_addresses(|a| a.email.map(str::to_owned))
            .unwrap()
            .unwrap(),
        "a@example.com"
    );
}

#[test]
fn half_a_character_is_repaired_in_every_kind_of_response() {
    let cut = r"cut \ud83d";
    let fixed = |json: String| repaired(json.into_bytes());
    let body = fixed(format!(r#"[{{"id":"00u1","status":"{cut}"}}]"#));
    let first = users(&body).unwrap()[0].to_model().unwrap();
    assert_eq!(first.status.as_deref(), Some("cut \u{fffd}"));
    let body = fixed(format!(
        r#"[{{"id":"0pr1","name":"{cut}","status":"ACTIVE"}}]"#
    ));
    assert_eq!(rules(&body).unwrap()[0].name, "cut \u{fffd}");
    let body = fixed(format!(r#"[{{"type":"{cut}"}}]"#));
    assert_eq!(
        roles(&body).unwrap()[0].kind.as_deref(),
        Some("cut \u{fffd}")
    );
    let body = fixed(format!(r#"{{"companyName":"{cut}"}}"#));
    assert_eq!(company(&body).unwrap().as_deref(), Some("cut \u{fffd}"));
    let body = fixed(format!(
        r#"{{"errorCode":"E0000001","errorSummary":"{cut}"}}"#
    ));
    assert_eq!(refusal(&body).1.as_deref(), Some("cut \u{fffd}"));
    let whole = r#"{"companyName":"a \ud83d\ude00 \\ud83d"}"#.as_bytes().to_vec();
    assert_eq!(repaired(whole.clone()), whole);
}

#[test]
fn a_body_has_no_more_rows_values_or_levels_than_a_page() {
    let rows = |n: usize| format!("[{}]", vec![r#"{"id":"a,[{","b":[1,2]}"#; n].join(","));
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let values = |n: usize| format!("[{{\"a\":[{}0]}}]", "0,".repeat(n));
    for (body, requested, ok, smaller) in [
        (rows(200), Some(200), true, false),
        (rows(401), Some(200), false, false),
        (rows(400), Some(1), true, false),
        (rows(2000), Some(1000), true, false),
        (rows(10_000), None, true, false),
        (rows(10_001), None, false, false),
        (nested(64), None, true, false),
        (nested(65), None, false, false),
        (values(MOST_ELEMENTS), Some(200), false, true),
        (values(MOST_ELEMENTS - 100), Some(200), true, false),
        (format!(r#"{{"a":{}}}"#, rows(300)), None, true, false),
        (String::new(), None, true, false),
        (r#"["unclosed \"#.to_owned(), None, true, false),
    ] {
        let found = check_bounds(body.as_bytes(), requested);
        let text = &body[..body.len().min(40)];
        assert_eq!(found.is_ok(), ok, "{text} {requested:?} {found:?}");
        assert_eq!(
            found.is_err_and(|unbounded| unbounded.smaller),
            smaller,
            "{text}"
        );
    }
}

#[test]
fn half_a_character_and_a_key_twice_lose_nobody() {
    let body = r#"[{"id":"00u1","profile":{"email":"a@example.com","displayName":"bad \ud83d end \ud83d\ude00 \\ud83d"}},
        {"id":"00u2","profile":{"email":"x","email":"b@example.com","login":"\udc00@example.com"}}]"#;
    let body = repaired(body.as_bytes().to_vec());
    let users = users(&body).unwrap();
    let first = users[0].to_model().unwrap();
    assert_eq!(
        first.text("displayName"),
        Some("bad \u{fffd} end \u{1f600} \\ud83d")
    );
    let email = |user: &WireUser<'_>| user.with_addresses(|a| a.email.map(str::to_owned)).unwrap();
    assert_eq!(email(&users[0]).as_deref(), Some("a@example.com"));
    assert_eq!(email(&users[1]).as_deref(), Some("b@example.com"));
    assert_eq!(
        users[1].to_model().unwrap().login(),
        Some("\u{fffd}@example.com")
    );
    let body = br#"[{"id":"00g1","profile":{"name":"cut \ud83d"}}]"#;
    let groups = groups(&repaired(body.to_vec())).unwrap();
    assert_eq!(groups[0].name(), Some("cut \u{fffd}"));
}

#[test]
fn a_group_is_read_whatever_types_the_fields_have() {
    let body = r#"[
        {"id":"00g1","type":"APP_GROUP","profile":{"name":"Payroll","description":null},
         "_links":{"source":{"href":"https://company.okta.com/api/v1/apps/0oa1"}},
         "_embedded":{"stats":{"usersCount":42,"hasAdminPrivlege":true}}},
        {"id":"00g2","type":null,"profile":{"name":7},"source":{"id":"0oa2"},"_embedded":{"stats":{"usersCount":-1}}},
        {"id":"00g3","_embedded":null,"_links":[]}
    ]"#;
    let groups = groups(body.as_bytes()).unwrap();
    assert_eq!(groups[0].source_id.as_deref(), Some("0oa1"));
    assert_eq!(groups[0].members_reported, Some(42));
    assert_eq!(groups[0].has_admin_privilege, Some(true));
    assert_eq!(groups[1].source_id.as_deref(), Some("0oa2"));
    assert_eq!((groups[1].name(), groups[1].members_reported), (None, None));
    assert_eq!(
        (groups[2].kind.as_ref(), groups[2].members_reported),
        (None, None)
    );
}

#[test]
fn roles_and_the_company_are_read_whatever_types_the_fields_have() {
    let body = br#"[{"id":"ra1","type":"USER_ADMIN","label":"Group Administrator","status":"ACTIVE"},{"type":7},{}]"#;
    let found = roles(body).unwrap();
    assert_eq!(found[0].kind.as_deref(), Some("USER_ADMIN"));
    assert_eq!(found[0].status.as_deref(), Some("ACTIVE"));
    assert_eq!((found[1].kind.as_ref(), found.len()), (None, 3));
    assert!(roles(b"{}").is_err() && roles(b"[1]").is_err());
    let name = |body: &[u8]| company(body).unwrap();
    assert_eq!(name(br#"{"companyName":"Kestrel"}"#).unwrap(), "Kestrel");
    assert_eq!(name(br#"{"companyName":null}"#), None);
    assert!(company(b"[]").is_err());
    assert_eq!(how_many(b"[{},1]"), Ok(2));
    assert!(how_many(b"{}").is_err());
}

#[test]
fn a_page_of_another_shape_is_malformed() {
    let other = "not the JSON that Okta documents";
    let no_id = "row 1 of the response has no id";
    for (body, of_users, of_groups) in [
        ("", other, other),
        ("{}", other, other),
        ("null", other, other),
        ("[1]", other, "row 1 of the response is not the JSON"),
        (
            "[{\"id\":\"00u1\"},1]",
            other,
            "row 2 of the response is not the JSON",
        ),
        ("[[]]", no_id, other),
        ("[{}]", no_id, no_id),
        ("[{\"id\":null}]", no_id, no_id),
        ("[{\"id\":\"\"}]", no_id, no_id),
        ("[{\"id\":5}]", no_id, no_id),
        ("[{\"id\":\"../x\"}]", no_id, no_id),
        ("[{\"id\":\"a b\"}]", no_id, no_id),
        ("<html>", other, other),
        ("[{\"id\":\"00u1\"}", other, other),
    ] {
        let error = users(body.as_bytes()).err().unwrap().to_string();
        assert!(error.contains(of_users), "{body}: {error}");
        let error = groups(body.as_bytes()).err().unwrap().to_string();
        assert!(error.contains(of_groups), "{body}: {error}");
    }
    let error = users(b"[{\"id\":\"\xff\"}]").err().unwrap();
    assert!(error.to_string().contains("is not UTF-8"), "{error}");
    assert!(users(b"[]").unwrap().is_empty());
}

#[test]
fn an_error_is_read_with_its_causes_or_not_at_all() {
    let body = br#"{"errorCode":"E0000001","errorSummary":"Api validation failed","errorCauses":[{"errorSummary":"limit"},{}]}"#;
    assert_eq!(
        refusal(body),
        (
            Some("E0000001".to_owned()),
            Some("Api validation failed: limit".to_owned())
        )
    );
    for body in ["<html>", "", "[]", "{\"errorCode\":1}"] {
        assert_eq!(refusal(body.as_bytes()), (None, None), "{body}");
    }
}
