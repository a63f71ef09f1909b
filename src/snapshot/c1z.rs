//! The container: a magic number, then a SQLite database in zstd frames.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use zstd::stream::raw::CParameter;
use zstd::stream::{read, write};

use super::Error;
use super::limits::{MAX_DATABASE, largest_database, least_container};
use crate::text::hex;

/// The first bytes of a v1 container.
pub const MAGIC: &[u8; 5] = b"C1ZF\0";
/// The first bytes of a v3 container, which contains no SQLite database.
const MAGIC_V3: &[u8; 5] = b"C1Z3\0";
/// The first bytes of a SQLite database.
pub const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The place of the two version bytes in a database's header, for writing and for reading: 2 is WAL, 1 is not.
const VERSIONS: std::ops::Range<usize> = 18..20;

const LEVEL: i32 = 3;
/// Threads, window and job are fixed, so that the bytes depend on neither the machine nor its load.
const WORKERS: u32 = 2;
const WINDOW_LOG: u32 = 21;
const JOB_BYTES: u32 = 4 << 20;
/// The largest window, as a power of two, that Baton's readers accept.
const MAX_WINDOW_LOG: u32 = 27;
/// How many bytes are copied at once.
const CHUNK: usize = 1 << 16;

/// The size and hash of a container that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 of these bytes.
    pub sha256: [u8; 32],
}

/// Writes the container of a closed database to an empty file.
///
/// # Errors
/// Returns an error if the database cannot be read or the file cannot be written.
pub fn pack(db: &Path, out: &mut File) -> Result<Container, Error> {
    let mut database = File::open(db).map_err(Error::io(db, "open"))?;
    let length = database.metadata().map_err(Error::io(db, "open"))?.len();
    if length > MAX_DATABASE {
        return Err(Error::TooBig {
            path: db.to_owned(),
            what: "the database",
            limit: MAX_DATABASE,
            advice: "no reader accepts a larger container; use a file that ends in .db",
        });
    }
    let mut pack = || -> io::Result<Container> {
        let mut hashing = Hashing {
            file: out,
            bytes: 0,
            hash: Sha256::new(),
        };
        hashing.write_all(MAGIC)?;
        let mut encoder = write::Encoder::new(hashing, LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.include_contentsize(true)?;
        encoder.set_pledged_src_size(Some(length))?;
        encoder.window_log(WINDOW_LOG)?;
        encoder.multithread(WORKERS)?;
        encoder.set_parameter(CParameter::JobSize(JOB_BYTES))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = database.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            encoder.write_all(&chunk[..read])?;
        }
        let mut hashing = encoder.finish()?;
        let missing = least_container(length).saturating_sub(hashing.bytes);
        if missing > 0 {
            fill_up(&mut hashing, missing)?;
        }
        Ok(Container {
            bytes: hashing.bytes,
            sha256: hashing.hash.finalize().into(),
        })
    };
    pack().map_err(Error::io(db, "compress"))
}

/// Appends at least `bytes` bytes that readers skip: a skippable frame (RFC 8878, 3.1.2) of zeros. Without them, readers
/// would reject a very repetitive database as a decompression bomb.
fn fill_up(out: &mut impl Write, bytes: u64) -> io::Result<()> {
    const SKIPPABLE: u32 = 0x184d_2a50;
    let length = u32::try_from(bytes).map_err(io::Error::other)?;
    out.write_all(&SKIPPABLE.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    io::copy(&mut io::repeat(0).take(bytes), out)?;
    Ok(())
}

/// Counts and hashes what is written to a file.
struct Hashing<'a> {
    file: &'a mut File,
    bytes: u64,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The form of a file, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An empty file.
    Empty,
    /// A v1 container.
    C1z,
    /// A plain SQLite database.
    Sqlite,
}

/// Opens a file and returns its length. Refuses everything but a regular file, and never blocks, as opening a pipe
/// without a writer otherwise would.
pub(super) fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(Error::io(path, "open"))?;
    let metadata = file.metadata().map_err(Error::io(path, "open"))?;
    if !metadata.is_file() {
        return Err(not_a_snapshot(path, "it is not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// Returns the size of a file in bytes, and its SHA-256 in lowercase hexadecimal.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn fingerprint(path: &Path) -> Result<(u64, String), Error> {
    let (mut file, _) = open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut chunk).map_err(Error::io(path, "read"))?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        bytes += read as u64;
    }
    Ok((bytes, hex(&hash.finalize())))
}

/// Returns the largest size of the database in a container.
///
/// # Errors
/// Returns an error if the container itself is larger than the largest database, such as a sparse file.
pub(super) fn cap(path: &Path) -> Result<u64, Error> {
    let (_, length) = open(path)?;
    if length > MAX_DATABASE {
        return Err(Error::TooBig {
            path: path.to_owned(),
            what: "it",
            limit: MAX_DATABASE,
            advice: "no snapshot is that large",
        });
    }
    Ok(largest_database(length))
}

/// Returns the form of a file. Its first bytes decide, never its name.
pub(super) fn form(path: &Path) -> Result<Form, Error> {
    let (file, _) = open(path)?;
    let mut head = Vec::new();
    file.take(16)
        .read_to_end(&mut head)
        .map_err(Error::io(path, "read"))?;
    if head.is_empty() {
        Ok(Form::Empty)
    } else if head.starts_with(MAGIC) {
        Ok(Form::C1z)
    } else if head == SQLITE_MAGIC {
        Ok(Form::Sqlite)
    } else if head.starts_with(MAGIC_V3) {
        Err(Error::Unsupported {
            path: path.to_owned(),
            why: "it is a .c1z of version 3 (Pebble), and only version 1 (SQLite) is supported; \
                  sync again with this program"
                .to_owned(),
        })
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Err(not_a_snapshot(
            path,
            "it is compressed with zstd, but the container's first five bytes are missing",
        ))
    } else {
        Err(not_a_snapshot(
            path,
            "it starts neither like a .c1z nor like a SQLite database",
        ))
    }
}

fn not_a_snapshot(path: &Path, why: &str) -> Error {
    Error::NotASnapshot {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}

/// Unpacks a container into an empty file and returns the size of the database in bytes: 0 if the container is empty.
///
/// The database is left in a state that can be opened anywhere: its two version bytes mean "no WAL", and no WAL is
/// stored in a container.
///
/// # Errors
/// Returns an error if the container is damaged, if the database is longer than `cap`, or if a file cannot be read or
/// written.
pub fn unpack(path: &Path, into: &mut File, cap: u64) -> Result<u64, Error> {
    match form(path)? {
        Form::C1z => {}
        Form::Empty => return Ok(0),
        Form::Sqlite => {
            return Err(not_a_snapshot(
                path,
                "it is a SQLite database without a container",
            ));
        }
    }
    let (mut file, _) = open(path)?;
    file.read_exact(&mut [0; MAGIC.len()])
        .map_err(Error::io(path, "read"))?;
    let mut packed = BufReader::with_capacity(CHUNK, file);
    let begun = packed.fill_buf().map_err(Error::io(path, "read"))?;
    if begun.is_empty() {
        return Ok(0);
    }
    let mut decoder = read::Decoder::with_buffer(packed).map_err(Error::io(path, "unpack"))?;
    decoder
        .window_log_max(MAX_WINDOW_LOG)
        .map_err(Error::io(path, "unpack"))?;

    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        // Fill each chunk, so that the header is in the first one.
        let mut filled = 0;
        while filled < chunk.len() {
            match decoder.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unpack_error(path, error)),
            }
        }
        if filled == 0 {
            return Ok(total);
        }
        if total == 0 {
            if filled < 100 || !chunk.starts_with(SQLITE_MAGIC) {
                return Err(not_a_snapshot(
                    path,
                    "the container does not hold a SQLite database",
                ));
            }
            chunk[VERSIONS].fill(1);
        }
        total += filled as u64;
        if total > cap {
            return Err(Error::TooBig {
                path: path.to_owned(),
                what: "the database inside",
                limit: cap,
                advice: "if you expect that size, unpack it with zstd and use the database",
            });
        }
        into.write_all(&chunk[..filled])
            .map_err(Error::io(path, "write an unpacked copy of"))?;
    }
}

/// Returns the error for a message of zstd; its error codes are not available here.
fn unpack_error(path: &Path, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::UnexpectedEof {
        return Error::damaged(path, "it ends too early");
    }
    if source.raw_os_error().is_some() {
        return Error::io(path, "read")(source);
    }
    let said = source.to_string();
    if said.contains("too much memory") {
        return Error::TooBig {
            path: path.to_owned(),
            what: "the window of its compression",
            limit: 1 << MAX_WINDOW_LOG,
            advice: "compress it again without --long",
        };
    }
    if said.contains("nknown frame") {
        return Error::damaged(path, "where a zstd frame should start, other bytes do");
    }
    Error::damaged(path, format!("it cannot be unpacked ({said})"))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
    use tempfile::NamedTempFile;

    use super::*;

    fn file(bytes: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn unpacked(bytes: &[u8], cap: u64) -> Result<Vec<u8>, Error> {
        let mut out = tempfile::tempfile().unwrap();
        let length = unpack(file(bytes).path(), &mut out, cap)?;
        out.seek(SeekFrom::Start(0)).unwrap();
        let mut database = Vec::new();
        out.read_to_end(&mut database).unwrap();
        assert_eq!(database.len() as u64, length);
        Ok(database)
    }

    fn packed(database: &[u8]) -> Vec<u8> {
        let mut out = NamedTempFile::new().unwrap();
        let packed = pack(file(database).path(), out.as_file_mut()).unwrap();
        let bytes = std::fs::read(out.path()).unwrap();
        assert_eq!(packed.bytes, bytes.len() as u64);
        assert_eq!(packed.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
        bytes
    }

    /// Returns bytes that start like a database, with the version bytes of one without WAL.
    fn database(length: usize) -> Vec<u8> {
        let mut bytes = SQLITE_MAGIC.to_vec();
        bytes.extend([16, 0, 1, 1]);
        let mut state = 1_u32;
        while bytes.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.extend_from_slice(&(state >> 20).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn what_is_packed_is_unpacked_again() {
        for length in [100, CHUNK, JOB_BYTES as usize * 2 + 20] {
            let database = database(length);
            let bytes = packed(&database);
            assert_eq!(unpacked(&bytes, MAX_DATABASE).unwrap(), database);
            assert_eq!(bytes, packed(&database), "equal input, equal bytes");
        }
    }

    #[test]
    fn the_frame_carries_its_size_and_a_checksum_and_needs_no_large_window() {
        let bytes = packed(&database(3 << 20));
        let descriptor = bytes[MAGIC.len() + 4];
        assert_eq!(descriptor & 0b100, 0b100, "checksum");
        assert_ne!(descriptor & 0b1110_0000, 0, "content size");
    }

    #[test]
    fn a_wal_database_is_marked_as_one_without() {
        let mut wal = database(200);
        wal[VERSIONS].fill(2);
        assert_eq!(
            unpacked(&packed(&wal), MAX_DATABASE).unwrap(),
            database(200)
        );
    }

    #[test]
    fn several_frames_and_skippable_ones_are_read_as_one() {
        let whole = database(500);
        let mut bytes = MAGIC.to_vec();
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        bytes.extend(skippable);
        bytes.extend(zstd::encode_all(&whole[..10], 1).unwrap());
        bytes.extend(zstd::encode_all(&whole[10..], 19).unwrap());
        bytes.extend(skippable);
        assert_eq!(unpacked(&bytes, MAX_DATABASE).unwrap(), whole);
    }

    #[test]
    fn nothing_and_a_container_of_nothing_hold_no_database() {
        assert_eq!(unpacked(b"", 1).unwrap(), b"");
        assert_eq!(unpacked(MAGIC, 1).unwrap(), b"");
        let mut empty_frame = MAGIC.to_vec();
        empty_frame.extend(zstd::encode_all(&b""[..], 1).unwrap());
        assert_eq!(unpacked(&empty_frame, 1).unwrap(), b"");
    }

    #[test]
    fn other_files_are_told_apart() {
        let says = |bytes: &[u8]| unpacked(bytes, MAX_DATABASE).unwrap_err().to_string();
        assert!(says(b"C1Z3\0\0\0\0\x08").contains("Pebble"));
        assert!(says(b"PK\x03\x04").contains("neither"));
        assert!(says(b"C1").contains("neither"));
        assert!(says(&packed(&database(200))[5..]).contains("first five bytes"));
        assert!(says(&database(200)).contains("without a container"));
        assert!(says(&packed(&[7; 200])).contains("not hold a SQLite database"));
        assert!(says(&packed(&database(60))).contains("not hold a SQLite database"));
    }

    #[test]
    fn a_container_cut_anywhere_or_with_bytes_after_it_is_damaged() {
        let bytes = packed(&database(5000));
        for length in MAGIC.len() + 1..bytes.len() {
            let error = unpacked(&bytes[..length], MAX_DATABASE).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{length}: {error}");
        }
        for trailing in [&b"x"[..], b"\0", b"xyz", b"xyz?", b"C1ZF\0 and more"] {
            let error = unpacked(&[&bytes, trailing].concat(), MAX_DATABASE).unwrap_err();
            assert!(
                matches!(error, Error::Damaged { .. }),
                "{trailing:?}: {error}"
            );
        }
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let mut bomb = database(200);
        bomb.resize(64 << 20, 0);
        let bytes = packed(&bomb);
        assert!(bytes.len() < 1 << 20);
        let error = unpacked(&bytes, 1 << 20).unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooBig {
                    limit: 0x10_0000,
                    ..
                }
            ),
            "{error}"
        );
        assert!(unpacked(&bytes, 64 << 20).is_ok());
    }

    #[test]
    fn a_window_above_the_limit_is_refused_without_taking_the_memory() {
        let mut encoder = write::Encoder::new(MAGIC.to_vec(), 1).unwrap();
        encoder.window_log(28).unwrap();
        encoder.write_all(&database(5000)).unwrap();
        let error = unpacked(&encoder.finish().unwrap(), MAX_DATABASE).unwrap_err();
        assert!(error.to_string().contains("--long"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a_flipped_bit_is_found(at in 5..1000_usize, bit in 0..8_u8, more in any::<u8>()) {
            let original = database(3000 + usize::from(more));
            let mut bytes = packed(&original);
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1 << bit;
            // A few bits of a frame's header do not affect its content.
            let right = unpacked(&bytes, MAX_DATABASE).is_ok_and(|database| database == original);
            prop_assert!(right || unpacked(&bytes, MAX_DATABASE).is_err());
        }
    }
}
