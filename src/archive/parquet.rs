//! Parquet, as Security Lake writes it: OCSF records, one a row, in columns.
//!
//! The column of call names is read first. A row group in which no call matters is left alone.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use chrono::{DateTime, SecondsFormat};
use parquet::column::reader::ColumnReader;
use parquet::errors::Result;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

use super::Progress;
use super::layout::Found;
use crate::source::{self, Surroundings, may_be_judged};

/// The column of call names.
const OPERATION: &str = "api.operation";
/// Names read at once.
const BATCH: usize = 8 * 1024;

pub(super) const MAGIC: &[u8; 4] = b"PAR1";

/// Whether a file is Parquet. Leaves it at its start.
pub(super) fn is_file(file: &mut File) -> bool {
    let mut magic = [0; 4];
    let read = file.read_exact(&mut magic);
    file.seek(SeekFrom::Start(0)).is_ok() && read.is_ok() && magic == *MAGIC
}

/// A file of bytes that are in memory: the reader wants to seek.
pub(super) fn file_of(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Reads a file. `take` gets what each row group held. Answers why the rest could not be read, if so.
///
/// # Errors
/// Those of `take`.
pub(super) fn read(
    file: File,
    surroundings: &Surroundings,
    shortcuts: bool,
    progress: &Progress,
    mut take: impl FnMut(Found) -> io::Result<()>,
) -> io::Result<Option<String>> {
    let broken = |error: parquet::errors::ParquetError| Some(format!("Parquet that cannot be read: {error}"));
    let reader = match SerializedFileReader::new(file) {
        Ok(reader) => reader,
        Err(error) => return Ok(broken(error)),
    };
    let mut row = 0_usize;
    for index in 0..reader.num_row_groups() {
        if progress.is_stopped() {
            break;
        }
        let mut found = Found::default();
        let outcome = reader
            .get_row_group(index)
            .and_then(|group| group_of(group.as_ref(), surroundings, shortcuts, &mut row, &mut found));
        take(found)?;
        if let Err(error) = outcome {
            return Ok(broken(error));
        }
    }
    Ok(None)
}

fn group_of(
    group: &dyn RowGroupReader,
    surroundings: &Surroundings,
    shortcuts: bool,
    row: &mut usize,
    found: &mut Found,
) -> Result<()> {
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
    if shortcuts && matters(group, rows)? == Some(false) {
        found.records = found.records.saturating_add(rows as u64);
        *row = row.saturating_add(rows);
        return Ok(());
    }
    for record in RowIter::from_row_group(None, group)? {
        let reading = source::read(&object(&record?), surroundings);
        found.add(reading, &format!("row {row}"));
        *row = row.saturating_add(1);
    }
    Ok(())
}

/// Whether some call of a group may be judged; `None` where not every row names one.
fn matters(group: &dyn RowGroupReader, rows: usize) -> Result<Option<bool>> {
    let columns = group.metadata().columns();
    let Some(index) = columns.iter().position(|column| column.column_path().string() == OPERATION) else {
        return Ok(None);
    };
    let ColumnReader::ByteArrayColumnReader(mut column) = group.get_column_reader(index)? else {
        return Ok(None);
    };
    let mut named = 0_usize;
    loop {
        let (mut defined, mut repeated, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let (records, values, _) =
            column.read_records(BATCH, Some(&mut defined), Some(&mut repeated), &mut names)?;
        // Kubernetes' verbs are in lower case, AWS's calls are not.
        let is_verb = |name: &[u8]| name.first().is_none_or(u8::is_ascii_lowercase);
        if names.iter().any(|name| is_verb(name.data()) || may_be_judged(name.data())) {
            return Ok(Some(true));
        }
        named = named.saturating_add(values);
        if records == 0 {
            return Ok((named == rows).then_some(false));
        }
    }
}

fn object(row: &Row) -> Value {
    Value::Object(
        row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect::<Map<_, _>>(),
    )
}

/// A field as a producer of JSON would write it.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(flag) => Value::Bool(*flag),
        Field::Byte(number) => Value::from(*number),
        Field::Short(number) => Value::from(*number),
        Field::Int(number) | Field::Date(number) | Field::TimeMillis(number) => Value::from(*number),
        Field::Long(number) | Field::TimeMicros(number) => Value::from(*number),
        Field::UByte(number) => Value::from(*number),
        Field::UShort(number) => Value::from(*number),
        Field::UInt(number) => Value::from(*number),
        Field::ULong(number) => Value::from(*number),
        Field::Float(number) => Number::from_f64(f64::from(*number)).map_or(Value::Null, Value::Number),
        Field::Double(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) => Value::String(String::from_utf8_lossy(bytes.data()).into_owned()),
        Field::TimestampMillis(time) => DateTime::from_timestamp_millis(*time).map_or(Value::Null, text_of),
        Field::TimestampMicros(time) => DateTime::from_timestamp_micros(*time).map_or(Value::Null, text_of),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect()),
        Field::MapInternal(map) => {
            let text = |field: &Field| match value(field) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Value::Object(map.entries().iter().map(|(key, field)| (text(key), value(field))).collect())
        }
        other => Value::String(other.to_string()),
    }
}

fn text_of(time: DateTime<chrono::Utc>) -> Value {
    Value::String(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests;
