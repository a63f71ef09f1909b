//! The sample company of the demo, whose people are invented.
//!
//! It contains one example of every unusual case in an Okta org.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::org::{Group, Millis, Org, Role, Rule, User, at};
use super::random::id;

const DAY: Millis = 86_400_000;

/// The letters of groups in [`PEOPLE`], with the names and descriptions of the groups.
const GROUPS: [(char, &str, &str); 10] = [
    ('a', "All staff", "Everybody on the payroll"),
    ('e', "Engineering", "People who build the product"),
    ('v', "VPN users", "May connect from outside"),
    (
        'V',
        "vpn users",
        "An old group that somebody forgot; its name differs in case only",
    ),
    ('f', "Finance", ""),
    (
        'o',
        "Okta helpdesk",
        "Carries an admin role: may reset passwords",
    ),
    ('c', "Contractors", "Filled by a rule"),
    ('u', "Équipe Ünïcode 日本", "A name that is not ASCII"),
    ('p', "Payroll (AD)", "Imported from a directory"),
    ('n', "Nobody yet", "No member"),
];

/// First name, last name, login, email (`=` is the login), status, department, title, groups.
type Person = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const PEOPLE: [Person; 60] = [
    ("Mira", "Okonjo", "mira.okonjo@example.com", "=", "ACTIVE", "IT", "Head of IT", "aevo"),
    ("Tobias", "Lindgren", "tobias.lindgren@example.com", "=", "ACTIVE", "IT", "Administrator", "aevop"),
    ("Sunniva", "Aasland", "sunniva.aasland@example.com", "=", "ACTIVE", "Engineering", "Staff Engineer", "aev"),
    ("Rajan", "Velayudhan", "rajan.velayudhan@example.com", "=", "ACTIVE", "Engineering", "Engineer", "aev"),
    ("Chiara", "Bellandi", "chiara.bellandi@example.com", "=", "ACTIVE", "Engineering", "Engineer", "aeu"),
    ("Kwabena", "Asiedu", "kwabena.asiedu@example.com", "=", "ACTIVE", "Engineering", "Engineer", "aev"),
    ("Hanneke", "Vrolijk", "hanneke.vrolijk@example.com", "=", "ACTIVE", "Engineering", "Engineering Manager", "aev"),
    ("Yuki", "Morinaga", "yuki.morinaga@example.com", "=", "ACTIVE", "Engineering", "Engineer", "aeu"),
    ("Dorothea", "Pfister", "dorothea.pfister@example.com", "=", "LOCKED_OUT", "Engineering", "Engineer", "aev"),
    ("Emre", "Karaca", "emre.karaca@example.com", "=", "ACTIVE", "Engineering", "Engineer", "ae"),
    ("Lucía", "Ferrándiz", "lucia.ferrandiz@example.com", "=", "ACTIVE", "Engineering", "Designer", "aeu"),
    ("Oskar", "Wrona", "oskar.wrona@example.com", "=", "SUSPENDED", "Engineering", "Engineer", "aev"),
    ("Anahí", "Quiroga", "anahi.quiroga@example.com", "=", "ACTIVE", "Engineering", "Engineer", "ae"),
    ("Brendan", "Kilbride", "brendan.kilbride@example.com", "=", "PASSWORD_EXPIRED", "Engineering", "Engineer", "aev"),
    ("Mahsa", "Tavakol", "mahsa.tavakol@example.com", "=", "ACTIVE", "Engineering", "Test Engineer", "ae"),
    ("Ferenc", "Halmos", "ferenc.halmos@example.com", "=", "STAGED", "Engineering", "Engineer", "a"),
    ("Gabriela", "Montano", "gabriela.montano@example.com", "=", "ACTIVE", "Finance", "Head of Finance", "afp"),
    ("Aurelio", "Casati", "aurelio.casati@example.com", "=", "ACTIVE", "Finance", "Accountant", "afp"),
    ("Wilma", "Dekens", "wilma.dekens@example.com", "=", "ACTIVE", "Finance", "Accountant", "afp"),
    ("Piotr", "Zalewa", "piotr.zalewa@example.com", "=", "ACTIVE", "Finance", "Controller", "afpv"),
    ("Nadine", "Courtois", "nadine.courtois@example.com", "=", "DEPROVISIONED", "Finance", "Accountant", "afp"),
    ("Samir", "Belhadj", "samir.belhadj@example.com", "=", "ACTIVE", "Support", "Team Lead", "aov"),
    ("Ingrid", "Solvang", "ingrid.solvang@example.com", "=", "ACTIVE", "Support", "Agent", "ao"),
    ("Thandiwe", "Mbatha", "thandiwe.mbatha@example.com", "=", "ACTIVE", "Support", "Agent", "a"),
    ("Ludovic", "Garnier", "ludovic.garnier@example.com", "=", "ACTIVE", "Support", "Agent", "au"),
    ("Petra", "Novotna", "petra.novotna@example.com", "=", "RECOVERY", "Support", "Agent", "a"),
    ("Callum", "Rennie", "callum.rennie@example.com", "=", "PROVISIONED", "Support", "Agent", "a"),
    ("Xiomara", "Duarte", "xiomara.duarte@example.com", "=", "DEPROVISIONED", "Support", "Agent", "V"),
    ("Ελένη", "Παπαδάκη", "eleni.papadaki@example.com", "=", "ACTIVE", "Sales", "Account Manager", "au"),
    ("ليلى", "حداد", "layla.haddad@example.com", "=", "ACTIVE", "Sales", "Account Manager", "au"),
    ("Nguyễn", "Thị Hồng", "hong.nguyen@example.com", "=", "ACTIVE", "Sales", "Sales Engineer", "au"),
    ("健", "佐久間", "ken.sakuma@example.com", "=", "ACTIVE", "Sales", "Country Manager", "au"),
    ("Margit", "Uhlmann", "margit.uhlmann@example.com", "Margit.Uhlmann@EXAMPLE.com", "ACTIVE", "Sales", "Head of Sales", "av"),
    ("Declan", "O'Hara", "declan.o'hara@example.com", "=", "ACTIVE", "Sales", "Account Manager", "a"),
    ("Jean-Luc", "de la Tour", "jl.delatour@example.com", "=", "ACTIVE", "Legal", "Counsel", "av"),
    ("Beatrix", "Haslinger", "beatrix.haslinger@eu.example.com", "=", "ACTIVE", "Legal", "Counsel", "a"),
    ("Vilde", "Tangen", "vilde.tangen@eu.example.com", "=", "ACTIVE", "People", "Recruiter", "a"),
    ("Marek", "Simko", "marek.simko@example.org", "=", "ACTIVE", "Foundation", "Director", "av"),
    ("Adaeze", "Nwoye", "adaeze.nwoye@example.org", "=", "ACTIVE", "Foundation", "Programme Lead", "a"),
    ("Joaquín", "Barrios", "joaquin.barrios@example.org", "=", "ACTIVE", "Foundation", "Programme Lead", "au"),
    ("Sieglinde", "Amrein", "sieglinde.amrein@example.org", "=", "SUSPENDED", "Foundation", "Assistant", ""),
    ("Tuan", "Pham", "tuan.pham@example.org", "=", "ACTIVE", "Foundation", "Analyst", ""),
    ("Olena", "Hryhorenko", "olena.hryhorenko@example.org", "=", "STAGED", "Foundation", "Analyst", ""),
    ("Ruben", "Castellanos", "ruben.castellanos@contractor.example", "=", "ACTIVE", "Engineering", "Consultant", "cv"),
    ("Faye", "Whitlock", "faye.whitlock@contractor.example", "=", "ACTIVE", "Engineering", "Consultant", "c"),
    ("Goran", "Perkovic", "goran.perkovic@contractor.example", "=", "ACTIVE", "Engineering", "Consultant", "cvV"),
    ("Anneli", "Raudsepp", "anneli.raudsepp@contractor.example", "=", "LOCKED_OUT", "Support", "Consultant", "c"),
    ("Hamza", "Chaudhry", "hamza.chaudhry@contractor.example", "=", "DEPROVISIONED", "Engineering", "Consultant", "cv"),
    ("Solveig", "Brekke", "solveig.brekke@contractor.example", "=", "ACTIVE", "Finance", "Auditor", "cf"),
    ("Zoltan", "Feher", "zoltan.feher@contractor.example", "=", "PASSWORD_EXPIRED", "Support", "Consultant", "c"),
    ("Imani", "Kariuki", "imani.kariuki@contractor.example", "=", "PROVISIONED", "Engineering", "Consultant", "c"),
    ("Rosalind", "Achterberg", "rosalind.a@contractor.example", "=", "ACTIVE", "Engineering", "Former employee", "acv"),
    ("", "", "svc-backup", "svc-backup@example.com", "ACTIVE", "", "", "v"),
    ("", "", "kiosk.lobby", "facilities@contractor.example", "ACTIVE", "", "", ""),
    ("Casper", "Thygesen", "casper.thygesen@example.com", "c.thygesen@contractor.example", "ACTIVE", "Marketing", "Writer", "ac"),
    ("Noémie", "Lacroix", "noemie.lacroix@example.com", "=", "ACTIVE", "Marketing", "Head of Marketing", "au"),
    ("Bram", "Oosterhuis", "bram.oosterhuis@example.com", "=", "ACTIVE", "Marketing", "Writer", "a"),
    ("Keziah", "Abara", "keziah.abara@example.com", "=", "ACTIVE", "People", "Head of People", "af"),
    ("Ilse", "Vandamme", "ilse.vandamme@example.com", "=", "ACTIVE", "People", "Partner", "a"),
    ("Arvid", "Nyqvist", "arvid.nyqvist@example.com", "=", "DEPROVISIONED", "Engineering", "Engineer", "aevo"),
];

/// The login of the user whose only address in the company's domains is a secondary email.
const SECOND_ONLY: &str = "rosalind.a@contractor.example";

impl Org {
    /// Returns the sample company.
    pub fn demo() -> Self {
        let mut org = Self::new();
        org.company = "Kestrel & Rook (sample org)".to_owned();
        org.add_group(admins());
        for (number, (letter, name, description)) in (0..).zip(GROUPS) {
            org.add_group(group(&group_id(number), letter, name, description));
        }
        for (number, person) in (0..).zip(&PEOPLE) {
            let user = user(number, person);
            let id = user.id.clone();
            org.add_user(user);
            for (number, (letter, ..)) in (0..).zip(GROUPS) {
                if person.7.contains(letter) {
                    org.join(&group_id(number), &id);
                }
            }
        }
        for number in [0, 1] {
            org.join(ADMINS, &user_id(number));
        }
        org.owner = Some(user_id(0));
        let role = Role::new("SUPER_ADMIN", "Super Administrator");
        org.roles.insert(user_id(0), vec![role]);
        org.rules = rules(&org);
        org
    }

    /// Moves the last sign-ins of most active users to the weeks before `day`. Otherwise all users would be dormant,
    /// since the sample data contains sign-ins from years ago.
    #[must_use]
    pub fn signed_in_before(mut self, day: Millis) -> Self {
        const HOUR: Millis = DAY / 24;
        for (number, user) in (0..).zip(self.users_mut()) {
            let is_recent = user.status == "ACTIVE" && number % 7 != 3;
            if is_recent && user.last_login.is_some() {
                let weeks_ago = number * number * 5 % 75 * DAY;
                user.last_login = Some(day - weeks_ago - number % 11 * HOUR);
            }
        }
        self
    }
}

const ADMINS: &str = "00g00000000admins000";

fn user_id(number: u64) -> Arc<str> {
    // The ids do not follow the order of the table, since Okta's ids are in no such order either.
    id("00u", number * 37 % 61 + 62 * 62 * 62, 1)
}

fn group_id(number: u64) -> Arc<str> {
    id("00g", number * 5 % 13 + 62 * 62 * 62, 2)
}

fn admins() -> Group {
    Group {
        admin: Some(true),
        ..Group::new(ADMINS, "Okta Administrators").kind("BUILT_IN")
    }
    .profile(r#"{"name":"Okta Administrators","description":"Okta manages this group"}"#)
}

fn group(id: &str, letter: char, name: &str, description: &str) -> Group {
    let mut profile = Map::new();
    profile.insert("name".to_owned(), name.into());
    let description = match letter {
        'c' => Value::from(format!("{description}. ").repeat(60).trim_end()),
        _ if description.is_empty() => Value::Null,
        _ => description.into(),
    };
    profile.insert("description".to_owned(), description);
    let mut group = Group::new(id, name);
    match letter {
        'o' => group.admin = Some(true),
        'p' => {
            group.kind = "APP_GROUP".into();
            group.object_class = "okta:windows_security_principal".into();
            group.source = Some("0oa1demodirectory0h7".into());
            for (key, value) in [
                ("samAccountName", "Payroll"),
                ("dn", "CN=Payroll,OU=Groups,DC=corp,DC=example"),
                ("windowsDomainQualifiedName", "CORP\\Payroll"),
                ("groupType", "Security"),
                ("groupScope", "Global"),
                ("externalId", "q83vEjRWeJCrze8SNFZ4kA=="),
            ] {
                profile.insert(key.to_owned(), value.into());
            }
        }
        'e' => {
            profile.insert("costCenters".to_owned(), json!([4100, 4200]));
            profile.insert("reviewed".to_owned(), json!(true));
        }
        _ => {}
    }
    group.last_membership_updated = at("2025-02-14T16:20:00Z");
    group.profile(Value::Object(profile).to_string())
}

fn user(number: u64, person: &Person) -> User {
    let (first, _, _, _, status, ..) = *person;
    let profile = profile(number, person);
    let days = Millis::try_from(number).unwrap_or(0);
    let created = at("2021-03-01T08:30:00Z") + days * 23 * DAY + days * 1_234_567;
    let after = |days: Millis| Some(created + days * DAY);
    let unused = matches!(status, "STAGED" | "PROVISIONED") || first.is_empty();
    let staged = status == "STAGED";
    User {
        status: status.into(),
        created,
        activated: after(1).filter(|_| !staged),
        status_changed: after(if status == "ACTIVE" { 1 } else { 90 }).filter(|_| !staged),
        last_login: after(100 + days % 40).filter(|_| !unused),
        last_updated: created + 120 * DAY,
        password_changed: after(2).filter(|_| !unused),
        ..User::new(&user_id(number), Value::Object(profile).to_string())
    }
}

fn profile(number: u64, person: &Person) -> Map<String, Value> {
    let (first, last, login, email, _, department, title, _) = *person;
    let some = |text: &str| match text {
        "" => Value::Null,
        text => text.into(),
    };
    let email = if email == "=" { login } else { email };
    let second = match login {
        SECOND_ONLY => "rosalind.achterberg@example.com".into(),
        _ if number % 9 == 4 => {
            format!("{}@home.example", login.split('@').next().unwrap_or(login)).into()
        }
        _ => Value::Null,
    };
    let mut profile = Map::new();
    let mut set = |key: &str, value: Value| {
        profile.insert(key.to_owned(), value);
    };
    set("firstName", some(first));
    set("lastName", some(last));
    set("mobilePhone", Value::Null);
    set("secondEmail", second);
    set("login", login.into());
    set("email", email.into());
    if !department.is_empty() {
        set("department", department.into());
        set("title", title.into());
        set(
            "employeeNumber",
            format!("K{:04}", 1007 + number * 13).into(),
        );
    }
    // Custom attributes of every type in JSON.
    if number.is_multiple_of(3) {
        set("badges", json!(["first aid", "forklift"]));
        set("remote", json!(number.is_multiple_of(2)));
        set("seats", json!(number));
    }
    if number == 2 {
        set(
            "bonus",
            serde_json::from_str("12345678901234567890.50").unwrap_or(Value::Null),
        );
        set(
            "address",
            json!({ "street": "1 Example Way", "floors": [1, 2], "lift": null }),
        );
        set("quote", "She said \"no\",\nthen left.".into());
        set("formula", "=1+1".into());
    }
    profile
}

fn rules(org: &Org) -> Vec<Rule> {
    let ids = |name| org.find_group(name).map(|group| group.id.to_string());
    let rule = |id: &str, name: &str, status: &str, expression: &str, group| {
        let groups: Vec<String> = ids(group).into_iter().collect();
        let managed = groups.iter().flat_map(|id| org.members(id));
        Rule {
            id: id.to_owned(),
            name: name.to_owned(),
            status: status.to_owned(),
            expression: expression.to_owned(),
            managed: managed.map(|id| id.to_string()).collect(),
            groups,
            excluded: Vec::new(),
            created: at("2022-05-05T09:00:00Z"),
        }
    };
    vec![
        rule(
            "0pr1demo0000000000h7",
            "Contractors by email",
            "ACTIVE",
            "String.stringContains(user.email, \"@contractor.example\")",
            "Contractors",
        ),
        rule(
            "0pr2demo0000000000h7",
            "Finance by department",
            "INACTIVE",
            "user.department == \"Finance\"",
            "Finance",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_demo_contains_every_unusual_case() {
        let org = Org::demo();
        assert_eq!(org.users().count(), 60);
        assert_eq!(org.groups().count(), 12);
        let statuses: BTreeSet<_> = org.users().map(|user| user.status.clone()).collect();
        assert_eq!(statuses.len(), 8);
        let size = |name| org.size(org.find_group(name).unwrap());
        assert!(
            (42..=48).contains(&size("All staff")),
            "{}",
            size("All staff")
        );
        assert_eq!(size("Nobody yet"), 0);
        assert_eq!(size("Okta Administrators"), 2);
        assert!(
            org.users()
                .all(|user| user.id.len() == 20 && !user.attributes().is_empty())
        );
        assert!(
            org.groups()
                .all(|group| group.id.len() == 20 && group.name().is_some())
        );
        assert_eq!(
            org.token_owner().unwrap().login.as_deref(),
            Some("mira.okonjo@example.com")
        );
        assert_eq!(org.rules.len(), 2);
    }

    #[test]
    fn one_user_is_in_the_domain_only_by_secondary_email() {
        let org = Org::demo();
        let by_second = org.users().filter(|user| {
            let attributes = user.attributes();
            let is_in_domain = |key: &str| {
                let address = attributes.get(key).and_then(Value::as_str);
                address.is_some_and(|address| address.ends_with("@example.com"))
            };
            is_in_domain("secondEmail") && !is_in_domain("email") && !is_in_domain("login")
        });
        let logins: Vec<_> = by_second.map(|user| user.login.clone().unwrap()).collect();
        assert_eq!(logins, [SECOND_ONLY.into()]);
    }
}
