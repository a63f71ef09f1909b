//! The command lines of `completions` and `man`, for packages, and for people who install the binary alone.

use clap::Args;
use clap_complete::Shell;

use super::words::words;

/// Print a shell completion script
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  Enable completion in bash, starting with the next shell:
    mkdir -p ~/.local/share/bash-completion/completions
    okta-ciam completions bash \\
      > ~/.local/share/bash-completion/completions/okta-ciam

  Enable completion in zsh; run this in a folder on your fpath:
    okta-ciam completions zsh > _okta-ciam

  Enable completion in fish:
    mkdir -p ~/.config/fish/completions
    okta-ciam completions fish > ~/.config/fish/completions/okta-ciam.fish")]
pub struct CompletionsArgs {
    /// Print the script for this shell: bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", value_parser = words::<Shell>())]
    pub shell: String,
}

/// Print the manual page for okta-ciam or one of its commands
#[derive(Args, Debug, Default)]
#[command(after_help = "\
The pages are in roff, the format that man reads. They contain the same text as --help.

Examples:
  Write the page for a command to a file that man can show:
    okta-ciam man sync > okta-ciam-sync.1

  Write all pages to a folder that man searches:
    okta-ciam man --to ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Print the page of this command, such as sync or show users
    #[arg(value_name = "COMMAND", conflicts_with = "to")]
    pub command: Vec<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "FOLDER")]
    pub to: Option<String>,
}
