//! Parse, configure, dispatch, exit code.

use std::process::ExitCode;

use crate::change::Action;
use crate::cli::{Cli, Command};
use crate::config::{self, Environment};
use crate::console::{Console, FailureObject, OutputOptions};
use crate::exit::{self, ExitStatus};
use crate::signal::ShutdownSignal;
use crate::{cli, commands, mask, okta, text};

/// Runs the program with the arguments and the environment of the process, and returns its exit code.
pub fn main() -> ExitCode {
    let environment = Environment::of_process();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &environment),
    };
    // The demo is the same for everyone, whatever is exported.
    let environment = match cli.command {
        Command::Demo(_) => environment.without_settings(),
        _ => environment,
    };
    let output_options = OutputOptions::new(&cli.output, &environment);
    let console = Console::start(&match &output_options {
        Ok(output_options) => *output_options,
        Err(_) => OutputOptions::best_effort(&cli.output, &environment),
    });
    if !matches!(cli.command, Command::Demo(_)) {
        for note in config::notes(&environment) {
            tracing::warn!("{note}");
        }
    }
    let ended = output_options
        .map_err(anyhow::Error::from)
        .and_then(|_| run(&cli.command, &environment, &console));
    let exit = ended.unwrap_or_else(|error| fail(&error, &console));
    ExitCode::from(exit.code())
}

fn run(
    command: &Command,
    environment: &Environment,
    console: &Console,
) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Sync(typed) => {
            let metrics = config::MetricsConfig::new(typed, environment)?;
            commands::sync::metrics::recorded(metrics.as_ref(), |measured| {
                let config = config::SyncConfig::new(typed, environment)?;
                let stop = ShutdownSignal::listen()?;
                commands::sync::run_measured(&config, console, &stop, measured)
            })
        }
        Command::Grant(typed) => {
            let revoke = config::RevokeOnly::default();
            let config =
                config::ChangeConfig::new(Action::Grant, &typed.change, revoke, environment)?;
            commands::change::run(&config, console, &ShutdownSignal::listen()?)
        }
        Command::Revoke(typed) => {
            let revoke = config::RevokeOnly {
                grant_id: typed.grant_id.as_ref(),
                all_groups: typed.all_groups,
                require_decisions: typed.require_decisions,
                max_sheet_age: typed.max_sheet_age.as_ref(),
            };
            let config =
                config::ChangeConfig::new(Action::Revoke, &typed.change, revoke, environment)?;
            commands::change::run(&config, console, &ShutdownSignal::listen()?)
        }
        Command::Check(typed) => {
            let config = config::CheckConfig::new(typed, environment)?;
            commands::check::run(&config, console, &ShutdownSignal::listen()?)
        }
        Command::Show(typed) => {
            commands::show::run(&config::ShowConfig::new(typed, environment)?, console)
        }
        Command::Diff(typed) => commands::diff::run(&config::DiffConfig::new(typed)?, console),
        Command::Verify(typed) => {
            let config = config::VerifyConfig::new(typed, environment)?;
            commands::verify::run(&config, console)
        }
        Command::Export(typed) => {
            let config = config::ExportConfig::new(typed, environment)?;
            commands::export::run(&config, console, &ShutdownSignal::listen()?)
        }
        Command::Findings(typed) => {
            commands::findings::run(&config::FindingsConfig::new(typed, environment)?, console)
        }
        Command::Report(typed) => {
            commands::report::run(&config::ReportConfig::new(typed, environment)?, console)
        }
        Command::Review(typed) => {
            let config = config::ReviewConfig::new(typed, environment)?;
            commands::review::run(&config, console, &ShutdownSignal::listen()?)
        }
        Command::Demo(typed) => {
            let config = config::DemoConfig::new(typed)?;
            commands::demo::run(&config, console, &ShutdownSignal::listen()?)
        }
        Command::Completions(typed) => commands::pages::completions(config::shell(typed)?, console),
        Command::Man(typed) => commands::pages::man(&config::ManConfig::new(typed)?, console),
    }
}

fn fail(error: &anyhow::Error, console: &Console) -> ExitStatus {
    let exit = exit::of_error(error);
    console.failure(&FailureObject {
        error: exit.word(),
        exit_code: exit.code(),
        // A file's name in it may be a token that was put in the wrong place.
        message: mask::without_tokens(&text::one_line(error)),
        request_id: okta::request_id_of(error).map(str::to_owned),
    });
    exit
}

/// Prints clap's message: help and version are data, anything else is one line like every other error.
fn usage(error: &clap::Error, environment: &Environment) -> ExitCode {
    if !error.use_stderr() {
        // A closed stdout is not a failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let typed = cli::parse_output_options(std::env::args_os());
    let console = Console::start(&OutputOptions::best_effort(&typed, environment));
    console.failure(&FailureObject {
        error: ExitStatus::Failed.word(),
        exit_code: ExitStatus::Failed.code(),
        // It repeats what was typed, in whatever place.
        message: mask::without_tokens(&cli::one_line(error, std::env::args_os())),
        request_id: None,
    });
    ExitCode::from(ExitStatus::Failed.code())
}
