//! `demo`: a real sync over HTTP of a sample org on this machine.
//!
//! Environment variables are ignored. Only a file of an earlier demo is replaced.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use crate::commands;
use crate::config::{DemoConfig, SyncConfig, format_of};
use crate::console::Console;
use crate::exit::ExitStatus;
use crate::filter::{Domain, Scope};
use crate::okta::auth::Credentials;
use crate::okta::settings::{Connection, PageSizes};
use crate::signal::ShutdownSignal;
use crate::snapshot::Reader;
use crate::sync::plan::MembershipsBy;
use okta_fake::{Options, Org, Server};

/// The domains in the scope of the demo. The org has a third domain, so that the scope hides some users.
const DOMAINS: [&str; 2] = ["example.com", "example.org"];
/// The milliseconds in a day.
const DAY: i64 = 86_400_000;
/// Small pages, so that sixty users fill several pages.
const PAGES: PageSizes = PageSizes {
    users: 25,
    groups: 5,
    members: 20,
};
const COMMAND: &str = "demo";

/// Runs `demo`.
///
/// # Errors
/// Returns an error if the file is not from an earlier demo, and the error of the sync.
pub fn run(
    demo: &DemoConfig,
    console: &Console,
    stop: &ShutdownSignal,
) -> anyhow::Result<ExitStatus> {
    let options = Options {
        port: demo.port,
        ..Options::default()
    };
    if demo.serve {
        return serve(&start(options)?, console, stop);
    }
    let file = &demo.file;
    let format = format_of(file)?;
    refuse_file_of_others(file)?;
    let server = start(options)?;
    let config = SyncConfig {
        connection: Connection {
            origin: Url::parse(&server.origin())?,
            credentials: Credentials::ApiToken(SecretString::from(server.token().to_owned())),
            capacity_percent: 75,
            concurrency: 8,
            timeout: Duration::from_secs(60),
            deadline: None,
            ca_pem: None,
            proxy: None,
            page_sizes: PAGES,
        },
        scope: Scope::new(
            DOMAINS
                .map(Domain::parse)
                .into_iter()
                .collect::<Result<_, _>>()?,
            false,
            None,
        ),
        format,
        file: file.to_owned(),
        manifest: None,
        memberships_by: MembershipsBy::Auto,
        plan: false,
        allow_partial: false,
        allow_empty: false,
        file_mode: None,
        retention: None,
        max_drop: None,
        fresh: false,
        run_id: None,
        note: None,
        arguments: Vec::new(),
        now: None,
        command: COMMAND,
    };
    tracing::info!(
        "the sample org runs at {} during this sync",
        server.origin()
    );
    commands::sync::run(&config, console, stop)
}

fn start(options: Options) -> anyhow::Result<Server> {
    let port = options.port;
    // Sign-ins are relative to midnight, so that two snapshots on the same day are equal.
    let today = Timestamp::now().as_millisecond().div_euclid(DAY) * DAY;
    Server::start(Org::demo().signed_in_before(today), options)
        .with_context(|| format!("cannot listen on port {port} of this machine"))
}

fn refuse_file_of_others(file: &Path) -> anyhow::Result<()> {
    if !file
        .try_exists()
        .with_context(|| format!("cannot open {}", file.display()))?
    {
        return Ok(());
    }
    let made_by_demo = Reader::open(file).is_ok_and(|reader| {
        reader
            .info()
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.command == COMMAND)
    });
    if !made_by_demo {
        bail!(
            "{} exists and was not written by demo; choose another file with --file",
            file.display()
        );
    }
    Ok(())
}

fn serve(server: &Server, console: &Console, stop: &ShutdownSignal) -> anyhow::Result<ExitStatus> {
    console.data(&format!(
        "export BATON_DOMAIN={}\nexport BATON_API_TOKEN={}\nexport BATON_EMAIL_DOMAINS={}\n",
        server.origin(),
        server.token(),
        DOMAINS.join(","),
    ))?;
    tracing::info!(
        "the sample org is running; set these variables in a second terminal, and stop it with Ctrl-C"
    );
    while stop.received().is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(ExitStatus::Done)
}
