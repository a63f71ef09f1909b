//! The made-up org and its server.
