//! Tests the scope: spellings of domains and addresses, and a domain without users.

use okta_fake::{Options, Org, PageCap, User};

use crate::support::{Folder, Okta, open, rows, unlimited};

/// Returns an org with one user for each address, and users outside all domains, so that the listing has several pages.
fn org(addresses: &[&str]) -> Org {
    let mut org = Org::demo();
    for (number, address) in addresses.iter().enumerate() {
        org.add_user(User::with_email(&format!("00uscope{number}"), address));
    }
    org
}

fn kept(folder: &Folder) -> Vec<String> {
    let db = open(&folder.path("sync.c1z"));
    rows(&db, "select id from users order by id")
}

#[test]
fn a_domain_is_the_same_in_unicode_and_in_ascii_with_and_without_a_search() {
    let addresses = [
        "a@b\u{fc}cher.example",
        "a@xn--bcher-kva.example",
        "A@B\u{dc}CHER.example",
        "a@bucher.example",
    ];
    for typed in ["b\u{fc}cher.example", "xn--bcher-kva.example"] {
        for skip in [&[][..], &["--skip-secondary-emails"]] {
            let okta = Okta::with(org(&addresses));
            let folder = Folder::new();
            let arguments = [&["--email-domains", typed], skip].concat();
            folder.sync(&okta, &arguments).ok();
            let ids = ["00uscope0", "00uscope1", "00uscope2"];
            assert_eq!(kept(&folder), ids, "{typed} {skip:?}");
        }
    }
}

#[test]
fn an_address_matches_in_every_spelling() {
    let addresses = [
        "a@scope.example.",
        "a@scope.example ",
        "Ada <a@scope.example>",
        "a@scope.example <a@other.example>",
    ];
    let okta = Okta::with(org(&addresses));
    let folder = Folder::new();
    folder
        .sync(&okta, &["--email-domains", "scope.example."])
        .ok();
    assert_eq!(kept(&folder), ["00uscope0", "00uscope1", "00uscope2"]);
}

#[test]
fn a_domain_without_users_is_a_warning_and_the_others_are_counted() {
    let options = Options {
        page_cap: PageCap {
            users: 7,
            ..PageCap::default()
        },
        ..unlimited()
    };
    for options in [unlimited(), options] {
        let okta = Okta::with_options(org(&["a@scope.example"]), options);
        let folder = Folder::new();
        let domains = ["--email-domains", "scope.example,exmaple.com,example.org"];
        let warning =
            "no user has an address in exmaple.com; check the spelling of --email-domains";
        let plan = folder
            .sync(
                &okta,
                &[&domains[..], &["--plan", "--output", "json"]].concat(),
            )
            .ok()
            .says(warning);
        assert_eq!(plan.json()["warnings"][0]["code"], "domain_unused");
        let ran = folder.sync(&okta, &domains).ok().says(warning);
        assert!(
            ran.stdout.contains("    exmaple.com  0\n"),
            "{}",
            ran.stdout
        );
        assert!(
            ran.stdout.contains("    scope.example  1: 1 by email\n"),
            "{}",
            ran.stdout
        );
        let shown = folder.run(&["show"]).ok();
        assert!(
            shown.stdout.contains("    exmaple.com  0\n"),
            "{}",
            shown.stdout
        );
        let json = folder.run(&["show", "--output", "json"]).ok().json();
        assert_eq!(json["domains"][1]["domain"], "exmaple.com");
        assert_eq!(json["domains"][2]["users"], 1);
        assert_eq!(json["warnings"][0]["code"], "domain_unused");
        let db = open(&folder.path("sync.c1z"));
        let counts =
            "select users = users_by_email + users_by_login + users_by_second_email from domains";
        assert_eq!(rows(&db, counts), ["1", "1", "1"]);
        let check = folder
            .run(&["check", "--email-domains", domains[1]])
            .env("BATON_DOMAIN", &okta.origin())
            .env("BATON_API_TOKEN", okta.token())
            .ok();
        let line = check.stdout.lines().find(|line| line.contains(" domains "));
        let line = line.unwrap_or_default();
        assert!(
            line.starts_with("warning") && line.ends_with(" in exmaple.com"),
            "{}",
            check.stdout
        );
    }
}
