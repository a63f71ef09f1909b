//! What a run printed on stderr, which a test may not ignore.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

/// The text on stderr. A test fails if it drops the error of a run without having read the text, since then the test
/// would also pass if the run failed for another reason.
pub struct Stderr {
    text: String,
    call: String,
    must_be_read: Cell<bool>,
}

impl Stderr {
    pub fn new(text: String, call: String) -> Self {
        let must_be_read = Cell::new(text.contains(" error: "));
        Self {
            text,
            call,
            must_be_read,
        }
    }

    /// Returns the text for the message of a failed check, which does not count as reading it.
    pub fn unread(&self) -> &str {
        &self.text
    }

    /// Declares that the test reads the same error elsewhere.
    pub fn mark_read(&self) {
        self.must_be_read.set(false);
    }
}

impl Deref for Stderr {
    type Target = String;

    fn deref(&self) -> &String {
        self.mark_read();
        &self.text
    }
}

impl PartialEq<&str> for Stderr {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Display for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.deref(), f)
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        assert!(
            !self.must_be_read.get() || std::thread::panicking(),
            "the test ignores the error of {}: {}",
            self.call,
            self.text
        );
    }
}
