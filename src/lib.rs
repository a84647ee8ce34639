#![forbid(unsafe_code)]

pub mod user_data;
