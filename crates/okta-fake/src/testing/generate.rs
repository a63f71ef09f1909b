//! Generates large orgs. The same shape always gives the same org.

use std::sync::Arc;

use crate::org::{Group, Millis, Org, Size, User};
use crate::random::{Random, id};

impl Random {
    /// Returns a number below `end`. The slight bias is irrelevant here.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        // A double represents 53 bits exactly.
        let steps = 1_u64 << 53;
        #[expect(clippy::cast_precision_loss, reason = "both numbers are at most 2^53")]
        let part = (self.next() >> 11) as f64 / steps as f64;
        part < probability
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let index = self.below(words.len() as u64);
        words[usize::try_from(index).unwrap_or(0)]
    }
}

/// The distribution of creation times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Evenly distributed over this many years.
    Even(u16),
    /// 60 % of the users within one second, and the others evenly distributed over five years.
    BulkImport,
    /// All users within one second.
    AllInOneSecond,
}

/// The shape of a generated org.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The number of users.
    pub users: usize,
    /// The number of users with an address in `example.com`, evenly distributed.
    pub in_scope: usize,
    /// The number of groups, without Everyone.
    pub groups: usize,
    /// The number of memberships, without those of Everyone; at most `groups` times `largest_group`.
    pub memberships: usize,
    /// The number of members of the largest group; at most `users`.
    pub largest_group: usize,
    /// The seed. Different seeds give different orgs of the same shape.
    pub seed: u64,
    /// The creation times of the users.
    pub created: Distribution,
    /// The number of custom attributes of each user, in addition to the usual 15.
    pub extra: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            users: 1000,
            in_scope: 300,
            groups: 50,
            memberships: 3000,
            largest_group: 400,
            seed: 1,
            created: Distribution::Even(5),
            extra: 0,
        }
    }
}

const FIRST: [&str; 24] = [
    "Mira", "Tomas", "Aiko", "Lena", "Omar", "Sofia", "Nils", "Priya", "Jonas", "Amara", "Wei",
    "Clara", "Ravi", "Elif", "Hugo", "Zoé", "Ivan", "Noor", "Peter", "Ines", "Kofi", "Maja",
    "Luca", "Hana",
];
const LAST: [&str; 24] = [
    "Okafor",
    "Lindqvist",
    "Tanaka",
    "Moreau",
    "Haddad",
    "Silva",
    "Berg",
    "Raman",
    "Keller",
    "Mensah",
    "Zhang",
    "Rossi",
    "Novak",
    "Demir",
    "Dubois",
    "Petrov",
    "Aziz",
    "Schmidt",
    "Costa",
    "Boateng",
    "Kowalska",
    "Ricci",
    "Sato",
    "Jensen",
];
const DEPARTMENTS: [&str; 8] = [
    "Engineering",
    "Sales",
    "Finance",
    "Support",
    "Operations",
    "Legal",
    "Marketing",
    "People",
];
const TITLES: [&str; 8] = [
    "Analyst",
    "Manager",
    "Engineer",
    "Associate",
    "Lead",
    "Specialist",
    "Director",
    "Assistant",
];
const CITIES: [(&str, &str); 8] = [
    ("Lisbon", "PT"),
    ("Zürich", "CH"),
    ("Oslo", "NO"),
    ("Austin", "US"),
    ("Pune", "IN"),
    ("Osaka", "JP"),
    ("Accra", "GH"),
    ("Kraków", "PL"),
];
const OTHER_DOMAINS: [&str; 4] = [
    "example.org",
    "example.net",
    "mail.example.com",
    "partner.example",
];

impl Org {
    /// Returns an org of this shape. Impossible values, such as more members than users, are reduced.
    pub fn generated(shape: &Shape) -> Self {
        let mut org = Self::new();
        let users: Vec<User> = (0..shape.users).map(|index| user(shape, index)).collect();
        let ids: Vec<Arc<str>> = users.iter().map(|user| user.id.clone()).collect();
        org.set_users(users);
        let mut random = Random::new(shape.seed ^ 0x6702);
        let mut by_user: Vec<Vec<Arc<str>>> = vec![Vec::new(); ids.len()];
        for (number, size) in sizes(shape).into_iter().enumerate() {
            let name = format!(
                "{} {} {number}",
                random.pick(&DEPARTMENTS),
                random.pick(&TITLES)
            );
            let group = Group::new(&id("00g", number as u64, shape.seed), &name);
            let group_id = group.id.clone();
            let members = sample(ids.len(), size, &mut random);
            for member in &members {
                by_user[*member].push(group_id.clone());
            }
            let members = members.into_iter().map(|member| ids[member].clone());
            org.add_group_with(group, members.collect());
        }
        for (user, groups) in org.users_mut().zip(by_user) {
            // The groups were added in the order of their ids.
            user.groups = groups;
            user.groups.shrink_to_fit();
        }
        // The size of Everyone is stored, because counting a million users for each page of groups would add a cost
        // that Okta does not have.
        let everyone = org
            .find_group("Everyone")
            .map(|group| (group.id.clone(), org.size(group)));
        if let Some((id, size)) = everyone.filter(|_| shape.users > 10_000) {
            org.edit_group(&id, |group| group.size = Size::Says(size));
        }
        org
    }
}

/// Returns the sizes of the groups, largest first. They are proportional to 1/rank, but their sum and the largest size
/// are exact.
fn sizes(shape: &Shape) -> Vec<usize> {
    if shape.groups == 0 {
        return Vec::new();
    }
    let largest = shape.largest_group.min(shape.users).min(shape.memberships);
    let total = shape.memberships.min(largest * shape.groups);
    let mut rest = total - largest;
    let weight: f64 = (2..=shape.groups).map(|rank| 1.0 / rank as f64).sum();
    let share = rest as f64 / weight.max(f64::MIN_POSITIVE);
    let mut sizes = vec![largest];
    for rank in 2..=shape.groups {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share is neither negative nor beyond what memory holds"
        )]
        let size = ((share / rank as f64) as usize).min(largest).min(rest);
        rest -= size;
        sizes.push(size);
    }
    // Memberships that are left over because of rounding and the maximum go to groups with room, larger ones first.
    for size in sizes.iter_mut().skip(1) {
        let more = rest.min(largest - *size);
        // They are spread over several groups, since many small remainders could create a second largest group.
        let more = more.min(1 + shape.memberships / shape.groups);
        *size += more;
        rest -= more;
    }
    for size in sizes.iter_mut().skip(1) {
        let more = rest.min(largest - *size);
        *size += more;
        rest -= more;
    }
    sizes
}

/// Returns `size` distinct numbers below `count`, sorted. They are steps of equal length around a circle; the length
/// has no common divisor with `count`, so no number repeats early.
fn sample(count: usize, size: usize, random: &mut Random) -> Vec<usize> {
    if size == 0 {
        return Vec::new();
    }
    let (wide, start) = (count as u64, random.below(count as u64));
    let mut step = 1 + random.below(wide);
    while gcd(step, wide) != 1 {
        step += 1;
    }
    let numbers = (0..size as u64).map(|k| {
        let place = (u128::from(start) + u128::from(k) * u128::from(step)) % u128::from(wide);
        usize::try_from(place).unwrap_or(0)
    });
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn user(shape: &Shape, index: usize) -> User {
    let number = index as u64;
    let mut random = Random::new(shape.seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let (email, profile) = profile(shape, index, &mut random);
    let created = created(shape, index);
    let status = match random.below(100) {
        0..=87 => "ACTIVE",
        88..=92 => "DEPROVISIONED",
        93..=94 => "SUSPENDED",
        95..=96 => "STAGED",
        97 => "PROVISIONED",
        98 => "PASSWORD_EXPIRED",
        _ => "LOCKED_OUT",
    };
    let started = status != "STAGED";
    let login = (started && random.below(10) > 0)
        .then(|| created + Millis::try_from(random.below(86_400_000_000)).unwrap_or(0));
    let folded: Box<str> = email.to_lowercase().into();
    User {
        status: status.into(),
        created,
        activated: started.then_some(created + 1000),
        status_changed: started.then_some(created + 1000),
        last_login: login,
        last_updated: created + 60_000,
        password_changed: started.then_some(created + 30_000),
        login: Some(folded.clone()),
        email: Some(folded),
        ..User::new(&id("00u", number, shape.seed), profile)
    }
}

/// Returns a user's email, which is also the login, and the profile.
fn profile(shape: &Shape, index: usize, random: &mut Random) -> (String, String) {
    let in_scope =
        (index + 1) * shape.in_scope / shape.users > index * shape.in_scope / shape.users;
    let domain = if in_scope {
        "example.com"
    } else {
        random.pick(&OTHER_DOMAINS)
    };
    let (first, last) = (random.pick(&FIRST), random.pick(&LAST));
    let (department, title) = (random.pick(&DEPARTMENTS), random.pick(&TITLES));
    let (city, country) = CITIES[usize::try_from(random.below(8)).unwrap_or(0)];
    let local = format!(
        "{}.{}{index}",
        first.to_lowercase().replace('é', "e"),
        last.to_lowercase()
    );
    let email = format!("{local}@{domain}");
    let second = match random.below(50) {
        0 => format!("\"{local}@home.example\""),
        _ => "null".to_owned(),
    };
    let mut profile = format!(
        "{{\"firstName\":\"{first}\",\"lastName\":\"{last}\",\"mobilePhone\":null,\"secondEmail\":{second},\
         \"login\":\"{email}\",\"email\":\"{email}\",\"displayName\":\"{first} {last}\",\
         \"title\":\"{title}\",\"department\":\"{department}\",\"city\":\"{city}\",\"countryCode\":\"{country}\",\
         \"employeeNumber\":\"{}\",\"costCenter\":{},\"userType\":\"{}\",\"remote\":{}",
        100_000 + index,
        1000 + random.below(400),
        random.pick(&["Employee", "Contractor"]),
        random.below(3) == 0,
    );
    for extra in 0..shape.extra {
        profile.push_str(&format!(
            ",\"custom{extra}\":\"value {}\"",
            random.below(1000)
        ));
    }
    profile.push('}');
    (email, profile)
}

fn created(shape: &Shape, index: usize) -> Millis {
    const YEAR: u128 = 31_557_600_000;
    // 2019-05-06T07:08:09Z
    const START: Millis = 1_557_126_489_000;
    let spread = |span: u128, index: usize, count: usize| {
        let offset = span * index as u128 / (count.max(1) as u128);
        START + Millis::try_from(offset).unwrap_or(0)
    };
    let same_second = |base: Millis| base + Millis::try_from(index % 1000).unwrap_or(0);
    match shape.created {
        Distribution::Even(years) => spread(u128::from(years) * YEAR, index, shape.users),
        Distribution::AllInOneSecond => same_second(START),
        Distribution::BulkImport => {
            // 20 % before, 60 % in one second, 20 % after.
            let (before, after) = (shape.users / 5, shape.users - shape.users / 5);
            if (before..after).contains(&index) {
                same_second(spread(5 * YEAR, 1, 2).div_euclid(1000) * 1000)
            } else {
                spread(5 * YEAR, index, shape.users)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    use serde_json::Value;

    use super::*;
    use crate::Truth;

    /// Returns the users with an address in `example.com`, and all groups.
    fn truth(org: &Org) -> Truth {
        let is_in_domain = |address: &Value| {
            let address = address.as_str();
            address.is_some_and(|address| address.ends_with("@example.com"))
        };
        let keys = ["email", "login", "secondEmail"];
        org.truth(
            |attributes| {
                keys.iter()
                    .any(|key| attributes.get(*key).is_some_and(is_in_domain))
            },
            |_| true,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_generated_org_has_exactly_the_requested_shape(
            users in 1_usize..400, groups in 1_usize..40, seed in 0_u64..9, some in 0.0..1.0_f64,
        ) {
            let part = |whole: usize| (whole as f64 * some) as usize;
            let largest_group = part(users).max(1);
            let memberships = largest_group + part(largest_group * (groups - 1));
            let shape = Shape {
                users, groups, seed, largest_group, memberships, in_scope: part(users), ..Shape::default()
            };
            let org = Org::generated(&shape);
            let stored: Vec<_> = org.groups().filter(|group| !group.is_everyone()).collect();
            let sizes: Vec<usize> = stored.iter().map(|group| group.members.len()).collect();
            prop_assert_eq!(org.users().count(), users);
            prop_assert_eq!(stored.len(), groups);
            prop_assert_eq!(sizes.iter().sum::<usize>(), memberships);
            prop_assert_eq!(sizes.iter().max(), Some(&largest_group));
            prop_assert!(stored.iter().all(|group| group.members.windows(2).all(|pair| pair[0] < pair[1])));
            prop_assert_eq!(org.users().map(|user| user.groups.len()).sum::<usize>(), memberships);
            prop_assert!(org.users().all(|user| user.groups.is_sorted()));
            prop_assert_eq!(truth(&org).users.len(), part(users));
        }
    }

    #[test]
    fn the_same_shape_gives_the_same_org_and_another_seed_another_one() {
        let org = |seed| {
            Org::generated(&Shape {
                seed,
                ..Shape::default()
            })
        };
        let profiles = |org: &Org| {
            org.users()
                .map(|user| user.profile.clone())
                .collect::<Vec<_>>()
        };
        let (first, again, other) = (org(1), org(1), org(2));
        assert_eq!(truth(&first), truth(&again));
        assert_eq!(profiles(&first), profiles(&again));
        assert_ne!(profiles(&first), profiles(&other));
    }

    #[test]
    fn the_generator_sets_the_same_keys_as_storing_a_user() {
        let org = Org::generated(&Shape {
            users: 50,
            ..Shape::default()
        });
        let mut copy = org.clone();
        for user in org.users() {
            assert!(copy.edit_user(&user.id, |_| {}));
            let again = copy.user(&user.id).unwrap();
            assert_eq!((&again.login, &again.email), (&user.login, &user.email));
            assert!(user.attributes().len() >= 15);
        }
    }

    #[test]
    fn creation_times_have_the_requested_distribution() {
        let share = |created| {
            let org = Org::generated(&Shape {
                created,
                ..Shape::default()
            });
            let mut seconds: Vec<_> = org.users().map(|user| user.created / 1000).collect();
            seconds.sort_unstable();
            seconds
                .chunk_by(|a, b| a == b)
                .map(<[_]>::len)
                .max()
                .unwrap()
        };
        assert_eq!(share(Distribution::Even(5)), 1);
        assert_eq!(share(Distribution::BulkImport), 600);
        assert_eq!(share(Distribution::AllInOneSecond), 1000);
    }
}
