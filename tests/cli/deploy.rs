//! Tests the files of deploy/ and .github/: the rules that no schema contains, and the commands as they are, run
//! against the sample org.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use okta_ciam::testing::cli::variables;
use okta_ciam::testing::exit::ExitStatus;
use okta_fake::{Action, Endpoint, Fault, Org, Reply};
use serde_json::{Value, json};

use crate::support::{Folder, Okta, open, rows};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns all files in some folders.
fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = folders.iter().map(|name| root().join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

/// Runs a script in a folder, with the tool in PATH and only these variables.
fn shell(folder: &Folder, script: &str, variables: &[(&str, &str)]) -> Output {
    let tool = Path::new(env!("CARGO_BIN_EXE_okta-ciam")).parent().unwrap();
    let path = [
        folder.path("bin").display().to_string(),
        tool.display().to_string(),
        root().join("deploy/ci").display().to_string(),
        "/usr/bin:/bin".to_owned(),
    ];
    let ran = Command::new("/bin/sh")
        .args(["-ec", script])
        .env_clear()
        .env("PATH", path.join(":"))
        .envs(variables.iter().copied())
        .current_dir(folder.path("."))
        .output();
    ran.unwrap()
}

fn assert_ok(ran: &Output) {
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{:?}: {errors}", ran.status);
}

/// Returns true if the next run with the same settings may end differently. There is no wildcard, so that a new exit
/// code needs a decision.
fn is_worth_another_try(exit: ExitStatus) -> bool {
    match exit {
        ExitStatus::Done
        | ExitStatus::Different
        | ExitStatus::Failed
        | ExitStatus::Partial
        | ExitStatus::Refused
        | ExitStatus::Credentials
        | ExitStatus::NotVisible
        | ExitStatus::Guard => false,
        ExitStatus::Unavailable | ExitStatus::Locked | ExitStatus::Interrupted(_) => true,
    }
}

/// Returns the codes of `sync` that end a job, and those after which it is retried.
fn codes() -> (BTreeSet<u64>, BTreeSet<u64>) {
    let all = [
        ExitStatus::Failed,
        ExitStatus::Partial,
        ExitStatus::Refused,
        ExitStatus::Credentials,
        ExitStatus::Unavailable,
        ExitStatus::NotVisible,
        ExitStatus::Guard,
        ExitStatus::Locked,
        ExitStatus::Interrupted(2),
        ExitStatus::Interrupted(15),
    ];
    let of = |wanted: bool| {
        let some = all.into_iter();
        let some = some.filter(move |exit| is_worth_another_try(*exit) == wanted);
        some.map(|exit| u64::from(exit.code())).collect()
    };
    (of(false), of(true))
}

/// Checks the five fields of a cron expression with numbers, steps and stars.
fn assert_cron(expression: &str) {
    const RANGES: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let fields: Vec<&str> = expression.split_whitespace().collect();
    assert_eq!(fields.len(), RANGES.len(), "{expression}");
    for (field, (first, last)) in fields.into_iter().zip(RANGES) {
        if field != "*" {
            let number: u32 = field.parse().unwrap_or_else(|_| panic!("{expression}"));
            assert!((first..=last).contains(&number), "{expression}");
        }
    }
}

/// Parses a duration such as `2h` or `2h 10m` to seconds.
fn seconds(text: &str) -> u64 {
    let part = |part: &str| {
        let (number, unit) = part.split_at(part.trim_end_matches(char::is_alphabetic).len());
        let factor = match unit {
            "h" => 3600,
            "m" | "min" => 60,
            _ => panic!("{text}"),
        };
        number.parse::<u64>().unwrap() * factor
    };
    text.split_whitespace().map(part).sum()
}

/// Returns the job of the base, and the job with the patch of the overlay.
fn jobs() -> [Value; 2] {
    let base = yaml("deploy/kubernetes/base/cronjob.yaml");
    let mut patched = base.clone();
    let patch = yaml("deploy/kubernetes/overlays/token-file/cronjob.yaml");
    for step in patch.as_array().unwrap() {
        let path = step["path"].as_str().unwrap();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = patched
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("{path}"));
        match (step["op"].as_str().unwrap(), parent) {
            ("remove", Value::Object(fields)) => {
                fields.remove(key).unwrap();
            }
            ("add", Value::Object(fields)) => {
                assert!(
                    fields
                        .insert(key.to_owned(), step["value"].clone())
                        .is_none()
                );
            }
            ("add", Value::Array(list)) if key == "-" => list.push(step["value"].clone()),
            _ => panic!("{step}"),
        }
    }
    [base, patched]
}

fn pod(job: &Value) -> &Value {
    &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
}

#[test]
fn every_yaml_file_parses_and_every_variable_in_it_is_known() {
    let known = variables();
    let mut parsed = 0;
    let mut named = 0;
    for path in files(&["deploy", ".github"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        if path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml")
        {
            let value: Result<Value, _> = serde_saphyr::from_str(&text);
            value.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            parsed += 1;
        }
        for after in text.split("BATON_").skip(1) {
            let name: String = after
                .chars()
                .take_while(|c| c.is_ascii_uppercase() || *c == '_')
                .collect();
            let name = format!("BATON_{}", name.trim_end_matches('_'));
            assert!(known.contains(&name), "{}: {name}", path.display());
            named += 1;
        }
    }
    assert!(parsed >= 11, "{parsed}");
    assert!(named > 20, "{named}");
}

#[test]
fn the_job_of_kubernetes_retries_exactly_the_temporary_failures() {
    let (last, again) = codes();
    for job in jobs() {
        let spec = &job["spec"]["jobTemplate"]["spec"];
        let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
        assert_eq!(rules[0]["action"], "Ignore");
        assert_eq!(rules[0]["onPodConditions"][0]["type"], "DisruptionTarget");
        assert_eq!(rules[1]["action"], "FailJob");
        let codes = &rules[1]["onExitCodes"];
        assert_eq!(codes["operator"], "In");
        assert_eq!(
            codes["containerName"],
            pod(&job)["initContainers"][0]["name"]
        );
        let values = codes["values"].as_array().unwrap();
        let values: BTreeSet<u64> = values.iter().map(|code| code.as_u64().unwrap()).collect();
        assert_eq!(values, last);
        assert!(values.is_disjoint(&again));
        // podFailurePolicy requires it, but no schema contains this rule.
        assert_eq!(pod(&job)["restartPolicy"], "Never");
    }
}

#[test]
fn the_job_of_kubernetes_starts_on_time_and_its_deadline_comes_first() {
    for job in jobs() {
        let spec = &job["spec"];
        assert_eq!(job["kind"], "CronJob");
        assert_eq!(spec["concurrencyPolicy"], "Forbid");
        assert_cron(spec["schedule"].as_str().unwrap());
        assert_eq!(spec["timeZone"], "Etc/UTC");
        // Kubernetes checks every 10 seconds, so a job with a shorter deadline may never start.
        assert!(spec["startingDeadlineSeconds"].as_u64().unwrap() > 60);
        let job_spec = &spec["jobTemplate"]["spec"];
        let arguments = pod(&job)["initContainers"][0]["args"].as_array().unwrap();
        let deadline = arguments
            .iter()
            .find_map(|argument| argument.as_str()?.strip_prefix("--deadline="));
        let tries = job_spec["backoffLimit"].as_u64().unwrap() + 1;
        let active = job_spec["activeDeadlineSeconds"].as_u64().unwrap();
        assert!(active > tries * seconds(deadline.unwrap()), "{active}");
    }
}

#[test]
fn the_containers_of_kubernetes_have_no_rights_and_write_to_volumes_only() {
    let image = text("deploy/docker/Dockerfile");
    for job in jobs() {
        let pod = pod(&job);
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(context["fsGroupChangePolicy"], "OnRootMismatch");
        let user = &context["runAsUser"];
        assert!(image.contains(&format!("\nUSER {user}:{}\n", context["runAsGroup"])));
        assert_eq!(&context["fsGroup"], user);
        assert_eq!(pod["automountServiceAccountToken"], false);
        let volumes = pod["volumes"].as_array().unwrap();
        let volumes: BTreeSet<&str> = volumes
            .iter()
            .map(|volume| volume["name"].as_str().unwrap())
            .collect();
        let mut mounted = BTreeSet::new();
        for list in ["initContainers", "containers"] {
            for container in pod[list].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
                let mounts = container["volumeMounts"].as_array().unwrap();
                mounted.extend(mounts.iter().map(|mount| mount["name"].as_str().unwrap()));
            }
        }
        assert_eq!(mounted, volumes);
        let data = yaml("deploy/kubernetes/base/persistentvolumeclaim.yaml");
        let claim = &pod["volumes"][0]["persistentVolumeClaim"]["claimName"];
        assert_eq!(claim, &data["metadata"]["name"]);
    }
    let resources = yaml("deploy/kubernetes/base/kustomization.yaml");
    for name in resources["resources"].as_array().unwrap() {
        let path = Path::new("deploy/kubernetes/base").join(name.as_str().unwrap());
        assert!(root().join(&path).exists(), "{}", path.display());
    }
}

/// Uses the keys of the Secret in the documentation of the Go connector, including the optional ones.
#[test]
fn the_job_of_kubernetes_syncs_with_the_secret_of_the_go_connector() {
    let secret = yaml("deploy/kubernetes/base/secret.yaml");
    let stored = secret["stringData"].as_object().unwrap();
    let keys: BTreeSet<&str> = stored.keys().map(String::as_str).collect();
    let needed = ["BATON_DOMAIN", "BATON_API_TOKEN", "BATON_EMAIL_DOMAINS"];
    assert_eq!(keys, needed.into());
    for optional in ["BATON_GROUP_NAME_FILTER", "BATON_PROVISIONING"] {
        assert!(text("deploy/kubernetes/base/secret.yaml").contains(&format!("  # {optional}: ")));
    }
    let okta = Okta::with(Org::demo());
    for job in jobs() {
        let folder = Folder::new();
        std::fs::write(folder.path("BATON_API_TOKEN"), okta.token()).unwrap();
        let value = |key: &str| match key {
            "BATON_DOMAIN" => okta.origin(),
            "BATON_API_TOKEN" => okta.token().to_owned(),
            "BATON_GROUP_NAME_FILTER" => "e".to_owned(),
            "BATON_PROVISIONING" => "true".to_owned(),
            _ => stored[key].as_str().unwrap().to_owned(),
        };
        let container = &pod(&job)["initContainers"][0];
        let inside = |text: &str| {
            let here = folder.path("").display().to_string();
            text.replace("/data/", &here)
                .replace("/secrets/okta/", &here)
        };
        let arguments = container["args"].as_array().unwrap();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| inside(argument.as_str().unwrap()))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut run = folder.run(&arguments);
        if let Some(from) = container["envFrom"][0]["secretRef"]["name"].as_str() {
            assert_eq!(from, secret["metadata"]["name"]);
            for key in [
                &needed[..],
                &["BATON_GROUP_NAME_FILTER", "BATON_PROVISIONING"],
            ]
            .concat()
            {
                run = run.env(key, &value(key));
            }
        } else {
            for variable in container["env"].as_array().unwrap() {
                let name = variable["name"].as_str().unwrap();
                let set = match variable["value"].as_str() {
                    Some(text) => inside(text),
                    None => value(
                        variable["valueFrom"]["secretKeyRef"]["key"]
                            .as_str()
                            .unwrap(),
                    ),
                };
                run = run.env(name, &set);
            }
        }
        let ran = run.ok();
        assert!(!ran.stderr.contains("WARN"), "{}", ran.stderr);
        let names = ["BATON_API_TOKEN", "okta.c1z", "okta.json"];
        assert_eq!(folder.names(), names.map(str::to_owned).into());
        // The script of the upload contains both files.
        let script = pod(&job)["containers"][0]["command"][2].as_str().unwrap();
        for name in &names[1..] {
            assert!(script.contains(&format!("/data/{name} \"$S3_PREFIX/{name}\"")));
        }
        let db = open(&folder.path("okta.c1z"));
        let groups = rows(&db, "select name from groups");
        assert!(
            groups.iter().all(|name| name.to_lowercase().contains('e')),
            "{groups:?}"
        );
    }
}

/// Writes the settings for cron and systemd, with the address and the token of an org.
fn installed(folder: &Folder, okta: &Okta) {
    std::fs::create_dir_all(folder.path("etc")).unwrap();
    std::fs::create_dir_all(folder.path("lib")).unwrap();
    std::fs::write(folder.path("etc/token"), format!("{}\n", okta.token())).unwrap();
    let settings = text("deploy/systemd/env");
    let settings = settings.replace("company.okta.com", &okta.origin());
    std::fs::write(folder.path("etc/env"), moved(folder, &settings)).unwrap();
}

fn moved(folder: &Folder, text: &str) -> String {
    let here = |name| folder.path(name).display().to_string();
    text.replace("/etc/okta-ciam", &here("etc"))
        .replace("/var/lib/okta-ciam", &here("lib"))
}

fn assert_taken(folder: &Folder) {
    let names = std::fs::read_dir(folder.path("lib")).unwrap();
    let names: BTreeSet<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let all = ["okta.c1z", "okta.json", "okta.prom"];
    assert_eq!(names, all.map(str::to_owned).into());
}

#[test]
fn the_line_for_cron_takes_a_snapshot_with_the_settings_file() {
    let crontab = text("deploy/cron/okta-ciam");
    let line = crontab
        .lines()
        .find(|line| line.contains("okta-ciam sync"))
        .unwrap();
    let words: Vec<&str> = line.splitn(7, ' ').collect();
    assert_cron(&words[..5].join(" "));
    assert_eq!(words[5], "okta-ciam", "the user");
    // cron treats an unescaped percent sign as the end of the command.
    assert!(!words[6].contains('%'));
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    installed(&folder, &okta);
    let ran = shell(&folder, &moved(&folder, words[6]), &[]);
    assert_ok(&ran);
    // cron mails all output.
    assert!(ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
    assert_taken(&folder);
}

/// Returns the values of a key in a unit.
fn unit<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.collect()
}

#[test]
fn the_service_takes_a_snapshot_and_restarts_after_temporary_failures() {
    let service = text("deploy/systemd/okta-ciam.service");
    let (last, _) = codes();
    let prevented = unit(&service, "RestartPreventExitStatus")[0].split(' ');
    let prevented: BTreeSet<u64> = prevented.map(|code| code.parse().unwrap()).collect();
    assert_eq!(prevented, last);
    let settings = text("deploy/systemd/env");
    let deadline = seconds(unit(&settings, "BATON_DEADLINE")[0]);
    assert!(seconds(unit(&service, "TimeoutStartSec")[0]) > deadline);
    assert_eq!(unit(&service, "EnvironmentFile"), ["/etc/okta-ciam/env"]);
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    installed(&folder, &okta);
    let credential = unit(&service, "LoadCredential")[0];
    let (name, from) = credential.split_once(':').unwrap();
    std::fs::copy(moved(&folder, from), folder.path(name)).unwrap();
    let here = folder.path("").display().to_string();
    let variables = unit(&service, "Environment")[0].replace("%d/", &here);
    let start = unit(&service, "ExecStart")[0].replace("/usr/local/bin/", "");
    let set = "set -a; . etc/env";
    let script = format!("{set}; {variables} {}", moved(&folder, &start));
    assert_ok(&shell(&folder, &script, &[]));
    assert_taken(&folder);
    let user = unit(&service, "User")[0];
    assert!(text("deploy/systemd/okta-ciam.sysusers").contains(&format!("\nu {user} - ")));
}

/// Copies the script of the pipelines to a folder `bin` that comes first in PATH.
fn evidence(folder: &Folder) {
    std::fs::create_dir_all(folder.path("bin")).unwrap();
    let path = folder.path("bin/evidence.sh");
    std::fs::write(&path, text("deploy/ci/evidence.sh")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn evidence_files() -> BTreeSet<String> {
    let names = [
        "changes.md",
        "findings.sarif",
        "findings.xml",
        "okta.c1z",
        "okta.json",
        "report.html",
    ];
    names.map(str::to_owned).into()
}

/// Returns the files in a folder without hidden ones, since uploads ignore a checkpoint.
fn names_in(folder: &Folder, name: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.path(name)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Returns the step of a workflow with this name.
fn step<'a>(workflow: &'a Value, name: &str) -> &'a Value {
    let steps = workflow["jobs"]["evidence"]["steps"].as_array().unwrap();
    steps
        .iter()
        .find(|step| step["name"] == name)
        .unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn the_workflow_of_github_takes_a_snapshot_compares_it_and_uploads_the_files() {
    let workflow = yaml("deploy/github/okta-evidence.yml");
    assert_cron(workflow["on"]["schedule"][0]["cron"].as_str().unwrap());
    let take = step(&workflow, "Take a snapshot");
    let deadline = seconds(take["env"]["BATON_DEADLINE"].as_str().unwrap());
    let timeout = workflow["jobs"]["evidence"]["timeout-minutes"]
        .as_u64()
        .unwrap();
    assert!(timeout * 60 > deadline);
    let script = take["run"].as_str().unwrap();
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    evidence(&folder);
    let origin = okta.origin();
    let summary = folder.path("summary.md").display().to_string();
    let run = |folder: &Folder, token: &str, fail_on: &str| {
        let given = |name: &str| match name {
            "BATON_DOMAIN" => origin.clone(),
            "BATON_EMAIL_DOMAINS" => "example.com,example.org".to_owned(),
            "BATON_API_TOKEN" => token.to_owned(),
            _ => take["env"][name].as_str().unwrap().to_owned(),
        };
        let names = take["env"].as_object().unwrap().keys();
        let mut variables: Vec<(&str, String)> =
            names.map(|name| (name.as_str(), given(name))).collect();
        variables.push(("GITHUB_STEP_SUMMARY", summary.clone()));
        variables.push(("FAIL_ON", fail_on.to_owned()));
        let pairs: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        shell(folder, script, &pairs)
    };
    assert_ok(&run(&folder, okta.token(), ""));
    assert_eq!(names_in(&folder, "evidence"), evidence_files());
    let first = std::fs::read_to_string(folder.path("evidence/changes.md")).unwrap();
    assert!(first.contains("no earlier snapshot"), "{first}");
    // The next run gets the snapshot of this run, and detects a change.
    std::fs::rename(folder.path("evidence"), folder.path("previous")).unwrap();
    let group = okta
        .org()
        .groups()
        .find(|group| group.name() == Some("VPN users"))
        .unwrap()
        .id
        .to_string();
    let member = okta.org().members(&group)[0].to_string();
    assert!(okta.org_mut().leave(&group, &member));
    let ran = run(&folder, okta.token(), "low");
    assert_eq!(
        ran.status.code(),
        Some(1),
        "there are findings of the lowest severity"
    );
    assert_eq!(names_in(&folder, "evidence"), evidence_files());
    let summary = std::fs::read_to_string(folder.path("summary.md")).unwrap();
    let changes = std::fs::read_to_string(folder.path("evidence/changes.md")).unwrap();
    assert!(summary.starts_with(&first) && summary.ends_with(&changes));
    assert!(changes.contains("VPN users"), "{changes}");
    // A sync that fails leaves at most a checkpoint, and no files for the upload.
    let folder = Folder::new();
    evidence(&folder);
    okta.fault(Fault::on(
        Endpoint::Users,
        Action::Reply(Reply::new(401, "application/json", "{}")),
    ));
    assert_eq!(
        run(&folder, okta.token(), "critical").status.code(),
        Some(5)
    );
    assert!(names_in(&folder, "evidence").is_disjoint(&evidence_files()));
    // All files are uploaded.
    let mut uploaded = BTreeSet::new();
    for name in ["Upload the snapshot", "Upload the evidence"] {
        let paths = step(&workflow, name)["with"]["path"].as_str().unwrap();
        uploaded.extend(
            paths
                .lines()
                .filter_map(|line| line.strip_prefix("evidence/"))
                .map(str::to_owned),
        );
    }
    assert_eq!(uploaded, evidence_files());
}

#[test]
fn the_job_of_gitlab_takes_a_snapshot_and_hands_it_to_the_next() {
    let pipeline = yaml("deploy/gitlab/.gitlab-ci.yml");
    let job = &pipeline["okta-evidence"];
    let deadline = seconds(job["variables"]["BATON_DEADLINE"].as_str().unwrap());
    assert!(seconds(job["timeout"].as_str().unwrap()) > deadline);
    let lines = |key: &str| {
        let lines = job[key].as_array().unwrap().iter();
        let lines: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
        lines.join("\n")
    };
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    evidence(&folder);
    std::fs::write(folder.path("token"), okta.token()).unwrap();
    let variables = [
        ("BATON_DOMAIN", okta.origin()),
        ("BATON_EMAIL_DOMAINS", "example.com".to_owned()),
        ("OKTA_API_TOKEN", folder.path("token").display().to_string()),
        ("BATON_DEADLINE", "2h".to_owned()),
    ];
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    for expected in ["no earlier snapshot", "unchanged"] {
        assert_ok(&shell(&folder, &lines("script"), &variables));
        assert_ok(&shell(&folder, &lines("after_script"), &variables));
        let changes = std::fs::read_to_string(folder.path("evidence/changes.md")).unwrap();
        assert!(changes.contains(expected), "{changes}");
        assert_eq!(names_in(&folder, "evidence"), evidence_files());
        std::fs::remove_dir_all(folder.path("evidence")).unwrap();
        assert_eq!(
            names_in(&folder, "previous"),
            ["okta.c1z".to_owned()].into()
        );
    }
    let junit = job["artifacts"]["reports"]["junit"].as_str().unwrap();
    assert!(evidence_files().contains(junit.strip_prefix("evidence/").unwrap()));
}

#[test]
fn every_action_is_pinned_to_a_commit_with_its_version_as_a_comment() {
    let mut pinned = 0;
    for path in files(&["deploy/github", ".github"]) {
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            let (commit, version) = action
                .split_once(" # v")
                .unwrap_or_else(|| panic!("{line}"));
            let (_, commit) = commit.split_once('@').unwrap();
            assert_eq!(commit.len(), 40, "{line}");
            assert!(commit.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
            assert!(
                version.split('.').all(|part| part.parse::<u32>().is_ok()),
                "{line}"
            );
            pinned += 1;
        }
    }
    assert!(pinned > 8, "{pinned}");
}

#[test]
fn the_archive_of_a_release_has_the_pages_that_the_binary_makes_and_is_the_same_each_time() {
    let folder = Folder::new();
    // A small file replaces the binary, whose compression would take long.
    let tool = env!("CARGO_BIN_EXE_okta-ciam");
    let binary = folder.path("tool");
    std::fs::write(&binary, format!("#!/bin/sh\nexec {tool} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = root().join("deploy/release/archive.sh");
    let script = script.display();
    for out in ["a", "b"] {
        assert_ok(&shell(
            &folder,
            &format!("{script} ./tool x86_64-test {out}"),
            &[],
        ));
    }
    let name = format!("okta-ciam-{}-x86_64-test", env!("CARGO_PKG_VERSION"));
    let archive =
        |out: &str| std::fs::read(folder.path(out).join(format!("{name}.tar.gz"))).unwrap();
    assert!(archive("a") == archive("b"));
    let listed = shell(&folder, &format!("tar -tzf a/{name}.tar.gz"), &[]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    for file in [
        "okta-ciam",
        "LICENSE",
        "man/man1/okta-ciam.1",
        "man/man1/okta-ciam-show-users.1",
        "completions/_okta-ciam",
        "completions/okta-ciam.bash",
        "completions/okta-ciam.fish",
        "deploy/ci/evidence.sh",
        "docs/options.md",
    ] {
        assert!(
            listed.lines().any(|line| line == format!("{name}/{file}")),
            "{file}\n{listed}"
        );
    }
}

#[test]
fn the_image_has_the_binary_the_certificates_and_a_folder_that_its_user_owns() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = Folder::new();
    std::fs::write(folder.path("tool"), "binary").unwrap();
    std::fs::write(folder.path("roots.crt"), "certificates").unwrap();
    let script = root().join("deploy/docker/rootfs.sh");
    let script = format!("{} tool roots.crt out", script.display());
    assert_ok(&shell(&folder, &script, &[]));
    let dockerfile = text("deploy/docker/Dockerfile");
    let entry = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("ENTRYPOINT [\"/"));
    let entry = entry.unwrap().trim_end_matches("\"]");
    for (name, mode) in [
        (entry, 0o755),
        ("etc/ssl/certs/ca-certificates.crt", 0o644),
        ("tmp", 0o1777),
    ] {
        let found = std::fs::metadata(folder.path("out/root").join(name)).unwrap();
        assert_eq!(found.mode() & 0o7777, mode, "{name}");
    }
    // COPY makes root the owner unless specified otherwise, and the image starts in this folder.
    assert!(folder.path("out/data").is_dir());
    assert!(dockerfile.contains(" --chown=65532:65532 /out/data/ /data/\n"));
    assert!(dockerfile.contains("\nWORKDIR /data\n"));
}

/// Returns the lines in the shell blocks of a page, with continued lines joined.
fn commands_of(page: &str) -> Vec<String> {
    let text = text(page).replace("\\\n", "");
    let mut inside = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            commands.push(line.trim().to_owned());
        }
    }
    commands
}

#[test]
fn the_commands_in_the_pages_about_deploying_work_as_printed() {
    let mut ran = 0;
    for page in ["docs/deploy.md", "docs/from-the-go-connector.md"] {
        let okta = Okta::with(Org::demo());
        let folder = Folder::new();
        std::fs::write(folder.path("token.txt"), okta.token()).unwrap();
        // These scripts replace the programs that would send something, and print their arguments.
        std::fs::create_dir_all(folder.path("bin")).unwrap();
        for name in ["aws", "curl"] {
            let program = folder.path("bin").join(name);
            std::fs::write(&program, "#!/bin/sh\necho \"${0##*/} $*\" >> sent\n").unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let lines = commands_of(page);
        let ours = lines
            .iter()
            .filter(|line| line.starts_with("okta-ciam ") || line.starts_with("export "));
        let ours: Vec<String> = ours
            .map(|line| line.replace("company.okta.com", &okta.origin()))
            .map(|line| line.replace("/usr/", "./usr/"))
            .collect();
        ran += ours.len();
        let folders = "mkdir -p usr/share/bash-completion/completions";
        let script = format!("{folders}\n{}", ours.join("\n"));
        assert_ok(&shell(&folder, &script, &[]));
        let sent = std::fs::read_to_string(folder.path("sent")).unwrap();
        assert!(
            sent.contains("aws s3 cp okta.c1z s3://my-bucket/okta.c1z"),
            "{sent}"
        );
    }
    assert!(ran > 12, "{ran}");
}

/// Checks that all files of the repository and all options in a page exist.
#[test]
fn the_files_options_and_metrics_in_the_pages_about_deploying_exist() {
    use clap::CommandFactory as _;
    fn options(command: &clap::Command, all: &mut BTreeSet<String>) {
        let own = command.get_arguments().filter_map(clap::Arg::get_long);
        all.extend(own.map(|name| format!("--{name}")));
        for sub in command.get_subcommands() {
            all.insert(sub.get_name().to_owned());
            options(sub, all);
        }
    }
    let mut known = BTreeSet::from(["--help".to_owned()]);
    options(&okta_ciam::testing::cli::Cli::command(), &mut known);
    let moving = text("docs/from-the-go-connector.md");
    let mut options = 0;
    for line in moving.lines().filter(|line| line.starts_with("| ")) {
        let ours = line.split(" | ").nth(1).unwrap_or_default();
        for quoted in ours.split('`').skip(1).step_by(2) {
            for word in quoted.split(' ').filter(|word| word.starts_with("--")) {
                assert!(known.contains(word), "{word}: {line}");
                options += 1;
            }
        }
    }
    assert!(options > 10, "{options}");
    let deploy = text("docs/deploy.md");
    let mut named = 0;
    for word in deploy.split(|c: char| c.is_whitespace() || "`()[],;:".contains(c)) {
        let path = word.trim_start_matches("../").trim_end_matches('.');
        if path.starts_with("deploy/") {
            assert!(root().join(path).exists(), "{word}");
            named += 1;
        }
    }
    assert!(named > 8, "{named}");
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    folder.sync(&okta, &["--metrics-file", "okta.prom"]).ok();
    let metrics = std::fs::read_to_string(folder.path("okta.prom")).unwrap();
    for name in deploy.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
        if name.starts_with("okta_ciam_") {
            assert!(metrics.contains(&format!("# TYPE {name} gauge")), "{name}");
        }
    }
}

/// Uses the variables that the documentation of the Go connector puts into its Secret and its Deployment.
#[test]
fn the_environment_of_the_go_connector_works_and_what_has_no_effect_is_named() {
    let okta = Okta::with(Org::demo());
    let folder = Folder::new();
    let ran = folder
        .run(&["sync"])
        .env("BATON_CLIENT_ID", "name@company.conductor.one/ccc")
        .env("BATON_CLIENT_SECRET", "secret-of-conductorone")
        .env("BATON_HOST_ID", "baton-okta-ciam-workforce")
        .env("BATON_DOMAIN", &okta.origin())
        .env("BATON_API_TOKEN", okta.token())
        .env("BATON_EMAIL_DOMAINS", "example.com,example.org")
        .env("BATON_PROVISIONING", "true")
        .env("BATON_GROUP_NAME_FILTER", "vpn")
        .ok();
    ran.says("BATON_CLIENT_ID and BATON_CLIENT_SECRET have no effect")
        .says("BATON_HOST_ID is not a variable of okta-ciam");
    let db = open(&folder.path("sync.c1z"));
    let groups = rows(&db, "select name from groups order by name");
    assert_eq!(groups, ["VPN users", "vpn users"]);
}
