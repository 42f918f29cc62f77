//! From rows of a result to Rust values, by column name.

use chrono::{DateTime, NaiveDate};
use deltalake::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use deltalake::arrow::compute::concat_batches;
use deltalake::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    SchemaRef, TimestampMicrosecondType,
};

use super::LakeError;
use super::cells::date;
use crate::market::{Price, Timestamp, Usd};

/// Rows of a result, read by column name.
#[derive(Debug, Clone)]
pub struct Rows {
    batch: RecordBatch,
}

/// One row of [`Rows`]. `x` refuses NULL, `maybe_x` gives `None` for it; both refuse a column of
/// another kind.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    batch: &'a RecordBatch,
    at: usize,
}

impl Rows {
    pub fn new(batch: RecordBatch) -> Self {
        Self { batch }
    }

    /// All rows of a result, in order.
    pub fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, LakeError> {
        Ok(Self::new(concat_batches(schema, batches)?))
    }

    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.batch.num_rows() == 0
    }

    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.batch.num_rows()).map(|at| Row { batch: &self.batch, at })
    }

    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }
}

macro_rules! required {
    ($($(#[$doc:meta])* $required:ident, $optional:ident -> $kind:ty;)*) => {
        $(
            $(#[$doc])*
            pub fn $required(&self, column: &str) -> Result<$kind, LakeError> {
                self.$optional(column)?.ok_or_else(|| LakeError::UnexpectedNull {
                    column: column.to_owned(),
                    row: self.at,
                })
            }
        )*
    };
}

impl<'a> Row<'a> {
    required! {
        text, maybe_text -> &'a str;
        /// Any signed integer.
        int, maybe_int -> i64;
        double, maybe_double -> f64;
        /// From `decimal(.., 6)`.
        price, maybe_price -> Price;
        /// From `decimal(.., 6)`.
        usd, maybe_usd -> Usd;
        date, maybe_date -> NaiveDate;
        instant, maybe_instant -> Timestamp;
        flag, maybe_flag -> bool;
        /// A list of structs, as rows of their own.
        list, maybe_list -> Rows;
    }

    pub fn maybe_text(&self, column: &str) -> Result<Option<&'a str>, LakeError> {
        let values = self.column(column)?;
        if let Some(texts) = values.as_string_opt::<i32>() {
            return Ok(self.present(values).then(|| texts.value(self.at)));
        }
        let texts = values.as_string_view_opt().ok_or_else(|| wrong(column, values, "text"))?;
        Ok(self.present(values).then(|| texts.value(self.at)))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "no other kind is a whole number")]
    pub fn maybe_int(&self, column: &str) -> Result<Option<i64>, LakeError> {
        let values = self.column(column)?;
        let at = self.at;
        let number = match values.data_type() {
            DataType::Int64 => values.as_primitive_opt::<Int64Type>().map(|n| n.value(at)),
            DataType::Int32 => {
                values.as_primitive_opt::<Int32Type>().map(|n| i64::from(n.value(at)))
            }
            DataType::Int16 => {
                values.as_primitive_opt::<Int16Type>().map(|n| i64::from(n.value(at)))
            }
            DataType::Int8 => values.as_primitive_opt::<Int8Type>().map(|n| i64::from(n.value(at))),
            _ => None,
        };
        let number = number.ok_or_else(|| wrong(column, values, "a whole number"))?;
        Ok(self.present(values).then_some(number))
    }

    pub fn maybe_double(&self, column: &str) -> Result<Option<f64>, LakeError> {
        let values = self.column(column)?;
        let numbers = values
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| wrong(column, values, "a double"))?;
        Ok(self.present(values).then(|| numbers.value(self.at)))
    }

    pub fn maybe_price(&self, column: &str) -> Result<Option<Price>, LakeError> {
        Ok(self.micros(column)?.map(Price::from_micros))
    }

    pub fn maybe_usd(&self, column: &str) -> Result<Option<Usd>, LakeError> {
        Ok(self.micros(column)?.map(Usd::from_micros))
    }

    pub fn maybe_date(&self, column: &str) -> Result<Option<NaiveDate>, LakeError> {
        let values = self.column(column)?;
        let dates = values
            .as_primitive_opt::<Date32Type>()
            .ok_or_else(|| wrong(column, values, "a date"))?;
        if !self.present(values) {
            return Ok(None);
        }
        let found = date(dates.value(self.at));
        found.map(Some).ok_or_else(|| wrong(column, values, "a date of the calendar"))
    }

    pub fn maybe_instant(&self, column: &str) -> Result<Option<Timestamp>, LakeError> {
        let values = self.column(column)?;
        let micros = values
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| wrong(column, values, "an instant in microseconds"))?;
        if !self.present(values) {
            return Ok(None);
        }
        let found = DateTime::from_timestamp_micros(micros.value(self.at));
        found.map(Some).ok_or_else(|| wrong(column, values, "an instant of the calendar"))
    }

    pub fn maybe_flag(&self, column: &str) -> Result<Option<bool>, LakeError> {
        let values = self.column(column)?;
        let flags = values.as_boolean_opt().ok_or_else(|| wrong(column, values, "a boolean"))?;
        Ok(self.present(values).then(|| flags.value(self.at)))
    }

    pub fn maybe_list(&self, column: &str) -> Result<Option<Rows>, LakeError> {
        let values = self.column(column)?;
        let missing = || wrong(column, values, "a list of structs");
        let lists = values.as_list_opt::<i32>().ok_or_else(missing)?;
        if !self.present(values) {
            return Ok(None);
        }
        let items = lists.value(self.at);
        let structs = items.as_struct_opt().ok_or_else(missing)?;
        Ok(Some(Rows::new(RecordBatch::from(structs))))
    }

    fn micros(&self, column: &str) -> Result<Option<i64>, LakeError> {
        let values = self.column(column)?;
        let missing = || wrong(column, values, "a decimal of six places");
        if !matches!(values.data_type(), DataType::Decimal128(_, 6)) {
            return Err(missing());
        }
        let decimals = values.as_primitive_opt::<Decimal128Type>().ok_or_else(missing)?;
        if !self.present(values) {
            return Ok(None);
        }
        i64::try_from(decimals.value(self.at)).map(Some).map_err(|_| missing())
    }

    fn column(&self, name: &str) -> Result<&'a ArrayRef, LakeError> {
        self.batch.column_by_name(name).ok_or_else(|| no_such_column(self.batch, name))
    }

    fn present(&self, values: &ArrayRef) -> bool {
        values.is_valid(self.at)
    }
}

/// The error for a column that a batch does not have.
pub(super) fn no_such_column(batch: &RecordBatch, name: &str) -> LakeError {
    let schema = batch.schema_ref();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    LakeError::NoSuchColumn { column: name.to_owned(), known: known.join(", ") }
}

fn wrong(column: &str, values: &ArrayRef, wanted: &'static str) -> LakeError {
    LakeError::WrongKind { column: column.to_owned(), held: values.data_type().to_string(), wanted }
}
