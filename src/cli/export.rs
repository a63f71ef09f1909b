//! The command line of `export`.

use clap::Args;

use super::words::words;
use crate::evidence::export::{ExportFormat, Sheet};

/// Export a snapshot as CSV, JSON lines, an Excel workbook or plain SQLite tables
#[derive(Args, Debug, Default)]
#[command(after_help = "\
If --to is a folder, the formats csv and jsonl produce one file for each table (users,
groups, memberships, domains, warnings), xlsx produces okta-ciam.xlsx, and sqlite
produces okta-ciam.db. manifest.json and SHA256SUMS are also written to the folder;
check the files with sha256sum -c SHA256SUMS. export replaces files with these names,
and no others. Identical snapshots produce identical files.

In CSV, a value that a spreadsheet would evaluate as a formula gets a leading apostrophe.

Examples:
  Write an Excel workbook:
    okta-ciam demo
    okta-ciam export -f demo.c1z --format xlsx -o access.xlsx

  Write CSV files with checksums to a folder, and check them:
    okta-ciam export -f demo.c1z --format csv -o evidence
    cd evidence && sha256sum -c SHA256SUMS && cd ..

  Write one table to standard output:
    okta-ciam export -f demo.c1z --format jsonl --table memberships \\
      --columns user_login,group_name,profile.department -o -")]
pub struct ExportArgs {
    /// Read this snapshot [env: BATON_FILE] [default: sync.c1z]
    #[arg(short, long, value_name = "FILE", env = "BATON_FILE")]
    pub file: Option<String>,
    /// Write csv, jsonl, xlsx or sqlite [required]
    #[arg(long, value_name = "FORMAT", value_parser = words::<ExportFormat>())]
    pub format: Option<String>,
    /// Write to this folder or file; - is standard output [required]
    #[arg(short, long = "to", value_name = "PATH")]
    pub out: Option<String>,
    /// Export only these tables: users, groups, memberships, domains, warnings
    #[arg(long, value_name = "TABLES", value_delimiter = ',', value_parser = words::<Sheet>())]
    pub table: Vec<String>,
    /// Export only these columns; needs exactly one --table; profile.NAME selects a profile attribute
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Do not escape CSV cells that a spreadsheet would evaluate as formulas
    #[arg(long)]
    pub raw: bool,
    /// Start CSV files with a byte order mark, so that Excel detects UTF-8
    #[arg(long)]
    pub bom: bool,
}
