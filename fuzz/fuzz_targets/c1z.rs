//! Reads a file of arbitrary bytes as `show` does. If the first byte requests it, the rest is packed first, since a
//! fuzzer cannot guess a valid checksum.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use okta_ciam::testing::snapshot::{Error, Reader};

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else {
        return;
    };
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        std::env::temp_dir().join(format!("okta-ciam-fuzz-{}", std::process::id()))
    });
    if how % 2 == 0 {
        std::fs::write(file, bytes).unwrap();
    } else {
        let packed = [b"C1ZF\0".to_vec(), zstd::encode_all(bytes, 1).unwrap()].concat();
        std::fs::write(file, packed).unwrap();
    }
    if let Err(error) = read(file) {
        // This is the message that users see.
        assert!(error.to_string().len() < 4000, "{error}");
    }
});

fn read(file: &Path) -> Result<(), Error> {
    let reader = Reader::open(file)?;
    // Errors are ignored, so that damage to one part does not hide the others from the fuzzer.
    let _ = reader.counts();
    let _ = reader.warnings();
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    if let Ok(mut query) = reader.users()
        && let Ok(rows) = query.rows()
    {
        users.extend(rows.map_while(Result::ok).map(|user| user.id));
    }
    if let Ok(mut query) = reader.groups()
        && let Ok(rows) = query.rows()
    {
        groups.extend(rows.map_while(Result::ok).map(|group| group.id));
    }
    for user in users.iter().take(3) {
        let _ = reader.groups_of(user);
        let _ = reader.find_users(user.as_str());
    }
    for group in groups.iter().take(3) {
        let _ = reader.members_of(group);
        let _ = reader.find_groups(group.as_str());
    }
    let _ = reader.find_users("ada@example.com");
    let mut memberships = reader.memberships()?;
    memberships.rows()?.try_for_each(|row| row.map(drop))
}
