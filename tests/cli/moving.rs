//! Tests an org that changes while it is read. No snapshot represents a single moment, but it contains nothing that
//! never existed, misses nothing that existed all the time, and has no dangling references.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use okta_ciam::testing::filter::Scope;
use okta_fake::{Action, Distribution, Endpoint, Fault, Group, Options, Org, PageCap, Shape, User};

use crate::support::{Folder, Okta, cell, open, rows, scope, truth, unlimited};

type Id = Arc<str>;
type Pairs = BTreeSet<(Id, Id)>;

/// The objects that existed all the time, and those that existed at any time.
struct History {
    scope: Scope,
    users: BTreeSet<Id>,
    groups: BTreeSet<Id>,
    memberships: Pairs,
    users_ever: BTreeSet<Id>,
    groups_ever: BTreeSet<Id>,
    /// All of them, regardless of the scope.
    memberships_ever: Pairs,
    /// All of them, regardless of the scope.
    memberships_always: Pairs,
    random: Rng,
    clock: i64,
    edits: Vec<String>,
}

impl History {
    fn new(org: &Org, scope: Scope, seed: u64) -> Self {
        let truth = truth(org, &scope);
        let mut history = Self {
            scope,
            users: truth.users.into_iter().collect(),
            groups: truth.groups.into_iter().collect(),
            memberships: truth.memberships.into_iter().collect(),
            users_ever: BTreeSet::new(),
            groups_ever: BTreeSet::new(),
            memberships_ever: BTreeSet::new(),
            memberships_always: all_pairs(org),
            random: Rng::with_seed(seed),
            // Later than all times in the initial org.
            clock: 1_900_000_000_000,
            edits: Vec::new(),
        };
        history.note(org);
        history
    }

    fn note(&mut self, org: &Org) {
        let truth = truth(org, &self.scope);
        let memberships: Pairs = truth.memberships.into_iter().collect();
        self.users
            .retain(|id| truth.users.binary_search(id).is_ok());
        self.groups
            .retain(|id| truth.groups.binary_search(id).is_ok());
        self.memberships.retain(|pair| memberships.contains(pair));
        self.users_ever.extend(truth.users);
        self.groups_ever.extend(truth.groups);
        let pairs = all_pairs(org);
        self.memberships_always.retain(|pair| pairs.contains(pair));
        self.memberships_ever.extend(pairs);
    }

    /// Makes a random change with a later time, as Okta would.
    fn edit(&mut self, org: &mut Org) {
        self.clock += 1000;
        let (now, random) = (self.clock, &mut self.random);
        let users: Vec<Id> = org.users().map(|user| user.id.clone()).collect();
        let groups: Vec<Id> = org
            .groups()
            .filter(|group| !group.is_everyone())
            .map(|group| group.id.clone())
            .collect();
        let user = users[random.usize(..users.len())].clone();
        let group = groups[random.usize(..groups.len())].clone();
        let new = format!("{:020}", random.u64(..1 << 60));
        let domain = ["example.com", "example.net"][random.usize(..2)];
        let name = ["Sales", "Legal"][random.usize(..2)];
        let edit = match random.u8(..12) {
            0 | 1 => {
                org.remove_user(&user);
                format!("{user} deleted")
            }
            2 => {
                org.remove_group(&group);
                format!("{group} deleted")
            }
            3 | 4 => {
                org.edit_group(&group, |group| {
                    group.profile = profile_of_group(name);
                    group.last_updated = now;
                });
                format!("{group} is called {name}")
            }
            5 | 6 => {
                let email = format!("moved{now}@{domain}");
                org.edit_user(&user, |user| {
                    user.profile = User::with_email("", &email).profile;
                    user.last_updated = now;
                });
                format!("{user} is {email}")
            }
            7 | 8 => {
                let from = org.user(&user).and_then(|user| {
                    let there = groups.iter().find(|id| org.is_member(id, &user.id));
                    there.cloned()
                });
                if let Some(from) = &from {
                    org.leave(from, &user);
                }
                org.join(&group, &user);
                format!("{user} goes from {from:?} to {group}")
            }
            9 => {
                let id = format!("00u{}", &new[3..]);
                let mut user = User::with_email(&id, &format!("new{now}@{domain}")).updated(now);
                user.created = now;
                org.add_user(user);
                org.join(&group, &id);
                format!("{id} in {domain} is new, in {group}")
            }
            10 => {
                let id = format!("00g{}", &new[3..]);
                let mut group = Group::new(&id, name);
                group.last_updated = now;
                org.add_group(group);
                org.join(&id, &user);
                format!("{id} called {name} is new, with {user}")
            }
            _ => {
                org.edit_user(&user, |user| {
                    let gone = user.is_deprovisioned();
                    user.status = if gone { "ACTIVE" } else { "DEPROVISIONED" }.into();
                    user.last_updated = now;
                });
                format!("{user} has another status")
            }
        };
        self.edits.push(edit);
        self.note(org);
    }
}

fn all_pairs(org: &Org) -> Pairs {
    let mut all = Pairs::new();
    for group in org.groups() {
        let members = org.members(&group.id).into_iter();
        all.extend(members.map(|user| (user, group.id.clone())));
    }
    all
}

fn profile_of_group(name: &str) -> Box<str> {
    Group::new("", name).profile
}

/// Checks the properties of every snapshot.
fn assert_is_sound(path: &Path, history: &History) {
    let db = open(path);
    let none = |what: &str, query: &str| assert_eq!(rows(&db, query), [""; 0], "{what}");
    none(
        "grants that point nowhere",
        "select external_id from v1_grants where 'user:' || principal_resource_id not in (select external_id from v1_resources)
           or 'group:' || resource_id not in (select external_id from v1_resources)
           or entitlement_id not in (select external_id from v1_entitlements)",
    );
    none(
        "entitlements that point nowhere",
        "select external_id from v1_entitlements where 'group:' || resource_id not in (select external_id from v1_resources)",
    );
    none(
        "memberships that point nowhere",
        "select user_id from memberships where user_id not in (select id from users) or group_id not in (select id from groups)",
    );
    for (table, key) in [
        ("memberships", "user_id || ' ' || group_id"),
        ("users", "id"),
        ("groups", "id"),
        ("v1_grants", "external_id"),
        ("v1_resources", "external_id"),
        ("warnings", "code || coalesce(object_id, '')"),
    ] {
        none(
            &format!("twice in {table}"),
            &format!(
                "select {key} from {table} where {key} not like 'resumed%' group by 1 having count(*) > 1"
            ),
        );
    }
    let counts = "select users_kept, groups_kept, memberships_kept, users_vanished, groups_vanished from snapshot";
    let counted = "select (select count(*) from users), (select count(*) from groups), (select count(*) from memberships),
        (select count(*) from warnings where code = 'user_vanished'), (select count(*) from warnings where code = 'group_vanished')";
    assert_eq!(cell(&db, counts), cell(&db, counted), "counts");
    none(
        "groups whose count is not that of their members",
        "select id from groups where members_kept is not (select count(*) from memberships where group_id = groups.id)",
    );
    none(
        "vanished, but there",
        "select object_id from warnings where code like '%_vanished' and object_id in (select id from users union select id from groups)",
    );
    let ids =
        |query: &str| -> BTreeSet<Id> { rows(&db, query).into_iter().map(Into::into).collect() };
    let users = ids("select id from users");
    let groups = ids("select id from groups");
    let pairs: Pairs = rows(&db, "select user_id, group_id from memberships")
        .iter()
        .map(|row| row.split_once('|').unwrap())
        .map(|(user, group)| (user.into(), group.into()))
        .collect();
    assert_all("users lost", &history.users, &users);
    assert_all("groups lost", &history.groups, &groups);
    assert_all("memberships lost", &history.memberships, &pairs);
    assert_all("users made up", &users, &history.users_ever);
    assert_all("groups made up", &groups, &history.groups_ever);
    // Includes users who entered the scope during the run.
    let learned = ids("select id from groups where learned in ('listed', 'by_user')");
    let of_the_kept = |pair: &&(Id, Id)| users.contains(&pair.0) && learned.contains(&pair.1);
    let always = history.memberships_always.iter().filter(of_the_kept);
    assert_all(
        "memberships of the kept lost",
        &always.cloned().collect(),
        &pairs,
    );
    assert_all("memberships made up", &pairs, &history.memberships_ever);
}

#[track_caller]
fn assert_all<T: Ord + std::fmt::Debug>(what: &str, some: &BTreeSet<T>, all: &BTreeSet<T>) {
    let others: Vec<&T> = some.difference(all).collect();
    assert!(others.is_empty(), "{what}: {others:?}");
}

fn org() -> Org {
    Org::generated(&Shape {
        users: 60,
        in_scope: 25,
        groups: 30,
        memberships: 300,
        largest_group: 55,
        seed: 5,
        created: Distribution::Even(2),
        extra: 0,
    })
}

fn options() -> Options {
    Options {
        page_cap: PageCap {
            users: 15,
            groups: 10,
            members: 12,
            user_groups: 4,
        },
        ..unlimited()
    }
}

/// Changes the org at random requests of a run from now on.
fn move_it(okta: &Okta, history: &Arc<Mutex<History>>, requests: u64) {
    let mut random = history.lock().unwrap().random.fork();
    for _ in 0..random.u8(1..7) {
        let history = Arc::clone(history);
        let edit = Action::run(move |org| history.lock().unwrap().edit(org));
        okta.fault(Fault::any(edit).nth(random.u64(1..requests)));
    }
}

/// Counts of what happened during runs.
#[derive(Default)]
struct Met {
    edits: usize,
    interruptions: usize,
    vanished: usize,
    from_both_ends: usize,
}

/// Makes one run over a changing org, which may be killed and resumed, depending on the seed. Without changes, it takes
/// about `requests` requests.
fn run_once(seed: u64, org: &Org, requests: u64, options: Options) -> Met {
    let mut random = Rng::with_seed(seed);
    let okta = Okta::with_options(org.clone(), options);
    let filter = ["a", "Sales"][random.usize(..2)];
    let by = ["auto", "group", "user"][random.usize(..3)];
    let workers = random.u8(2..9).to_string();
    let arguments = [
        "--memberships-by",
        by,
        "--concurrency",
        &workers,
        "--group-name-filter",
        filter,
    ];
    let scope = scope(&["example.com", "example.org"], Some(filter));
    let history = Arc::new(Mutex::new(History::new(&okta.org(), scope, seed)));
    move_it(&okta, &history, requests);
    // In most cases, the size of Everyone is known by then.
    okta.fault(Fault::on(Endpoint::Users, Action::Delay(Duration::from_millis(300))).nth(2));
    let folder = Folder::new();
    let is_killed = random.bool();
    if is_killed {
        let last = random.u64(3..requests);
        okta.fault(Fault::any(Action::Delay(Duration::from_secs(60))).from(last));
        let mut running = folder.sync(&okta, &arguments).start();
        while okta.count() < last && !running.has_ended() {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(random.u64(..120)));
        if !running.has_ended() {
            running.signal("KILL");
        }
        running.end();
        okta.clear_faults();
        for _ in 0..random.u8(..4) {
            history.lock().unwrap().edit(&mut okta.org_mut());
        }
        move_it(&okta, &history, requests);
    }
    let ran = folder.sync(&okta, &arguments).end();
    let history = history.lock().unwrap();
    let sound = catch_unwind(AssertUnwindSafe(|| {
        ran.code(0);
        assert_is_sound(&folder.path("sync.c1z"), &history);
    }));
    if let Err(panic) = sound {
        panic!(
            "SEED {seed}, by {by}, filter {filter}, killed {is_killed}: {}\n{}",
            panic.downcast_ref::<String>().map_or("", String::as_str),
            history.edits.join("\n")
        );
    }
    let db = open(&folder.path("sync.c1z"));
    let number = |query: &str| cell(&db, query).parse().unwrap();
    Met {
        edits: history.edits.len(),
        interruptions: number("select interruptions from snapshot"),
        vanished: number("select users_vanished + groups_vanished from snapshot"),
        from_both_ends: number("select users_listed_by = 'both_ends' from snapshot"),
    }
}

/// Makes runs with all seeds, six in parallel, and panics with the seeds that failed.
fn run_all(seeds: u64, run: impl Fn(u64) -> Met + Sync) -> Met {
    let (next, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let met = Mutex::new(Met::default());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                        Ok(one) => {
                            let mut met = met.lock().unwrap();
                            met.edits += one.edits;
                            met.interruptions += one.interruptions;
                            met.vanished += one.vanished;
                            met.from_both_ends += one.from_both_ends;
                        }
                        Err(panic) => {
                            let text = panic.downcast_ref::<String>().cloned();
                            failures.lock().unwrap().push(text.unwrap_or_default());
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    met.into_inner().unwrap()
}

#[test]
fn an_org_that_changes_during_the_run_gives_a_consistent_snapshot() {
    let org = org();
    let met = run_all(150, |seed| run_once(seed, &org, 50, options()));
    // With fewer edits, this would test little.
    assert!(met.edits > 400, "{} edits", met.edits);
    assert!(
        met.interruptions > 40,
        "{} interruptions",
        met.interruptions
    );
    assert!(met.vanished > 10, "{} vanished", met.vanished);
}

#[test]
#[ignore = "long"]
fn a_larger_org_that_changes_during_the_run_gives_a_consistent_snapshot() {
    let org = Org::generated(&Shape {
        users: 45_000,
        in_scope: 300,
        groups: 30,
        memberships: 400,
        largest_group: 60,
        ..Shape::default()
    });
    let met = run_all(12, |seed| run_once(1_000 + seed, &org, 240, unlimited()));
    assert!(met.edits > 30, "{} edits", met.edits);
    assert!(met.interruptions > 2, "{}", met.interruptions);
    assert!(met.from_both_ends > 0);
}

/// With one connection, all users are listed before any members.
const USERS_FIRST: &[&str] = &["--memberships-by", "group", "--concurrency", "1"];

/// A user who is listed as out of scope and then appears in scope as a member is fetched by id, since it is unknown
/// which copy is older. The run is killed in between.
#[test]
fn a_user_to_fetch_again_is_also_fetched_by_the_run_that_resumes() {
    let id = "00udoubt";
    let email = |email: &str, updated: i64| {
        let profile = User::with_email("", email).profile;
        Action::run(move |org| {
            assert!(org.edit_user(id, |user| {
                user.profile = profile.clone();
                user.last_updated = updated;
            }));
        })
    };
    for is_killed in [false, true] {
        let mut org = Org::demo();
        let group = org.find_group("Engineering").unwrap().id.to_string();
        org.add_user(User::with_email(id, "doubt@elsewhere.example"));
        org.join(&group, id);
        let okta = Okta::with(org);
        // The members are read from an outdated copy.
        let members = format!("/api/v1/groups/{group}/users");
        okta.fault(Fault::path(members, email("doubt@example.com", 1_000)).nth(1));
        let by_id = format!("/api/v1/users/{id}");
        okta.fault(Fault::path(
            &by_id,
            email("doubt@elsewhere.example", 2_000_000_000_000),
        ));
        let folder = Folder::new();
        if is_killed {
            okta.fault(Fault::path(&by_id, Action::Delay(Duration::from_secs(3_600))).nth(1));
            let running = folder.sync(&okta, USERS_FIRST).start();
            while okta.asked(&by_id).is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            running.settle();
            running.signal("KILL");
            running.end();
            okta.clear_requests();
        }
        folder.sync(&okta, USERS_FIRST).ok();
        assert_eq!(okta.asked(&by_id).len(), 1, "killed: {is_killed}");
        let db = open(&folder.path("sync.c1z"));
        let users = format!("select count(*) from users where id = '{id}'");
        assert_eq!(cell(&db, &users), "0", "killed: {is_killed}");
    }
}

#[test]
fn a_user_to_fetch_again_who_was_deleted_is_counted_only_as_vanished() {
    let id = "00udoubt";
    let mut org = Org::demo();
    let group = org.find_group("Engineering").unwrap().id.to_string();
    org.add_user(User::with_email(id, "doubt@elsewhere.example"));
    org.join(&group, id);
    let okta = Okta::with(org);
    let edit = Action::run(move |org| {
        let profile = User::with_email("", "doubt@example.com").profile;
        assert!(org.edit_user(id, |user| user.profile = profile));
    });
    okta.fault(Fault::path(format!("/api/v1/groups/{group}/users"), edit));
    let delete = Action::run(move |org| assert!(org.remove_user(id)));
    okta.fault(Fault::path(format!("/api/v1/users/{id}"), delete));
    let folder = Folder::new();
    folder.sync(&okta, USERS_FIRST).ok();
    let db = open(&folder.path("sync.c1z"));
    let counts = "select users_seen, users_only_as_members, users_vanished from snapshot";
    assert_eq!(cell(&db, counts), "61|0|1");
}
