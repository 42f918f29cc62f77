//! The canonical text of rows, and hashes of it. It depends on the values alone: not on how rows
//! are cut into batches, on encodings or on the order of columns.

use std::fmt::Write as _;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use deltalake::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use sha2::{Digest, Sha256};

use super::LakeError;
use super::cells::date;
use super::rows::no_such_column;

/// Columns of this prefix hold wall time, paths and attempts, and are in no hash.
const WALL_PREFIX: &str = "wall_";

/// Decimal places of a rendered decimal.
const PLACES: u32 = 6;

/// One row as `column=value`, tab-separated, in order of column names, without `wall_` columns.
/// Decimals have six places, doubles are the shortest text that reads back, with -0 as 0, instants
/// are microseconds UTC, dates ISO, NULL is `\N`; backslash, tab and newline in text are escaped.
pub fn row_text(batch: &RecordBatch, row: usize) -> Result<String, LakeError> {
    let mut text = String::new();
    Canonical::new(batch).render(row, &mut text)?;
    Ok(text)
}

/// SHA-256, in hex, over the rows' canonical text in order of `key` (compared as text), and the
/// number of rows.
pub fn digest_table(batches: &[RecordBatch], key: &[&str]) -> Result<(String, usize), LakeError> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for batch in batches {
        let all = Canonical::new(batch);
        let keys = Canonical::of_columns(batch, key)?;
        for row in 0..batch.num_rows() {
            let mut line = (String::new(), String::new());
            keys.render(row, &mut line.0)?;
            all.render(row, &mut line.1)?;
            lines.push(line);
        }
    }
    lines.sort_unstable();
    let mut hash = Sha256::new();
    for (_, line) in &lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    Ok((hex(&hash.finalize()), lines.len()))
}

/// SHA-256, in hex, over the rows' canonical text in the order given.
pub(super) fn content_hash(batches: &[RecordBatch]) -> Result<String, LakeError> {
    let mut hash = Sha256::new();
    let mut line = String::new();
    for batch in batches {
        let all = Canonical::new(batch);
        for row in 0..batch.num_rows() {
            line.clear();
            all.render(row, &mut line)?;
            line.push('\n');
            hash.update(line.as_bytes());
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

struct Canonical<'a> {
    columns: Vec<(&'a str, &'a ArrayRef)>,
}

impl<'a> Canonical<'a> {
    fn new(batch: &'a RecordBatch) -> Self {
        let mut columns: Vec<(&str, &ArrayRef)> = batch
            .schema_ref()
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .zip(batch.columns())
            .filter(|(name, _)| !name.starts_with(WALL_PREFIX))
            .collect();
        columns.sort_unstable_by_key(|(name, _)| *name);
        Self { columns }
    }

    fn of_columns(batch: &'a RecordBatch, names: &[&'a str]) -> Result<Self, LakeError> {
        let find = |name: &&'a str| {
            let column = batch.column_by_name(name).ok_or_else(|| no_such_column(batch, name))?;
            Ok((*name, column))
        };
        Ok(Self { columns: names.iter().map(find).collect::<Result<_, LakeError>>()? })
    }

    fn render(&self, row: usize, out: &mut String) -> Result<(), LakeError> {
        for (at, (name, column)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push('\t');
            }
            out.push_str(name);
            out.push('=');
            value_text(name, column, row, out)?;
        }
        Ok(())
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the lake stores no other kind")]
fn value_text(
    name: &str,
    column: &ArrayRef,
    row: usize,
    out: &mut String,
) -> Result<(), LakeError> {
    if column.is_null(row) {
        out.push_str("\\N");
        return Ok(());
    }
    let known = match column.data_type() {
        DataType::Utf8 => column.as_string_opt::<i32>().map(|text| escape(text.value(row), out)),
        DataType::Boolean => column.as_boolean_opt().map(|flag| push(out, flag.value(row))),
        DataType::Int64 => column.as_primitive_opt::<Int64Type>().map(|n| push(out, n.value(row))),
        DataType::Int32 => column.as_primitive_opt::<Int32Type>().map(|n| push(out, n.value(row))),
        DataType::Int16 => column.as_primitive_opt::<Int16Type>().map(|n| push(out, n.value(row))),
        DataType::Int8 => column.as_primitive_opt::<Int8Type>().map(|n| push(out, n.value(row))),
        DataType::Float64 => {
            column.as_primitive_opt::<Float64Type>().map(|n| double_text(n.value(row), out))
        }
        DataType::Decimal128(_, scale) => {
            let scale = u32::try_from(*scale).ok();
            column
                .as_primitive_opt::<Decimal128Type>()
                .zip(scale)
                .map(|(n, scale)| decimal_text(n.value(row), scale, out))
        }
        DataType::Date32 => column
            .as_primitive_opt::<Date32Type>()
            .and_then(|n| date(n.value(row)))
            .map(|date| push(out, date)),
        DataType::Timestamp(_, _) => {
            column.as_primitive_opt::<TimestampMicrosecondType>().map(|n| push(out, n.value(row)))
        }
        DataType::List(_) => return list_text(name, column, row, out),
        DataType::Struct(_) => return struct_text(name, column, row, out),
        _ => None,
    };
    known.ok_or_else(|| unsupported(name, column))
}

fn list_text(name: &str, column: &ArrayRef, row: usize, out: &mut String) -> Result<(), LakeError> {
    let lists = column.as_list_opt::<i32>().ok_or_else(|| unsupported(name, column))?;
    let items = lists.value(row);
    out.push('[');
    for at in 0..items.len() {
        if at > 0 {
            out.push(',');
        }
        value_text(name, &items, at, out)?;
    }
    out.push(']');
    Ok(())
}

fn struct_text(
    name: &str,
    column: &ArrayRef,
    row: usize,
    out: &mut String,
) -> Result<(), LakeError> {
    let values = column.as_struct_opt().ok_or_else(|| unsupported(name, column))?;
    let mut fields: Vec<(&str, &ArrayRef)> =
        values.fields().iter().map(|field| field.name().as_str()).zip(values.columns()).collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (at, (field, values)) in fields.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(field);
        out.push('=');
        value_text(name, values, row, out)?;
    }
    out.push('}');
    Ok(())
}

fn unsupported(name: &str, column: &ArrayRef) -> LakeError {
    LakeError::UnsupportedColumn {
        column: name.to_owned(),
        kind: column.data_type().to_string(),
        remedy: "bring the rows to the table's stored columns before they are hashed",
    }
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a String takes any text");
}

fn double_text(value: f64, out: &mut String) {
    let unsigned_zero = if value == 0.0 { 0.0 } else { value };
    write!(out, "{unsigned_zero:?}").expect("a String takes any text");
}

/// At six places, or at its own scale where that is finer.
fn decimal_text(value: i128, scale: u32, out: &mut String) {
    let places = scale.max(PLACES);
    let scaled = value * 10_i128.pow(places - scale);
    let unit = 10_u128.pow(places);
    let whole = scaled.unsigned_abs();
    let sign = if scaled < 0 { "-" } else { "" };
    let width = places as usize;
    write!(out, "{sign}{}.{:0width$}", whole / unit, whole % unit)
        .expect("a String takes any text");
}

fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            plain => out.push(plain),
        }
    }
}
