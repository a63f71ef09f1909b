//! The snapshot file.
