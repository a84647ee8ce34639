//! Facts from AWS.
