//! Tests that the commands of the README and the query in the page about the file work as printed and give the output
//! shown there.

use okta_fake::{Options, Org};

use crate::support::{Folder, Okta, open, rows};

/// Returns the code blocks of the README and of the page about the file, which contains the query.
fn blocks() -> Vec<String> {
    let text = concat!(
        include_str!("../../README.md"),
        include_str!("../../docs/c1z-format.md")
    );
    let mut blocks = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in text.lines() {
        if line.starts_with("```") {
            open = match open {
                Some(lines) => {
                    blocks.push(lines.join("\n"));
                    None
                }
                None => Some(Vec::new()),
            };
        } else if let Some(lines) = &mut open {
            lines.push(line);
        }
    }
    assert!(open.is_none());
    blocks
}

/// Returns the block that starts like this, and the next one.
fn pair(start: &str) -> (String, String) {
    let blocks = blocks();
    let place = blocks.iter().position(|block| block.starts_with(start));
    let place = place.unwrap_or_else(|| panic!("{start:?} is not in the README"));
    (
        blocks[place].clone(),
        blocks.get(place + 1).cloned().unwrap_or_default(),
    )
}

/// Returns a text without the parts that differ between runs: ports, times, sizes.
fn steady(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        for word in &mut words {
            if word.starts_with("http://127.0.0.1:") {
                *word = "ORIGIN".to_owned();
            }
            if word.starts_with("2026-") && word.ends_with('Z') {
                *word = "TIME".to_owned();
            }
        }
        match words.first().map(String::as_str) {
            // The content includes the last sign-ins, which depend on the current date.
            Some(first @ ("took" | "size" | "content")) => first.to_owned(),
            Some("run") => "run by".to_owned(),
            _ => words.join(" "),
        }
    };
    // A build without git has no commit.
    let lines = text.trim_end().lines();
    let lines = lines.filter(|line| !line.starts_with("  commit "));
    // The estimated time.
    lines
        .map(line)
        .map(|line| match (line.find(", about 0."), line.find(" s (")) {
            (Some(from), Some(to)) => format!("{}{}", &line[..from], &line[to..]),
            _ => line,
        })
        .collect()
}

fn sample() -> (Okta, Folder) {
    let okta = Okta::with_options(Org::demo(), Options::default());
    (okta, Folder::new())
}

/// Runs one line of the README against the sample org.
fn run(line: &str, okta: &Okta, folder: &Folder) -> String {
    let script = format!("\"$TOOL\" {}", line.strip_prefix("okta-ciam ").unwrap());
    let ran = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .env("TOOL", env!("CARGO_BIN_EXE_okta-ciam"))
        .env("BATON_DOMAIN", okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
        .current_dir(folder.path("."))
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8(ran.stdout), String::from_utf8(ran.stderr));
    assert!(
        ran.status.success() || line.contains("--from") || line.contains("diff"),
        "{line}\n{}",
        stderr.unwrap()
    );
    stdout.unwrap()
}

#[test]
fn the_quick_start_prints_what_the_readme_shows() {
    let folder = Folder::new();
    let (start, shown) = pair("cargo run --release -- demo");
    assert_eq!(start, "cargo run --release -- demo");
    let printed = folder.run(&["demo"]).ok().stdout;
    assert_eq!(steady(&printed), steady(&shown));
}

/// Returns the lines of a result up to the line that stands for the rest.
fn start(text: &str) -> Vec<&str> {
    text.lines().take_while(|line| *line != "…").collect()
}

#[test]
fn questions_and_exports_print_what_the_readme_shows() {
    let folder = Folder::new();
    folder.run(&["demo"]).ok();
    let okta = Okta::unasked();
    let mut commands = 0;
    for block in blocks() {
        let is_question = block.starts_with("okta-ciam show -f demo.c1z");
        if is_question || block.starts_with("okta-ciam export") {
            let (command, shown) = pair(&block);
            let printed = run(&command, &okta, &folder);
            let shown = start(&shown);
            let printed: Vec<&str> = printed.lines().take(shown.len()).collect();
            assert_eq!(printed, shown, "{command}");
            commands += 1;
        }
    }
    assert_eq!(commands, 4);
}

#[test]
fn check_plan_and_sync_work_as_the_readme_shows() {
    let (commands, shown) = pair("export BATON_DOMAIN=company.okta.com");
    let lines: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("okta-ciam"))
        .collect();
    let [check, plan, sync] = lines[..] else {
        panic!("{lines:?}")
    };
    let (okta, folder) = sample();
    let (printed, shown) = (steady(&run(check, &okta, &folder)), steady(&shown));
    let left_out = shown.iter().position(|line| line == "…").unwrap();
    let (first, last) = (&shown[..left_out], &shown[left_out + 1..]);
    let omitted = &printed[left_out..printed.len() - last.len()];
    let is_limit = |line: &String| line.contains(" per minute, ");
    assert!(
        !omitted.is_empty() && omitted.iter().all(is_limit),
        "{omitted:?}"
    );
    assert_eq!(&printed[..left_out], first);
    assert_eq!(&printed[printed.len() - last.len()..], last);
    let (okta, folder) = sample();
    let (shown, _) = pair("users        49 of 60 in scope");
    assert_eq!(steady(&run(plan, &okta, &folder)), steady(&shown));
    run(sync, &okta, &folder);
    assert_eq!(
        folder.names(),
        ["okta.c1z", "okta.json"].map(str::to_owned).into()
    );
}

#[test]
fn changes_work_as_the_readme_shows() {
    let (okta, folder) = sample();
    let (command, shown) = pair("okta-ciam grant --provisioning --user");
    assert_eq!(steady(&run(&command, &okta, &folder)), steady(&shown));
    let (command, shown) = pair("okta-ciam revoke --provisioning --yes --user");
    assert_eq!(steady(&run(&command, &okta, &folder)), steady(&shown));
    let (list, command) = pair("user,group");
    std::fs::write(folder.path("joiners.csv"), list).unwrap();
    let (_, shown) = pair(&command);
    assert_eq!(steady(&run(&command, &okta, &folder)), steady(&shown));
}

#[test]
fn a_diff_prints_what_the_readme_shows() {
    let (okta, folder) = sample();
    let (command, shown) = pair("okta-ciam diff");
    run("okta-ciam sync -f monday.c1z", &okta, &folder);
    for change in [
        "okta-ciam revoke --provisioning --yes --user gabriela.montano@example.com --all-groups",
        "okta-ciam grant --provisioning --user bram.oosterhuis@example.com --group 'VPN users'",
    ] {
        run(change, &okta, &folder);
    }
    run("okta-ciam sync -f friday.c1z", &okta, &folder);
    assert_eq!(steady(&run(&command, &okta, &folder)), steady(&shown));
}

#[test]
fn the_queries_find_what_the_readme_shows() {
    let folder = Folder::new();
    folder.run(&["demo", "-f", "demo.db"]).ok();
    let db = open(&folder.path("demo.db"));
    let mut queries = 0;
    for query in blocks().iter().filter(|block| block.starts_with("select")) {
        let (_, shown) = pair(query);
        let found = rows(&db, query.trim_end().trim_end_matches(';'));
        for (number, line) in shown.lines().enumerate() {
            if line == "…" {
                assert!(found.len() > number);
                break;
            }
            let cells: Vec<&str> = line
                .split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect();
            assert_eq!(found[number], cells.join("|"));
        }
        queries += 1;
    }
    assert_eq!(queries, 1);
}
