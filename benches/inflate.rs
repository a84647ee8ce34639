//! Inflates files with libdeflate and does nothing else: the least that reading an archive can cost.
//!
//! `inflate FOLDER...` prints files and bytes as JSON.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use libdeflater::Decompressor;

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for folder in std::env::args_os().skip(1) {
        collect(Path::new(&folder), &mut files)?;
    }
    let (mut compressed, mut inflated) = (Vec::new(), Vec::new());
    let mut decompressor = Decompressor::new();
    let mut bytes = 0;
    for file in &files {
        compressed.clear();
        fs::File::open(file)?.read_to_end(&mut compressed)?;
        let size = compressed.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size)) as usize;
        if inflated.len() < size {
            inflated.resize(size, 0);
        }
        bytes += decompressor.gzip_decompress(&compressed, &mut inflated).map_err(io::Error::other)?;
    }
    println!(r#"{{"files": {}, "bytes": {bytes}}}"#, files.len());
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.extension().is_some_and(|kind| kind == "gz") {
        files.push(path.to_owned());
    }
    Ok(())
}
