//! Checks that the sample server's responses have the shapes of Okta's responses in `tests/fixtures/okta/`.
//!
//! A response may omit fields, as Okta does if they are null. It must not have fields that are missing from the
//! fixtures of its endpoint, and each value must have a type that occurs at the same place in a fixture. Both sides
//! must contain the fields that okta-ciam reads.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]
#![allow(clippy::too_many_lines, reason = "tables of cases are long")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use okta_fake::{Group, Limits, Options, Org, PageCap, Role, Server, User};
use serde_json::Value;

/// The headers that okta-ciam reads, and `Etag`.
const HEADERS: [&str; 8] = [
    "Content-Type",
    "Date",
    "Etag",
    "Link",
    "X-Okta-Request-Id",
    "X-Rate-Limit-Limit",
    "X-Rate-Limit-Remaining",
    "X-Rate-Limit-Reset",
];

/// Parts that the sample server sends and no fixture contains: the kind of object, the place, the type, and the reason.
const EXCEPTIONS: [(&str, &str, Type, &str); 2] = [
    (
        "user",
        "profile.firstName",
        Type::Null,
        "nullable in the specification; service accounts have no names",
    ),
    (
        "user",
        "profile.lastName",
        Type::Null,
        "nullable in the specification; service accounts have no names",
    ),
];

/// The fields that `src/okta/wire/` reads, for each kind of object.
const READ: [(&str, &[&str]); 6] = [
    (
        "user",
        &[
            "id",
            "status",
            "created",
            "activated",
            "statusChanged",
            "lastLogin",
            "lastUpdated",
            "passwordChanged",
            "profile.login",
            "profile.email",
            "profile.secondEmail",
        ],
    ),
    (
        "group",
        &[
            "id",
            "type",
            "created",
            "lastUpdated",
            "lastMembershipUpdated",
            "profile.name",
        ],
    ),
    (
        "rule",
        &[
            "id",
            "name",
            "status",
            "actions.assignUserToGroups.groupIds[]",
        ],
    ),
    ("role", &["type", "label", "status"]),
    ("org", &["companyName"]),
    ("error", &["errorCode", "errorSummary"]),
];

/// The fields of groups that `src/okta/wire/` reads only in lists with `expand=stats`.
const READ_OF_STATS: [&str; 3] = [
    "_embedded.stats.usersCount",
    "_embedded.stats.hasAdminPrivilege",
    "_links.source.href",
];

/// A request that okta-ciam sends, the kind of object in the response, and the fixtures of the endpoint.
struct Case {
    request: String,
    kind: &'static str,
    fixtures: &'static [&'static str],
    read: &'static [&'static str],
}

fn case(request: impl Into<String>, kind: &'static str, fixtures: &'static [&'static str]) -> Case {
    Case {
        request: request.into(),
        kind,
        fixtures,
        read: &[],
    }
}

/// Returns the fixtures of all endpoints that return a kind of object.
fn of_kind(kind: &str) -> &'static [&'static str] {
    match kind {
        "user" => &[
            "recorded/users",
            "recorded/users-filter",
            "recorded/user",
            "recorded/user-staged",
            "recorded/group-users",
        ],
        "group" => &[
            "recorded/groups",
            "recorded/groups-filter",
            "recorded/groups-by-name",
            "recorded/group",
            "recorded/user-groups",
            "specified/groups-stats",
            "specified/groups-app",
        ],
        "rule" => &["recorded/group-rules"],
        "role" => &["recorded/user-roles", "specified/user-roles-custom"],
        "org" => &["recorded/org"],
        "error" => &[
            "recorded/error-400-cursor",
            "recorded/error-400-search",
            "recorded/error-401",
            "recorded/error-403",
            "recorded/error-404-group",
            "recorded/error-404-user",
            "recorded/error-405",
            "recorded/error-429",
            "specified/error-403",
        ],
        _ => &[],
    }
}

/// A response, recorded or from the sample server.
#[derive(Debug)]
struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Option<Value>,
}

impl Response {
    fn fixture(name: &str) -> (String, Self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/okta");
        let text = std::fs::read_to_string(folder.join(name).with_extension("json"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let file: Value = serde_json::from_str(&text).unwrap();
        let lines = file["headers"].as_array().unwrap().iter();
        let headers = lines.map(|line| {
            let (name, value) = line.as_str().unwrap().split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        });
        let response = Self {
            status: file["status"].as_u64().unwrap().try_into().unwrap(),
            headers: headers.collect(),
            body: file.get("body").cloned(),
        };
        (file["request"].as_str().unwrap().to_owned(), response)
    }

    /// Sends a request to the sample server on a new connection.
    fn of(server: &Server, request: &str, token: &str) -> Self {
        let address = server.origin().replace("http://", "");
        let mut stream = TcpStream::connect(address).unwrap();
        let length = if request.starts_with("PUT") {
            "Content-Length: 0\r\n"
        } else {
            ""
        };
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: okta\r\nAuthorization: SSWS {token}\r\n{length}Connection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        Self {
            status: status.parse().unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: (!body.is_empty()).then(|| serde_json::from_str(body).unwrap()),
        }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let headers = self.headers.iter().filter(|(other, _)| other == name);
        headers.map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the headers in [`HEADERS`] that the response has.
    fn names(&self) -> BTreeSet<&str> {
        let known = |name: &&str| HEADERS.contains(name);
        self.headers
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(known)
            .collect()
    }

    fn shape(&self) -> Shape {
        let mut shape = Shape::default();
        match &self.body {
            Some(Value::Array(rows)) => rows.iter().for_each(|row| shape.add("", row)),
            Some(object) => shape.add("", object),
            None => {}
        }
        shape
    }
}

/// The type of a JSON value; for strings also the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Type {
    Null,
    Bool,
    Number,
    /// A time in full seconds, as Okta writes it.
    Time,
    /// An Okta id: 20 letters and digits.
    Id,
    /// The id of an error.
    ErrorId,
    Address,
    Text,
    Array,
    Object,
}

impl Type {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
            Value::String(text) => Self::of_text(text),
        }
    }

    fn of_text(text: &str) -> Self {
        let form: String = text
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        let is_alphanumeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if form == "0000-00-00T00:00:00.000Z" && text.ends_with(".000Z") {
            Self::Time
        } else if text.starts_with("http://") || text.starts_with("https://") {
            Self::Address
        } else if text.len() == 25 && text.starts_with("oae") {
            Self::ErrorId
        } else if text.len() == 20 && is_alphanumeric(text) {
            Self::Id
        } else {
            Self::Text
        }
    }

    fn is_text(self) -> bool {
        matches!(
            self,
            Self::Time | Self::Id | Self::ErrorId | Self::Address | Self::Text
        )
    }

    /// Returns true if a value of this type may occur in a place with these known types. If the fixtures have free text
    /// there, any text is possible.
    fn fits(self, known: &BTreeSet<Self>) -> bool {
        known.contains(&self) || self.is_text() && known.contains(&Self::Text)
    }
}

/// The types of the values at each place of an object.
#[derive(Debug, Default)]
struct Shape(BTreeMap<String, BTreeSet<Type>>);

impl Shape {
    fn add(&mut self, place: &str, value: &Value) {
        if !place.is_empty() {
            let types = self.0.entry(place.to_owned()).or_default();
            types.insert(Type::of(value));
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let dot = if place.is_empty() { "" } else { "." };
                    self.add(&format!("{place}{dot}{name}"), field);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    self.add(&format!("{place}[]"), element);
                }
            }
            _ => {}
        }
    }

    fn of_fixtures(names: &[&str]) -> Self {
        let mut all = Self::default();
        for name in names {
            for (place, types) in Response::fixture(name).1.shape().0 {
                all.0.entry(place).or_default().extend(types);
            }
        }
        all
    }

    fn has(&self, place: &str) -> bool {
        self.0.contains_key(place)
    }
}

/// Returns the name of the profile attribute at a place.
fn attribute(place: &str) -> Option<&str> {
    place.strip_prefix("profile.")?.split(['.', '[']).next()
}

/// Returns the differences between a response and the fixtures. The exceptions that it needs are added to `used`.
fn differences(
    case: &Case,
    response: &Response,
    used: &mut BTreeSet<(&'static str, &'static str)>,
) -> Vec<String> {
    let own = Shape::of_fixtures(case.fixtures);
    let known = Shape::of_fixtures(of_kind(case.kind));
    let shape = response.shape();
    let mut found = Vec::new();
    for (place, types) in &shape.0 {
        // Orgs add custom attributes of any type to profiles.
        if attribute(place).is_some_and(|name| !known.has(&format!("profile.{name}"))) {
            continue;
        }
        if !own.has(place) && attribute(place).is_none() {
            found.push(format!("{place} is in no fixture of this endpoint"));
            continue;
        }
        let known = known.0.get(place).cloned().unwrap_or_default();
        for one in types.iter().filter(|one| !one.fits(&known)) {
            let exception = EXCEPTIONS
                .iter()
                .find(|(kind, at, allowed, _)| (*kind, *at, allowed) == (case.kind, place, one));
            match exception {
                Some((kind, at, ..)) => drop(used.insert((kind, at))),
                None => found.push(format!("{place} is {one:?}, in the fixtures {known:?}")),
            }
        }
    }
    let read = READ.iter().find(|(kind, _)| *kind == case.kind);
    let read = read.map_or(&[][..], |(_, places)| places);
    for place in read.iter().chain(case.read) {
        for (side, shape) in [("fixtures", &own), ("response", &shape)] {
            if !shape.has(place) {
                found.push(format!("{place} is read, and not in the {side}"));
            }
        }
    }
    let recorded: Vec<Response> = case
        .fixtures
        .iter()
        .filter(|name| name.starts_with("recorded/"))
        .map(|name| Response::fixture(name).1)
        .collect();
    for (one, name) in recorded.iter().zip(case.fixtures) {
        if one.status != response.status {
            found.push(format!(
                "status {}, in {name} {}",
                response.status, one.status
            ));
        }
        let mut expected = one.names();
        expected.remove("Etag");
        if response.names() != expected {
            found.push(format!(
                "headers {:?}, in {name} {expected:?}",
                response.names()
            ));
        }
    }
    found.extend(malformed_headers(response));
    found
}

/// Returns the headers whose values do not have the form of the recorded ones. A unit test below applies it to the
/// recorded ones.
fn malformed_headers(response: &Response) -> Vec<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_request_id = |text: &str| {
        (27..=32).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"@-_".contains(&byte))
    };
    let date = |text: &str| {
        jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|date| date.timestamp().as_second())
    };
    let now = response.all("Date").first().and_then(|text| date(text));
    let well_formed = |name: &str, value: &str| match name {
        "Content-Type" => matches!(value, "application/json" | "application/json;charset=UTF-8"),
        "Date" => value.ends_with(" GMT") && date(value).is_some(),
        "X-Okta-Request-Id" => is_request_id(value),
        "X-Rate-Limit-Limit" | "X-Rate-Limit-Remaining" => digits(value),
        // The reset is at most one window ahead.
        "X-Rate-Limit-Reset" => value
            .parse()
            .is_ok_and(|reset: i64| now.is_some_and(|now| (0..=61).contains(&(reset - now)))),
        "Link" => link(value).is_some(),
        _ => true,
    };
    let headers = response.headers.iter();
    let mut found: Vec<String> = headers
        .filter(|(name, value)| !well_formed(name, value))
        .map(|(name, value)| format!("{name} has another form: {value}"))
        .collect();
    for name in HEADERS.iter().filter(|name| **name != "Link") {
        if response.all(name).len() > 1 {
            found.push(format!("{name} comes twice"));
        }
    }
    found
}

/// Returns the path, the names of the parameters, and the relation of a link if it has the form of the recorded ones:
/// one link per line, with `+` for a space.
fn link(value: &str) -> Option<(String, BTreeSet<String>, String)> {
    let (address, relation) = value.strip_prefix('<')?.split_once(">; rel=\"")?;
    let relation = relation.strip_suffix('"')?;
    let (_, rest) = address.split_once("://")?;
    let (path, query) = rest[rest.find('/')?..].split_once('?')?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>".contains(&byte);
    if query.contains("%20") || !address.bytes().all(is_plain) {
        return None;
    }
    let names = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap().0.to_owned());
    Some((path.to_owned(), names.collect(), relation.to_owned()))
}

/// Returns the names of the parameters of each link of a response, by relation.
fn links(response: &Response) -> BTreeMap<String, BTreeSet<String>> {
    let links = response.all("Link").into_iter().filter_map(link);
    links
        .map(|(_, names, relation)| (relation, names))
        .collect()
}

/// Returns the sample org, with a custom role.
fn server() -> Server {
    let mut org = Org::demo();
    let owner = org.token_owner().unwrap().id.clone();
    let roles = org.roles.get_mut(&owner).unwrap();
    roles.push(Role::new("CUSTOM", "Only groups"));
    let options = Options {
        limits: Limits::all(None),
        ..Options::default()
    };
    Server::start(org, options).unwrap()
}

fn id_of(server: &Server, name: &str) -> String {
    server.org().find_group(name).unwrap().id.to_string()
}

#[test]
fn every_endpoint_has_the_shape_of_its_recordings() {
    let server = server();
    let owner = server.org().token_owner().unwrap().id.to_string();
    let engineers = id_of(&server, "Engineering");
    let users = |query: &str| format!("GET /api/v1/users?{query}");
    let groups = |query: &str| format!("GET /api/v1/groups?{query}");
    let cases = [
        case(
            users("limit=20&search=status+pr"),
            "user",
            &["recorded/users"],
        ),
        case(
            users("limit=200&filter=status+eq+%22DEPROVISIONED%22"),
            "user",
            &["recorded/users-filter"],
        ),
        case(
            format!("GET /api/v1/users/{owner}"),
            "user",
            &["recorded/user", "recorded/user-staged"],
        ),
        case(
            "GET /api/v1/users/me",
            "user",
            &["recorded/user", "recorded/user-staged"],
        ),
        case(
            format!("GET /api/v1/users/{owner}/groups"),
            "group",
            &["recorded/user-groups"],
        ),
        case(
            format!("GET /api/v1/users/{owner}/roles"),
            "role",
            &["recorded/user-roles", "specified/user-roles-custom"],
        ),
        Case {
            read: &READ_OF_STATS,
            ..case(
                groups("limit=200&expand=stats"),
                "group",
                &[
                    "recorded/groups",
                    "specified/groups-stats",
                    "specified/groups-app",
                ],
            )
        },
        Case {
            read: &READ_OF_STATS[..2],
            ..case(
                groups("limit=200&filter=type+eq+%22BUILT_IN%22&expand=stats"),
                "group",
                &["recorded/groups-filter", "specified/groups-stats"],
            )
        },
        Case {
            read: &READ_OF_STATS[..2],
            ..case(
                groups("q=VPN&limit=200&expand=stats"),
                "group",
                &["recorded/groups-by-name", "specified/groups-stats"],
            )
        },
        Case {
            read: &READ_OF_STATS[..2],
            ..case(
                format!("GET /api/v1/groups/{engineers}?expand=stats"),
                "group",
                &["recorded/group", "specified/groups-stats"],
            )
        },
        case(
            format!("GET /api/v1/groups/{engineers}/users?limit=200"),
            "user",
            &["recorded/group-users"],
        ),
        case(
            "GET /api/v1/groups/rules?limit=200",
            "rule",
            &["recorded/group-rules"],
        ),
        case("GET /api/v1/org", "org", &["recorded/org"]),
    ];
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for case in cases {
        let response = Response::of(&server, &case.request, server.token());
        for difference in differences(&case, &response, &mut used) {
            found.push(format!("{}: {difference}", case.request));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    let all: BTreeSet<_> = EXCEPTIONS
        .iter()
        .map(|(kind, at, ..)| (*kind, *at))
        .collect();
    assert_eq!(used, all, "an exception is no longer needed");
    assert_eq!(server.unexpected(), [""; 0]);
}

#[test]
fn links_have_the_form_of_the_recorded_ones() {
    let server = server();
    let owner = server.org().token_owner().unwrap().id.to_string();
    let engineers = id_of(&server, "Engineering");
    for (fixture, request) in [
        (
            "recorded/users",
            "GET /api/v1/users?limit=3&search=status+pr".to_owned(),
        ),
        (
            "recorded/users-filter",
            "GET /api/v1/users?filter=status+eq+%22DEPROVISIONED%22".to_owned(),
        ),
        ("recorded/groups", "GET /api/v1/groups".to_owned()),
        (
            "recorded/groups-filter",
            "GET /api/v1/groups?filter=type+eq+%22BUILT_IN%22&limit=200".to_owned(),
        ),
        (
            "recorded/groups-by-name",
            "GET /api/v1/groups?q=VPN".to_owned(),
        ),
        (
            "recorded/group-users",
            format!("GET /api/v1/groups/{engineers}/users?limit=200"),
        ),
        (
            "recorded/user-groups",
            format!("GET /api/v1/users/{owner}/groups"),
        ),
        (
            "recorded/user-roles",
            format!("GET /api/v1/users/{owner}/roles"),
        ),
        (
            "recorded/group-rules",
            "GET /api/v1/groups/rules".to_owned(),
        ),
    ] {
        let response = Response::of(&server, &request, server.token());
        let expected = links(&Response::fixture(fixture).1);
        assert_eq!(links(&response), expected, "{request}");
        let path = request.split([' ', '?']).nth(1).unwrap();
        for (at, ..) in response.all("Link").into_iter().filter_map(link) {
            assert_eq!(at, path, "{request}");
        }
    }
}

#[test]
fn a_changed_membership_has_the_headers_of_its_recordings_and_no_body() {
    let server = server();
    let owner = server.org().token_owner().unwrap().id.to_string();
    let path = format!(
        "/api/v1/groups/{}/users/{owner}",
        id_of(&server, "Nobody yet")
    );
    for (method, fixtures) in [
        ("PUT", &["recorded/membership-put"]),
        ("DELETE", &["recorded/membership-delete"]),
    ] {
        let case = case(format!("{method} {path}"), "", fixtures);
        let response = Response::of(&server, &case.request, server.token());
        assert_eq!(differences(&case, &response, &mut BTreeSet::new()), [""; 0]);
        assert_eq!(response.body, None);
    }
}

#[test]
fn errors_have_the_shape_and_the_words_of_their_recordings() {
    let mut org = Org::demo();
    org.add_group(Group::new("00g0forbidden0000000", "Forbidden"));
    org.edit_group("00g0forbidden0000000", |group| {
        group.members_forbidden = true
    });
    org.add_user(User::with_email("00u0slash00000000000", "a/b@example.com"));
    let options = Options {
        limits: Limits::all(None),
        page_cap: PageCap::default(),
        ..Options::default()
    };
    let server = Server::start(org, options).unwrap();
    let token = server.token().to_owned();
    let mut found = Vec::new();
    let mut check = |fixture: &'static str, request: Option<&str>, token: &str| {
        let (recorded, expected) = Response::fixture(fixture);
        let request = request.unwrap_or(&recorded);
        let response = Response::of(&server, request, token);
        let one = case(
            request,
            "error",
            std::slice::from_ref(Box::leak(Box::new(fixture))),
        );
        let mut all = differences(&one, &response, &mut BTreeSet::new());
        let text = |response: &Response, key: &str| response.body.as_ref().unwrap()[key].clone();
        if text(&response, "errorCode") == text(&expected, "errorCode") {
            let summaries = ["errorSummary", "errorLink"]
                .map(|key| (text(&response, key), text(&expected, key)));
            for (summary, expected) in summaries {
                if summary != expected {
                    all.push(format!("{summary}, in {fixture} {expected}"));
                }
            }
        } else if fixture != "recorded/error-401" {
            all.push(format!("code {}", text(&response, "errorCode")));
        }
        found.extend(all.into_iter().map(|one| format!("{request}: {one}")));
    };
    check("recorded/error-404-user", None, &token);
    check("recorded/error-404-group", None, &token);
    check(
        "recorded/error-400-cursor",
        Some("GET /api/v1/users?after=unknown"),
        &token,
    );
    let search = "GET /api/v1/users?search=profile.email+co+%22ab%22";
    check("recorded/error-400-search", Some(search), &token);
    // There is no recording of a list request with an invalid token.
    check("recorded/error-401", Some("GET /api/v1/groups"), "wrong");
    check(
        "specified/error-403",
        Some("GET /api/v1/groups/00g0forbidden0000000/users"),
        &token,
    );
    check(
        "recorded/error-405",
        Some("GET /api/v1/users/a%2Fb%40example.com"),
        &token,
    );
    server.change_options(|options| options.limits = Limits::all(Some(0)));
    check("recorded/error-429", Some("GET /api/v1/groups"), &token);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_recordings_have_the_expected_header_forms() {
    for kind in ["user", "group", "rule", "role", "org", "error"] {
        for name in of_kind(kind) {
            let (_, response) = Response::fixture(name);
            assert_eq!(malformed_headers(&response), [""; 0], "{name}");
        }
    }
}
