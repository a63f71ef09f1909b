//! The minimum of processor time for a sync: its unavoidable work, done as cheaply as the same libraries can, with each
//! part in its own process:
//!
//! - fetch: requests the pages that the tool requested, with the same HTTP client, settings and number of threads, and
//!   discards them.
//! - insert: inserts the rows that the tool wrote, in the order in which they are stored, with the same settings, and
//!   creates the indexes. The time for reading the rows is measured separately and subtracted.
//! - pack: writes the container with the tool's own function.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use okta_ciam::testing::snapshot::{PRAGMAS, c1z};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OpenFlags, Row};
use serde::{Deserialize, Serialize};

use crate::cases::CONCURRENCY;
use crate::measure;
use crate::org::Running;

/// The variable that contains the token for the fetching process.
const TOKEN: &str = "BATON_API_TOKEN";

/// The result of the fetching process.
#[derive(Debug, Serialize, Deserialize)]
struct Fetched {
    pages: u64,
    bytes: u64,
}

/// Fetches the pages in a file of targets. Returns the processor time in seconds and the size of the bodies in bytes.
pub fn fetch(org: &Running, targets: &Path, count: u64) -> anyhow::Result<(f64, u64)> {
    let arguments = [
        "__floor-fetch".as_ref(),
        org.origin.as_ref(),
        targets.as_os_str(),
    ];
    let environment = [(TOKEN, org.token.as_str())];
    let measured = measure::run(std::env::current_exe()?, arguments, &environment)?;
    let Fetched { pages, bytes } = serde_json::from_str(&measured.stdout)?;
    ensure!(pages == count, "fetched {pages} pages instead of {count}");
    Ok((measured.processor, bytes))
}

/// Runs as the process that fetches.
pub fn fetch_role(origin: &str, targets: &Path) -> anyhow::Result<()> {
    let token = std::env::var(TOKEN)?;
    let lines = std::fs::read_to_string(targets)?;
    let targets: Vec<(&str, &str)> = lines
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    // The same settings as in `okta::Client`.
    let http = reqwest::blocking::Client::builder()
        .user_agent(concat!("okta-ciam/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(CONCURRENCY as usize)
        .tcp_nodelay(true)
        .no_proxy()
        .build()?;
    let next = AtomicUsize::new(0);
    let (pages, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || -> anyhow::Result<()> {
        let mut chunk = vec![0; 32 << 10];
        while let Some((content_type, target)) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut response = http
                .get(format!("{origin}{target}"))
                .header(AUTHORIZATION, format!("SSWS {token}"))
                .header(ACCEPT, "application/json")
                .header(CONTENT_TYPE, *content_type)
                .send()?;
            ensure!(response.status() == 200, "{target}: {}", response.status());
            loop {
                let read = response.read(&mut chunk)?;
                if read == 0 {
                    break;
                }
                bytes.fetch_add(read as u64, Ordering::Relaxed);
            }
            pages.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONCURRENCY).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            let ended = thread.join();
            ended.map_err(|_| anyhow::anyhow!("a thread panicked"))?
        })
    })?;
    let fetched = Fetched {
        pages: pages.into_inner(),
        bytes: bytes.into_inner(),
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&fetched)?)?;
    Ok(())
}

/// Returns the processor time in seconds for inserting the rows of a database into a new one, without the time for
/// reading.
pub fn insert(database: &Path, copy: &Path) -> anyhow::Result<f64> {
    let this = std::env::current_exe()?;
    let read = measure::run(&this, ["__floor-read".as_ref(), database.as_os_str()], &[])?;
    let arguments = [
        "__floor-insert".as_ref(),
        database.as_os_str(),
        copy.as_os_str(),
    ];
    let inserted = measure::run(&this, arguments, &[])?;
    std::fs::remove_file(copy)?;
    ensure!(
        read.stdout == inserted.stdout,
        "the numbers of inserted and read rows differ"
    );
    Ok((inserted.processor - read.processor).max(0.0))
}

/// Runs as the process that reads the rows and, if `to` is given, inserts them there.
pub fn insert_role(from: &Path, to: Option<&Path>) -> anyhow::Result<()> {
    let from = Connection::open_with_flags(
        from,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let tables = definitions(&from, "type = 'table'")?;
    let rest = definitions(&from, "type <> 'table'")?;
    let to = to.map(create).transpose()?;
    if let Some(to) = &to {
        for (_, sql) in &tables {
            to.execute_batch(sql)?;
        }
    }
    let mut count = 0_u64;
    for (table, _) in &tables {
        let mut select = from.prepare(&format!("select * from \"{table}\" order by rowid"))?;
        let columns = select.column_count();
        let places = vec!["?"; columns].join(", ");
        let mut insert = match &to {
            Some(to) => Some(to.prepare(&format!("insert into \"{table}\" values ({places})"))?),
            None => None,
        };
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            count += 1;
            match &mut insert {
                Some(insert) => copy_row(row, columns, insert)?,
                None => {
                    for column in 0..columns {
                        black_box(row.get_ref(column)?);
                    }
                }
            }
        }
    }
    if let Some(to) = to {
        for (_, sql) in &rest {
            to.execute_batch(sql)?;
        }
        to.execute_batch("commit")?;
        to.close().map_err(|(_, error)| error)?;
    }
    writeln!(io::stdout(), "{count}")?;
    Ok(())
}

/// Returns names and SQL in the order of creation. Objects that SQLite created implicitly have no SQL.
fn definitions(db: &Connection, which: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut select = db.prepare(&format!(
        "select name, sql from sqlite_master where sql is not null and {which} order by rowid"
    ))?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn create(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.execute_batch(PRAGMAS)?;
    db.execute_batch("begin")?;
    Ok(db)
}

fn copy_row(
    row: &Row<'_>,
    columns: usize,
    insert: &mut rusqlite::Statement<'_>,
) -> rusqlite::Result<()> {
    for column in 0..columns {
        insert.raw_bind_parameter(column + 1, ToSqlOutput::Borrowed(row.get_ref(column)?))?;
    }
    insert.raw_execute()?;
    Ok(())
}

/// Returns the processor time in seconds for packing a database.
pub fn pack(database: &Path, container: &Path) -> anyhow::Result<f64> {
    let arguments = [
        "__floor-pack".as_ref(),
        database.as_os_str(),
        container.as_os_str(),
    ];
    let packed = measure::run(std::env::current_exe()?, arguments, &[])?;
    std::fs::remove_file(container)?;
    Ok(packed.processor)
}

/// Runs as the process that packs.
pub fn pack_role(database: &Path, container: &Path) -> anyhow::Result<()> {
    c1z::pack(database, &mut File::create_new(container)?)?;
    Ok(())
}

/// Unpacks the tool's container for the other measurements. This is not measured.
pub fn unpack(container: &Path, database: &Path) -> anyhow::Result<()> {
    let mut from = File::open(container)?;
    let mut magic = [0; 5];
    from.read_exact(&mut magic)?;
    ensure!(magic == *c1z::MAGIC, "the tool did not write a .c1z file");
    zstd::stream::copy_decode(from, File::create_new(database)?)
        .context("cannot unpack the tool's container")
}
