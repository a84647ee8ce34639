//! A file's bytes, inflated: whole where that is small, else a stretch at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::Ordering;

use flate2::bufread::MultiGzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;

use super::{Input, Options, Progress};

/// Files above this are streamed. CloudTrail's own are a few megabytes.
const MAX_WHOLE: u64 = 16 * 1024 * 1024;
/// The same after decompression.
const MAX_INFLATED: usize = 128 * 1024 * 1024;
/// How much of a stream is looked at together.
const STRETCH: usize = 4 * 1024 * 1024;
/// A record that does not fit into this is none.
const MAX_STRETCH: usize = 256 * 1024 * 1024;

const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Frames that hold nothing of the file may come before it: the first byte is any of sixteen.
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
const PARQUET: [u8; 4] = *b"PAR1";

fn is_zstd(bytes: &[u8]) -> bool {
    let skippable = bytes.first().is_some_and(|byte| byte & 0xf0 == 0x50);
    bytes.starts_with(&ZSTD) || skippable && bytes.get(1..4) == Some(SKIPPABLE.as_slice())
}

/// Whether bytes are packed in a way, or laid out in one, that only this module reads.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    is_zstd(bytes) || bytes.starts_with(&PARQUET)
}

/// The beginning of a file, inflated.
pub(super) fn beginning(bytes: &[u8]) -> Vec<u8> {
    const ENOUGH: u64 = 64 * 1024;
    let mut start = Vec::new();
    if bytes.starts_with(&GZIP) {
        // A file that cannot be inflated is reported when it is read.
        let _ = MultiGzDecoder::new(bytes).take(ENOUGH).read_to_end(&mut start);
    } else {
        start.extend(bytes.iter().take(ENOUGH as usize));
    }
    start
}

/// What follows the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// More of the file: what is not taken comes again, with more behind it.
    More,
    /// The file's end.
    End,
    /// Nothing more that could be read, which is told already.
    Cut,
}

/// Takes a file's bytes. Answers how many it is done with; with nothing to follow, all that can be.
pub(super) trait Take {
    fn take(&mut self, bytes: &[u8], after: After) -> io::Result<usize>;

    /// Takes a Parquet file, which is not read from its start to its end. Answers why it could not be.
    #[cfg(feature = "parquet")]
    fn parquet(&mut self, file: File) -> io::Result<Option<String>>;
}

/// What reading a file came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub bytes: u64,
    /// How many of these progress knows already.
    pub counted: u64,
    pub inflated: u64,
    /// Why the rest could not be read.
    pub damage: Option<String>,
}

/// A worker's memory, used again for each file: fresh pages cost a tenth of decompression.
pub(super) struct Buffers {
    file: Vec<u8>,
    inflated: Vec<u8>,
    decompressor: Decompressor,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { file: Vec::new(), inflated: Vec::new(), decompressor: Decompressor::new() }
    }
}

impl Buffers {
    /// Reads a file to its end, or to where it is broken.
    ///
    /// # Errors
    /// Those of the taker. A file that cannot be read is no error but `damage`.
    pub fn read(&mut self, input: &Input, options: &Options, taker: &mut impl Take) -> io::Result<Outcome> {
        let mut read = Outcome::default();
        let progress = &*options.progress;
        let outcome = match input {
            Input::Object { bucket, key, size } => match &options.fetch {
                None => Ok(Some("nobody fetches objects of S3 here".to_owned())),
                Some(fetch) => match fetch.open(bucket, key) {
                    Err(error) => Ok(Some(error.to_string())),
                    Ok(object) if *size <= MAX_WHOLE => self.all(object, progress, taker, &mut read),
                    Ok(object) => self.stream(BufReader::new(object), progress, taker, &mut read),
                },
            },
            Input::Stdin => self.stream(io::stdin().lock(), progress, taker, &mut read),
            Input::File { path, .. } => match File::open(path) {
                Err(error) => Ok(Some(error.to_string())),
                Ok(file) => self.file(file, progress, taker, &mut read),
            },
        };
        read.damage = outcome?;
        Ok(read)
    }

    /// The same of an object in memory.
    pub fn read_bytes(
        &mut self,
        bytes: &[u8],
        progress: &Progress,
        taker: &mut impl Take,
    ) -> io::Result<Outcome> {
        let mut read = Outcome { bytes: bytes.len() as u64, ..Outcome::default() };
        let mut inflated = std::mem::take(&mut self.inflated);
        let damage = self.whole(bytes, &mut inflated, progress, taker, &mut read);
        self.inflated = inflated;
        read.damage = damage?;
        Ok(read)
    }

    fn file(
        &mut self,
        #[cfg_attr(
            not(feature = "parquet"),
            allow(unused_mut, reason = "only looking for Parquet moves it")
        )]
        mut file: File,
        progress: &Progress,
        taker: &mut impl Take,
        read: &mut Outcome,
    ) -> io::Result<Option<String>> {
        // A pipe has no length, and may have any.
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        if size.is_none_or(|size| size > MAX_WHOLE) {
            #[cfg(feature = "parquet")]
            if size.is_some() && super::parquet::is_file(&mut file) {
                read.bytes = size.unwrap_or_default();
                return taker.parquet(file);
            }
            return self.stream(BufReader::with_capacity(STRETCH / 16, file), progress, taker, read);
        }
        self.all(file, progress, taker, read)
    }

    /// Reads what is small enough to be held.
    fn all(
        &mut self,
        mut file: impl Read,
        progress: &Progress,
        taker: &mut impl Take,
        read: &mut Outcome,
    ) -> io::Result<Option<String>> {
        let mut bytes = std::mem::take(&mut self.file);
        bytes.clear();
        let outcome = file.read_to_end(&mut bytes);
        read.bytes = bytes.len() as u64;
        let damage = match outcome {
            Err(error) => Ok(Some(error.to_string())),
            Ok(_) => {
                let mut inflated = std::mem::take(&mut self.inflated);
                let damage = self.whole(&bytes, &mut inflated, progress, taker, read);
                self.inflated = inflated;
                damage
            }
        };
        self.file = bytes;
        damage
    }

    fn whole(
        &mut self,
        bytes: &[u8],
        inflated: &mut Vec<u8>,
        progress: &Progress,
        taker: &mut impl Take,
        read: &mut Outcome,
    ) -> io::Result<Option<String>> {
        if bytes.starts_with(&GZIP) {
            // What libdeflate will not do is streamed: that also reads what precedes any damage.
            let Some(length) = inflate(&mut self.decompressor, bytes, inflated) else {
                return stream_gzip(bytes, progress, taker, read);
            };
            read.inflated = length as u64;
            taker.take(inflated.get(..length).unwrap_or_default(), After::End)?;
            return Ok(None);
        }
        if is_zstd(bytes) {
            return match zstd::stream::read::Decoder::with_buffer(bytes) {
                Ok(decoder) => pump(decoder, "zstd that cannot be inflated", progress, taker, read),
                Err(error) => Ok(Some(error.to_string())),
            };
        }
        if bytes.starts_with(&PARQUET) {
            #[cfg(feature = "parquet")]
            return taker.parquet(super::parquet::file_of(bytes)?);
            #[cfg(not(feature = "parquet"))]
            return Ok(Some("this build cannot read Parquet; build it with `--features parquet`".to_owned()));
        }
        read.inflated = bytes.len() as u64;
        taker.take(bytes, After::End)?;
        Ok(None)
    }

    fn stream(
        &mut self,
        mut reader: impl BufRead,
        progress: &Progress,
        taker: &mut impl Take,
        read: &mut Outcome,
    ) -> io::Result<Option<String>> {
        let start = match reader.fill_buf() {
            Ok(start) => start,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let (gzip, zstd) = (start.starts_with(&GZIP), is_zstd(start));
        let mut counted = Counted { inner: reader, bytes: 0, progress };
        let damage = if gzip {
            pump(MultiGzDecoder::new(&mut counted), "gzip that cannot be inflated", progress, taker, read)
        } else if zstd {
            match zstd::stream::read::Decoder::with_buffer(&mut counted) {
                Ok(decoder) => pump(decoder, "zstd that cannot be inflated", progress, taker, read),
                Err(error) => Ok(Some(error.to_string())),
            }
        } else {
            pump(&mut counted, "cannot be read", progress, taker, read)
        };
        read.bytes = counted.bytes;
        read.counted = counted.bytes;
        damage
    }
}

fn stream_gzip(
    bytes: &[u8],
    progress: &Progress,
    taker: &mut impl Take,
    read: &mut Outcome,
) -> io::Result<Option<String>> {
    pump(MultiGzDecoder::new(bytes), "gzip that cannot be inflated", progress, taker, read)
}

/// Counts what is taken out of a file.
struct Counted<'a, R> {
    inner: R,
    bytes: u64,
    progress: &'a Progress,
}

impl<R> Counted<'_, R> {
    fn count(&mut self, amount: usize) {
        self.bytes = self.bytes.saturating_add(amount as u64);
        self.progress.bytes.fetch_add(amount as u64, Ordering::Relaxed);
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.count(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.count(amount);
        self.inner.consume(amount);
    }
}

/// Hands a stream on in stretches. Answers why it broke, if it did.
fn pump(
    mut reader: impl Read,
    broken: &str,
    progress: &Progress,
    taker: &mut impl Take,
    read: &mut Outcome,
) -> io::Result<Option<String>> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut wanted = STRETCH;
    loop {
        let missing = wanted.saturating_sub(buffer.len());
        let before = buffer.len();
        let outcome = reader.by_ref().take(missing as u64).read_to_end(&mut buffer);
        read.inflated = read.inflated.saturating_add(buffer.len().saturating_sub(before) as u64);
        let after = match &outcome {
            Err(_) => After::Cut,
            Ok(length) if *length < missing => After::End,
            Ok(_) => After::More,
        };
        let taken = taker.take(&buffer, after)?.min(buffer.len());
        match (outcome, after) {
            (Err(error), _) => return Ok(Some(format!("{broken}: {error}"))),
            (Ok(_), After::More) if progress.is_stopped() => return Ok(None),
            (Ok(_), After::More) => {}
            (Ok(_), _) => return Ok(None),
        }
        buffer.drain(..taken);
        wanted = if taken > 0 { STRETCH.max(buffer.len()) } else { wanted };
        // One record that is longer than all that is at hand.
        if buffer.len() >= wanted {
            if wanted >= MAX_STRETCH {
                return Ok(Some(format!("a record of more than {MAX_STRETCH} bytes; the rest was not read")));
            }
            wanted = wanted.saturating_mul(2);
        }
    }
}

/// All members of a gzip file; `None` where that is too large or not as it should be.
///
/// A member's size stands at its end and is only a hint: libdeflate checks it, and the checksum.
fn inflate(decompressor: &mut Decompressor, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    /// A member's own data may look like the start of another.
    const TRIES: usize = 16;
    /// Logs are hardly ever packed better than this to one. A size beyond is none, or its file is streamed.
    const BEST: usize = 64;
    /// Files of a trail are of much the same size: what one was inflated into mostly holds the next.
    const ROOM: usize = 2 * 1024 * 1024;
    let mut starts = memmem::find_iter(bytes, &GZIP).filter(|start| *start > 0).chain([bytes.len()]);
    let (mut at, mut filled, mut tries) = (0_usize, 0_usize, 0_usize);
    while at < bytes.len() {
        let end = starts.next()?;
        let member = bytes.get(at..end)?;
        let size = usize::try_from(u32::from_le_bytes(*member.last_chunk::<4>()?)).ok()?;
        let needed = filled.checked_add(size)?;
        let fits = needed <= MAX_INFLATED && size <= member.len().saturating_mul(BEST);
        if fits && out.len() < needed {
            let mut smaller = std::mem::take(out);
            smaller.truncate(filled);
            smaller.shrink_to_fit();
            *out = vec![0; needed.next_multiple_of(ROOM)];
            out.get_mut(..filled)?.copy_from_slice(&smaller);
        }
        let place = out.get_mut(filled..needed).filter(|_| fits);
        match place.map(|place| decompressor.gzip_decompress(member, place)) {
            Some(Ok(length)) if length == size => {
                filled = needed;
                at = end;
                tries = 0;
            }
            _ => {
                tries = tries.saturating_add(1);
                if tries > TRIES {
                    return None;
                }
            }
        }
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Such a file was streamed, at a third of the speed: one in thirty of half a megabyte is.
    #[test]
    fn data_that_look_like_another_member_are_no_reason_to_stream() {
        let mut text = b"\xff\xff\xff\xff\x1f\x8b\x08 is how a member begins, behind an absurd size".to_vec();
        text.extend([b'.'; 100]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&text).unwrap();
        let file = encoder.finish().unwrap();
        assert_eq!(memmem::find_iter(&file, &GZIP).count(), 2);
        let mut out = Vec::new();
        assert_eq!(inflate(&mut Decompressor::new(), &file, &mut out), Some(text.len()));
        assert!(out.starts_with(&text));
    }
}
