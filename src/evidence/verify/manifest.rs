//! Compares the manifest of `sync --manifest` with a snapshot. The manifest is not trusted: its size is limited, and
//! any field may be missing or have another type.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use serde_json::Value;

use super::CheckStatus;
use crate::snapshot::RunMetadata;

/// The largest size of a manifest in bytes. Of its content, only the warnings of a run can grow.
const LONGEST: u64 = 64 << 20;

/// The facts about a snapshot that a manifest repeats.
pub(super) struct FileFacts<'a> {
    pub(super) bytes: u64,
    pub(super) sha256: &'a str,
    pub(super) sync_id: &'a str,
    pub(super) metadata: Option<&'a RunMetadata>,
    pub(super) content_sha256: Option<&'a str>,
}

/// A manifest, parsed as JSON.
#[derive(Debug)]
pub struct Manifest(Value);

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Returns a line with the reason why the file is not a manifest.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let cannot = |error| format!("cannot read {name}: {error}");
        // Opening a pipe without a writer would block forever.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(format!("{name} is not a regular file"));
        }
        let mut text = Vec::new();
        file.take(LONGEST + 1)
            .read_to_end(&mut text)
            .map_err(cannot)?;
        if text.len() as u64 > LONGEST {
            return Err(format!("{name} is too long for a manifest"));
        }
        Self::parse(&text).map_err(|problem| format!("{name} {problem}"))
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("is not JSON: {error}"))?;
        if value["sha256"].is_string() && value["snapshot"].is_object() {
            Ok(Self(value))
        } else {
            Err("is not a manifest of sync --manifest".to_owned())
        }
    }

    /// Compares every field that describes the file or its contents. `name` refers to the manifest in messages.
    pub(super) fn compare(&self, name: &str, facts: &FileFacts<'_>) -> (CheckStatus, String) {
        let run = &self.0["snapshot"];
        let number = |of: fn(&RunMetadata) -> u64| facts.metadata.map(of).map(Value::from);
        let fields = [
            ("sha256", &self.0["sha256"], Some(facts.sha256.into())),
            ("bytes", &self.0["bytes"], Some(facts.bytes.into())),
            ("sync_id", &run["sync_id"], Some(facts.sync_id.into())),
            (
                "users_kept",
                &run["users_kept"],
                number(|metadata| metadata.users_kept),
            ),
            (
                "groups_kept",
                &run["groups_kept"],
                number(|metadata| metadata.groups_kept),
            ),
            (
                "memberships_kept",
                &run["memberships_kept"],
                number(|metadata| metadata.memberships_kept),
            ),
            (
                "content_sha256",
                &run["content_sha256"],
                facts.content_sha256.map(Value::from),
            ),
        ];
        let mut wrong = Vec::new();
        for (field, stated, found) in fields {
            // Manifests of earlier versions have no hash of the content.
            let is_older = field == "content_sha256" && stated.is_null();
            if !is_older && found.as_ref() != Some(stated) {
                let found = found.map_or("unknown".to_owned(), |found| found.to_string());
                wrong.push(format!("{field} is {found} instead of {stated}"));
            }
        }
        if wrong.is_empty() {
            let all = "SHA-256, size, run, numbers and content";
            return (CheckStatus::Ok, format!("{name} agrees: {all}"));
        }
        let wrong = wrong.join(", ");
        (
            CheckStatus::Failure,
            format!("{name} describes another file: {wrong}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata() -> RunMetadata {
        RunMetadata {
            users_kept: 2,
            groups_kept: 3,
            memberships_kept: 4,
            ..RunMetadata::default()
        }
    }

    fn manifest() -> Value {
        json!({
            "sha256": "aa",
            "bytes": 10,
            "snapshot": {
                "sync_id": "run", "users_kept": 2, "groups_kept": 3, "memberships_kept": 4, "content_sha256": "cc",
            },
        })
    }

    fn compare(manifest: &Value) -> (CheckStatus, String) {
        let metadata = metadata();
        let facts = FileFacts {
            bytes: 10,
            sha256: "aa",
            sync_id: "run",
            metadata: Some(&metadata),
            content_sha256: Some("cc"),
        };
        let text = serde_json::to_vec(manifest).unwrap();
        Manifest::parse(&text).unwrap().compare("m.json", &facts)
    }

    #[test]
    fn every_field_is_compared_and_differences_are_named() {
        assert_eq!(compare(&manifest()).0, CheckStatus::Ok);
        for pointer in [
            "/sha256",
            "/bytes",
            "/snapshot/sync_id",
            "/snapshot/users_kept",
            "/snapshot/groups_kept",
            "/snapshot/memberships_kept",
            "/snapshot/content_sha256",
        ] {
            let mut other = manifest();
            *other.pointer_mut(pointer).unwrap() = json!("x");
            let (state, message) = compare(&other);
            let field = pointer.rsplit('/').next().unwrap();
            assert_eq!(state, CheckStatus::Failure, "{pointer}");
            assert!(message.contains(&format!("{field} is ")), "{message}");
            assert!(!message.contains(", "), "{message}");
        }
    }

    #[test]
    fn a_manifest_of_an_earlier_version_has_no_hash_of_the_content() {
        let mut older = manifest();
        let run = older["snapshot"].as_object_mut().unwrap();
        run.remove("content_sha256");
        assert_eq!(compare(&older).0, CheckStatus::Ok);
    }

    #[test]
    fn files_other_than_manifests_are_refused() {
        for (text, part) in [
            ("", "is not JSON"),
            ("{\"sha256\"", "is not JSON"),
            ("[]", "is not a manifest"),
            ("{\"sha256\":\"aa\"}", "is not a manifest"),
            ("{\"sha256\":1,\"snapshot\":{}}", "is not a manifest"),
        ] {
            let problem = Manifest::parse(text.as_bytes()).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
