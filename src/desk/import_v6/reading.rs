//! Rows of one data file of the predecessor, with the columns that an import asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, TimeZone as _};
use chrono_tz::America::New_York;

use super::source::{DataFile, FileState};
use crate::lake::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use crate::lake::arrow::compute::{CastOptions, cast_with_options};
use crate::lake::arrow::datatypes::{
    DataType, Field, Float64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use crate::lake::read_parquet;

/// What a column holds, however a file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Double,
    Int,
    Date,
    /// Without a zone it is New York's time, as the predecessor's clock showed it.
    Instant,
}

impl Kind {
    fn stored(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Double => DataType::Float64,
            Self::Int => DataType::Int64,
            Self::Date => DataType::Date32,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// A column by name; `folder_x` is what the folders above a file say of `x`.
pub type Column = (&'static str, Kind);

/// Where a row comes from, behind the columns asked for.
const ORIGIN: [Column; 5] = [
    ("_source_table", Kind::Text),
    ("_source_file", Kind::Text),
    ("_file_state", Kind::Text),
    ("_rank", Kind::Int),
    ("_row", Kind::Int),
];

pub fn schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .chain(&ORIGIN)
        .map(|(name, kind)| Field::new(*name, kind.stored(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// The rows of a file; names of columns that were not asked for are added to `ignored`.
pub async fn read(
    (table, file): (&str, &DataFile),
    columns: &[Column],
    ignored: &mut BTreeSet<String>,
) -> anyhow::Result<RecordBatch> {
    let rows = read_parquet(&file.path).await?;
    let count = rows.num_rows();
    let mut arrays = Vec::with_capacity(columns.len() + ORIGIN.len());
    for (name, kind) in columns {
        let array = match (rows.column_by_name(name), name.strip_prefix("folder_")) {
            (Some(array), _) => brought_to(array, *kind)
                .with_context(|| format!("{}: column {name}", file.path.display()))?,
            (None, Some(folder)) => match file.folders.get(folder) {
                Some(value) => repeated(value, count),
                None => new_null_array(&kind.stored(), count),
            },
            (None, None) => new_null_array(&kind.stored(), count),
        };
        arrays.push(array);
    }
    let asked = |name: &str| columns.iter().any(|(column, _)| *column == name);
    let fields = rows.schema();
    ignored.extend(fields.fields().iter().map(|field| field.name().clone()).filter(|n| !asked(n)));
    let rank = FileState::ALL.iter().position(|state| *state == file.state).unwrap_or_default();
    arrays.push(repeated(table, count));
    arrays.push(repeated(&file.name, count));
    arrays.push(repeated(&file.state.to_string(), count));
    arrays.push(Arc::new(Int64Array::from(vec![rank as i64; count])));
    arrays.push(Arc::new(Int64Array::from_iter_values(0..count as i64)));
    Ok(RecordBatch::try_new(schema(columns), arrays)?)
}

fn repeated(text: &str, count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)))
}

fn brought_to(array: &ArrayRef, kind: Kind) -> anyhow::Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    if kind == Kind::Instant && matches!(array.data_type(), DataType::Timestamp(_, None)) {
        let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
        return Ok(in_new_york(&cast_with_options(array, &naive, &strict)?));
    }
    let cast = cast_with_options(array, &kind.stored(), &strict)?;
    Ok(if kind == Kind::Double { plain(&cast) } else { cast })
}

/// NaN is NULL, and there is one zero.
fn plain(array: &ArrayRef) -> ArrayRef {
    let numbers = array.as_primitive::<Float64Type>().iter();
    let plain = numbers.map(|number| number.filter(|n| !n.is_nan()).map(|n| n + 0.0));
    Arc::new(plain.collect::<Float64Array>())
}

/// Times of New York as instants. One that a clock there never shows, or shows twice, is NULL:
/// which instant it was cannot be known.
fn in_new_york(array: &ArrayRef) -> ArrayRef {
    let at = |micros: i64| {
        let naive = DateTime::from_timestamp_micros(micros)?.naive_utc();
        Some(New_York.from_local_datetime(&naive).single()?.timestamp_micros())
    };
    let naive = array.as_primitive::<TimestampMicrosecondType>().iter();
    let instants: TimestampMicrosecondArray = naive.map(|micros| micros.and_then(at)).collect();
    Arc::new(instants.with_timezone("UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_yorks_time_is_an_instant_where_it_is_one() {
        let micros = |text: &str| {
            let naive: chrono::NaiveDateTime = text.parse().unwrap();
            naive.and_utc().timestamp_micros()
        };
        let written = [
            "2026-01-28T12:18:00",
            "2026-07-01T12:00:00",
            "2026-03-08T02:30:00",
            "2026-11-01T01:30:00",
        ];
        let naive: TimestampMicrosecondArray =
            written.iter().map(|text| Some(micros(text))).collect();
        let read = brought_to(&(Arc::new(naive) as ArrayRef), Kind::Instant).unwrap();
        assert_eq!(read.data_type(), &Kind::Instant.stored());
        let read: Vec<_> = read.as_primitive::<TimestampMicrosecondType>().iter().collect();
        let utc = ["2026-01-28T17:18:00", "2026-07-01T16:00:00"].map(|text| Some(micros(text)));
        assert_eq!(read, [utc[0], utc[1], None, None]);
    }

    #[test]
    fn there_is_one_kind_of_nothing_and_one_zero() {
        let written: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, -0.0, 1.5]));
        let read = brought_to(&written, Kind::Double).unwrap();
        let read = read.as_primitive::<Float64Type>();
        assert!(read.is_null(0) && read.value(1).is_sign_positive());
        assert!((read.value(2) - 1.5).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_is_an_error_and_no_gap() {
        let written: ArrayRef = Arc::new(StringArray::from(vec!["many"]));
        assert!(brought_to(&written, Kind::Int).is_err());
    }
}
