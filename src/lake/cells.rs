//! Rows in and out of Arrow, cell by cell and by column name: the desk's own hands write and read
//! tables with these, so that no other floor needs to know an array type.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate};

use super::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use super::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, SchemaRef,
    TimestampMicrosecondType,
};
use crate::market::{Price, Timestamp, Usd};

/// One value to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Double(f64),
    Text(String),
    Date(NaiveDate),
    At(Timestamp),
    /// Millionths, for `decimal(18,6)`.
    Micros(i64),
    Flag(bool),
}

macro_rules! cell_from {
    ($($source:ty => |$value:ident| $cell:expr),+ $(,)?) => {
        $(impl From<$source> for Cell {
            fn from($value: $source) -> Self {
                $cell
            }
        })+
    };
}

cell_from! {
    i64 => |value| Self::Int(value),
    usize => |value| Self::Int(value as i64),
    f64 => |value| if value.is_finite() { Self::Double(value) } else { Self::Null },
    &str => |value| Self::Text(value.to_owned()),
    String => |value| Self::Text(value),
    NaiveDate => |value| Self::Date(value),
    Timestamp => |value| Self::At(value),
    Price => |value| Self::Micros(value.micros()),
    Usd => |value| Self::Micros(value.micros()),
    bool => |value| Self::Flag(value),
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row or column does not fit its table.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CellError {
    #[error("there is no column `{0}`")]
    NoColumn(String),
    #[error("column `{column}` is {stored}, not {wanted}")]
    OtherType { column: String, stored: String, wanted: &'static str },
    #[error("row {row} has NULL in column `{column}`")]
    Null { column: String, row: usize },
    #[error("{0}")]
    Arrow(String),
}

/// Rows of named columns as a batch of the schema; columns that are not named are NULL.
pub fn batch_of(
    schema: &SchemaRef,
    names: &[&str],
    rows: &[Vec<Cell>],
) -> Result<RecordBatch, CellError> {
    if let Some(unknown) = names.iter().find(|name| schema.field_with_name(name).is_err()) {
        return Err(CellError::NoColumn((*unknown).to_owned()));
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = match names.iter().position(|name| name == field.name()) {
            Some(at) => column(field.name(), field.data_type(), rows, at)?,
            None => new_null_array(field.data_type(), rows.len()),
        };
        columns.push(column);
    }
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| CellError::Arrow(error.to_string()))
}

fn column(
    name: &str,
    data_type: &DataType,
    rows: &[Vec<Cell>],
    at: usize,
) -> Result<ArrayRef, CellError> {
    let cells = || rows.iter().map(|row| row.get(at).unwrap_or(&Cell::Null));
    let wrong = |wanted: &'static str| CellError::OtherType {
        column: name.to_owned(),
        stored: data_type.to_string(),
        wanted,
    };
    macro_rules! collect {
        ($array:ty, $wanted:literal, $pattern:pat => $value:expr) => {{
            let values: Result<Vec<Option<_>>, CellError> = cells()
                .map(|cell| match cell {
                    Cell::Null => Ok(None),
                    $pattern => Ok(Some($value)),
                    _ => Err(wrong($wanted)),
                })
                .collect();
            <$array>::from(values?)
        }};
    }
    Ok(match data_type {
        DataType::Int64 => {
            Arc::new(collect!(Int64Array, "a whole number", Cell::Int(value) => *value))
        }
        DataType::Float64 => {
            Arc::new(collect!(Float64Array, "a double", Cell::Double(value) => *value))
        }
        DataType::Utf8 => {
            Arc::new(collect!(StringArray, "text", Cell::Text(value) => value.as_str()))
        }
        DataType::Boolean => {
            Arc::new(collect!(BooleanArray, "true or false", Cell::Flag(value) => *value))
        }
        DataType::Date32 => Arc::new(
            collect!(Date32Array, "a date", Cell::Date(value) => days_since_epoch(*value)),
        ),
        DataType::Timestamp(..) => Arc::new(
            collect!(TimestampMicrosecondArray, "an instant", Cell::At(value) => value.timestamp_micros())
                .with_timezone("UTC"),
        ),
        DataType::Decimal128(..) => Arc::new(
            collect!(Decimal128Array, "a decimal", Cell::Micros(value) => i128::from(*value))
                .with_precision_and_scale(18, 6)
                .map_err(|error| CellError::Arrow(format!("column `{name}`: {error}")))?,
        ),
        _ => return Err(wrong("a type that cells can hold")),
    })
}

/// Days since 1970-01-01, the storage form of a date.
pub fn days_since_epoch(date: NaiveDate) -> i32 {
    date.signed_duration_since(NaiveDate::default()).num_days() as i32
}

/// A batch read cell by cell.
#[derive(Debug, Clone)]
pub struct Frame {
    rows: RecordBatch,
}

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $needed:ident, $type:ty, $arrow:ty, $wanted:literal, |$value:ident| $convert:expr) => {
        $(#[$doc])*
        pub fn $name(&self, row: usize, column: &str) -> Result<Option<$type>, CellError> {
            let array = self.column(column)?;
            let array = array
                .as_primitive_opt::<$arrow>()
                .ok_or_else(|| other_type(column, array, $wanted))?;
            Ok(array.is_valid(row).then(|| {
                let $value = array.value(row);
                $convert
            }))
        }

        /// The same where NULL is an error.
        pub fn $needed(&self, row: usize, column: &str) -> Result<$type, CellError> {
            self.$name(row, column)?
                .ok_or_else(|| CellError::Null { column: column.to_owned(), row })
        }
    };
}

fn other_type(column: &str, array: &ArrayRef, wanted: &'static str) -> CellError {
    CellError::OtherType { column: column.to_owned(), stored: array.data_type().to_string(), wanted }
}

impl Frame {
    pub fn new(rows: RecordBatch) -> Self {
        Self { rows }
    }

    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn batch(&self) -> &RecordBatch {
        &self.rows
    }

    fn column(&self, name: &str) -> Result<&ArrayRef, CellError> {
        self.rows.column_by_name(name).ok_or_else(|| CellError::NoColumn(name.to_owned()))
    }

    reader!(int, need_int, i64, Int64Type, "a whole number", |value| value);
    reader!(double, need_double, f64, Float64Type, "a double", |value| value);
    reader!(
        /// A price in USD per share.
        price, need_price, Price, Decimal128Type, "a decimal", |value| Price::from_micros(value as i64)
    );
    reader!(usd, need_usd, Usd, Decimal128Type, "a decimal", |value| Usd::from_micros(value as i64));
    reader!(at, need_at, Timestamp, TimestampMicrosecondType, "an instant", |value| {
        DateTime::from_timestamp_micros(value).unwrap_or_default()
    });
    reader!(date, need_date, NaiveDate, Date32Type, "a date", |value| {
        NaiveDate::default() + chrono::Duration::days(i64::from(value))
    });

    pub fn text(&self, row: usize, column: &str) -> Result<Option<&str>, CellError> {
        let array = self.column(column)?;
        let array =
            array.as_string_opt::<i32>().ok_or_else(|| other_type(column, array, "text"))?;
        Ok(array.is_valid(row).then(|| array.value(row)))
    }

    /// The same where NULL is an error.
    pub fn need_text(&self, row: usize, column: &str) -> Result<&str, CellError> {
        self.text(row, column)?.ok_or_else(|| CellError::Null { column: column.to_owned(), row })
    }

    /// A `list<struct<conid, ratio>>` cell.
    pub fn legs(&self, row: usize, column: &str) -> Result<Vec<(i64, i64)>, CellError> {
        let array = self.column(column)?;
        let list = array.as_list_opt::<i32>().ok_or_else(|| other_type(column, array, "a list"))?;
        if list.is_null(row) {
            return Ok(Vec::new());
        }
        let items = list.value(row);
        let fields = items.as_struct_opt().ok_or_else(|| other_type(column, array, "legs"))?;
        let part = |name: &str| {
            fields
                .column_by_name(name)
                .and_then(|array| array.as_primitive_opt::<Int64Type>())
                .ok_or_else(|| other_type(column, array, "legs of conid and ratio"))
        };
        let (conids, ratios) = (part("conid")?, part("ratio")?);
        Ok(conids.values().iter().copied().zip(ratios.values().iter().copied()).collect())
    }
}
