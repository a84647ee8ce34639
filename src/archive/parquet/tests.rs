//! Sample events, shredded into columns as Security Lake does it, and read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::*;
use crate::activity::Activity;

/// What a column or a group of columns holds.
enum Shape {
    Text,
    Long,
    Double,
    Flag,
    Group(BTreeMap<String, Shape>),
    List(Box<Shape>),
}

/// A value with its definition and repetition levels.
type Cell = (Option<Value>, i16, i16);

impl Shape {
    /// One that takes all of some values.
    fn of(values: &[&Value]) -> Self {
        let values: Vec<&Value> = values.iter().filter(|value| !value.is_null()).copied().collect();
        match values.first() {
            Some(Value::Object(_)) => {
                let mut fields: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
                for (name, value) in values.iter().filter_map(|value| value.as_object()).flatten() {
                    fields.entry(name.clone()).or_default().push(value);
                }
                let known =
                    fields.into_iter().filter(|(_, values)| !values.iter().all(|value| value.is_null()));
                Self::Group(known.map(|(name, values)| (name, Self::of(&values))).collect())
            }
            Some(Value::Array(_)) => {
                let elements: Vec<&Value> =
                    values.iter().filter_map(|value| value.as_array()).flatten().collect();
                Self::List(Box::new(Self::of(&elements)))
            }
            Some(Value::Number(_)) if values.iter().all(|value| value.is_i64()) => Self::Long,
            Some(Value::Number(_)) => Self::Double,
            Some(Value::Bool(_)) => Self::Flag,
            _ => Self::Text,
        }
    }

    fn schema(&self, name: &str) -> String {
        match self {
            Self::Text => format!("optional binary {name} (UTF8); "),
            Self::Long => format!("optional int64 {name}; "),
            Self::Double => format!("optional double {name}; "),
            Self::Flag => format!("optional boolean {name}; "),
            Self::Group(fields) => format!("optional group {name} {{ {} }} ", schemas(fields)),
            Self::List(element) => {
                let element = element.schema("element");
                format!("optional group {name} (LIST) {{ repeated group list {{ {element} }} }} ")
            }
        }
    }

    fn leaves(&self) -> usize {
        match self {
            Self::Group(fields) => fields.values().map(Self::leaves).sum(),
            Self::List(element) => element.leaves(),
            _ => 1,
        }
    }

    fn shred(
        &self,
        value: Option<&Value>,
        defined: i16,
        repeated: i16,
        depth: i16,
        columns: &mut [Vec<Cell>],
    ) {
        let value = value.filter(|value| !value.is_null());
        let here = defined + i16::from(value.is_some());
        match self {
            Self::Group(fields) => {
                let mut first = 0;
                for (name, shape) in fields {
                    let next = first + shape.leaves();
                    let field = value.and_then(|value| value.get(name));
                    shape.shred(field, here, repeated, depth, &mut columns[first..next]);
                    first = next;
                }
            }
            Self::List(element) => match value.and_then(Value::as_array) {
                Some(values) if !values.is_empty() => {
                    for (number, value) in values.iter().enumerate() {
                        let repeated = if number == 0 { repeated } else { depth + 1 };
                        element.shred(Some(value), here + 1, repeated, depth + 1, columns);
                    }
                }
                _ => element.shred(None, here, repeated, depth + 1, columns),
            },
            _ => columns[0].push((value.cloned(), here, repeated)),
        }
    }
}

fn schemas(fields: &BTreeMap<String, Shape>) -> String {
    fields.iter().map(|(name, shape)| shape.schema(name)).collect()
}

/// A file of records, one row each, in groups.
fn file(groups: &[Vec<Value>]) -> Vec<u8> {
    let Shape::Group(fields) = Shape::of(&groups.iter().flatten().collect::<Vec<_>>()) else {
        panic!("no objects")
    };
    let schema = parse_message_type(&format!("message ocsf {{ {} }}", schemas(&fields))).unwrap();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::default()).unwrap();
    let shape = Shape::Group(fields);
    for rows in groups {
        let mut columns = vec![Vec::new(); shape.leaves()];
        for row in rows {
            // A row itself has no level.
            shape.shred(Some(row), -1, 0, 0, &mut columns);
        }
        let mut group = writer.next_row_group().unwrap();
        for cells in columns {
            let mut column = group.next_column().unwrap().unwrap();
            let defined: Vec<i16> = cells.iter().map(|(_, defined, _)| *defined).collect();
            let repeated: Vec<i16> = cells.iter().map(|(_, _, repeated)| *repeated).collect();
            let (defined, repeated) = (Some(defined.as_slice()), Some(repeated.as_slice()));
            let values: Vec<Value> = cells.iter().filter_map(|(value, ..)| value.clone()).collect();
            match column.untyped() {
                parquet::column::writer::ColumnWriter::Int64ColumnWriter(_) => {
                    let values: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
                    column.typed::<Int64Type>().write_batch(&values, defined, repeated).unwrap();
                }
                parquet::column::writer::ColumnWriter::DoubleColumnWriter(_) => {
                    let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
                    column.typed::<DoubleType>().write_batch(&values, defined, repeated).unwrap();
                }
                parquet::column::writer::ColumnWriter::BoolColumnWriter(_) => {
                    let values: Vec<bool> = values.iter().filter_map(Value::as_bool).collect();
                    column.typed::<BoolType>().write_batch(&values, defined, repeated).unwrap();
                }
                _ => {
                    let text =
                        |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let values: Vec<ByteArray> =
                        values.iter().map(|value| text(value).as_str().into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&values, defined, repeated).unwrap();
                }
            }
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn surroundings() -> Surroundings {
    let received = "2026-03-10T12:00:00Z".parse().unwrap();
    Surroundings::new(received)
}

/// Activities, records passed, and why the rest could not be read.
fn read_back(bytes: &[u8], shortcuts: bool) -> (Vec<Activity>, u64, Option<String>) {
    let (mut activities, mut records) = (Vec::new(), 0);
    let outcome = read(file_of(bytes).unwrap(), &surroundings(), shortcuts, &Progress::default(), |found| {
        activities.extend(found.activities);
        records += found.records;
        Ok(())
    });
    (activities, records, outcome.unwrap())
}

fn sample(name: &str) -> Value {
    let path = format!("{}/events/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn rows_are_read_as_the_same_records_in_json_are() {
    let told = vec![
        sample("ocsf-run-instances-community-ami.json"),
        sample("ocsf-put-image-at-night.json"),
        sample("ocsf-kubernetes-pod.json"),
    ];
    let mut other = told[0].clone();
    other["api"]["operation"] = json!("DescribeRegions");
    let quiet = vec![other.clone(), other];
    let expected: Vec<Activity> =
        told.iter().flat_map(|record| source::read(record, &surroundings()).activities).collect();
    assert!(expected.len() >= 3);
    let bytes = file(&[told, quiet]);
    for shortcuts in [true, false] {
        let (activities, records, problem) = read_back(&bytes, shortcuts);
        assert_eq!(problem, None);
        assert_eq!(records, 5);
        assert_eq!(activities.len(), expected.len());
        for (found, expected) in activities.iter().zip(&expected) {
            assert_eq!(
                (&found.time, &found.action, &found.actor),
                (&expected.time, &expected.action, &expected.actor)
            );
        }
    }
}

#[test]
fn what_is_damaged_is_said() {
    let bytes = file(&[vec![sample("ocsf-put-image-at-night.json")]]);
    for cut in [4, bytes.len() / 2, bytes.len() - 1] {
        let (activities, _, problem) = read_back(&bytes[..cut], true);
        assert!(activities.is_empty() && problem.is_some_and(|problem| problem.contains("Parquet")), "{cut}");
    }
}
