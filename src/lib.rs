#![forbid(unsafe_code)]

pub mod indicators;
pub mod text;
pub mod user_data;
