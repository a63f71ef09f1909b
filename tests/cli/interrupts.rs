//! Tests that a signal ends a run that would otherwise wait for long, and leaves only a checkpoint for the next run.

use std::time::Duration;

use okta_fake::{Action, Endpoint, Fault, Org, Shape};

use crate::support::{Folder, Okta, unlimited, wait_for_file};

#[test]
fn a_signal_ends_the_run_and_leaves_the_previous_file() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        for slow in [
            Action::Delay(Duration::from_secs(3_600)),
            Action::RateLimited(3_000),
        ] {
            let okta = Okta::with(Org::demo());
            okta.fault(Fault::on(Endpoint::Members, slow));
            let folder = Folder::new();
            std::fs::write(folder.path("sync.c1z"), "previous").unwrap();
            let running = folder.sync(&okta, &[]).start();
            while !okta
                .requests()
                .iter()
                .any(|request| request.endpoint == Endpoint::Members)
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            running.signal(name);
            running.end().code(code).says("interrupted");
            assert_eq!(
                folder.names(),
                [".sync.c1z.checkpoint", "sync.c1z"]
                    .map(str::to_owned)
                    .into()
            );
            assert_eq!(std::fs::read(folder.path("sync.c1z")).unwrap(), b"previous");
            // Ends the delay of the server, which is no longer needed.
            okta.change_options(|options| *options = unlimited());
        }
    }
}

#[test]
fn files_of_a_killed_run_do_not_prevent_the_next_run() {
    let okta = Okta::with(Org::demo());
    okta.fault(Fault::on(Endpoint::Members, Action::Delay(Duration::from_secs(2))).first(3));
    let folder = Folder::new();
    let running = folder.sync(&okta, &[]).start();
    while !okta
        .requests()
        .iter()
        .any(|request| request.endpoint == Endpoint::Members)
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    running.signal("KILL");
    assert_eq!(running.end().code, None);
    assert!(
        folder.names().iter().all(|name| name.starts_with('.')),
        "{:?}",
        folder.names()
    );
    folder.sync(&okta, &[]).ok();
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}

#[test]
#[ignore = "long"]
fn a_signal_ends_a_run_that_is_writing_the_file() {
    let shape = Shape {
        users: 3_000,
        in_scope: 3_000,
        groups: 300,
        memberships: 500_000,
        largest_group: 2_900,
        ..Shape::default()
    };
    let okta = Okta::with(Org::generated(&shape));
    let folder = Folder::new();
    let running = folder.sync(&okta, &[]).start();
    wait_for_file(&folder.path(".sync.c1z.tmp-db"));
    running.signal("TERM");
    running.end().code(143).says("interrupted");
    // The thread that writes had it open.
    let state = |name: &String| name.starts_with(".sync.c1z.checkpoint");
    assert!(folder.names().iter().all(state), "{:?}", folder.names());
    folder.sync(&okta, &[]).ok().says("resuming the run");
    assert_eq!(folder.names(), ["sync.c1z".to_owned()].into());
}
