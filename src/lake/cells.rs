//! From Rust values to rows of a table, by column name.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use deltalake::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
    new_null_array,
};
use deltalake::arrow::datatypes::DataType;

use super::{LakeError, TableSpec};
use crate::market::{ConId, OptionRight, Price, Symbol, Timestamp, Usd};

/// One value of one column. NaN becomes `Null`.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Text(String),
    Int(i64),
    Double(f64),
    /// Millionths.
    Decimal(i128),
    Date(NaiveDate),
    Instant(Timestamp),
    Flag(bool),
}

macro_rules! cell_from {
    ($($from:ty => |$value:ident| $cell:expr;)*) => {
        $(impl From<$from> for Cell {
            fn from($value: $from) -> Self {
                $cell
            }
        })*
    };
}

cell_from! {
    &str => |text| Self::Text(text.to_owned());
    String => |text| Self::Text(text);
    &String => |text| Self::Text(text.clone());
    &Symbol => |symbol| Self::Text(symbol.as_str().to_owned());
    OptionRight => |right| Self::Text(right.as_str().to_owned());
    ConId => |conid| Self::Int(conid.0);
    i64 => |number| Self::Int(number);
    i32 => |number| Self::Int(i64::from(number));
    u32 => |number| Self::Int(i64::from(number));
    f64 => |number| if number.is_nan() { Self::Null } else { Self::Double(number) };
    Price => |price| Self::Decimal(i128::from(price.micros()));
    Usd => |amount| Self::Decimal(i128::from(amount.micros()));
    NaiveDate => |date| Self::Date(date);
    Timestamp => |at| Self::Instant(at);
    bool => |flag| Self::Flag(flag);
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Cell {
    fn describe(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Text(_) => "text",
            Self::Int(_) => "a whole number",
            Self::Double(_) => "a double",
            Self::Decimal(_) => "a decimal",
            Self::Date(_) => "a date",
            Self::Instant(_) => "an instant",
            Self::Flag(_) => "a boolean",
        }
    }
}

/// Collects rows of a table, column by column. Columns that a row leaves out are NULL; so is every
/// list or struct.
pub struct RowBuilder {
    spec: TableSpec,
    positions: BTreeMap<String, usize>,
    columns: Vec<Column>,
    rows: usize,
}

impl RowBuilder {
    pub fn new(spec: &TableSpec) -> Self {
        let fields = spec.arrow_schema().fields();
        let positions =
            fields.iter().enumerate().map(|(at, field)| (field.name().clone(), at)).collect();
        let columns = fields.iter().map(|field| Column::new(field.data_type())).collect();
        Self { spec: spec.clone(), positions, columns, rows: 0 }
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row of `(column, value)`. An unknown column, a value of another kind, or NULL in a
    /// column that must not be NULL is an error, and the row is not added.
    pub fn push<const N: usize>(&mut self, cells: [(&str, Cell); N]) -> Result<(), LakeError> {
        self.push_row(cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect())
    }

    /// As [`RowBuilder::push`], with any number of cells.
    pub fn push_row(&mut self, cells: Vec<(String, Cell)>) -> Result<(), LakeError> {
        let mut row: Vec<Cell> = vec![Cell::Null; self.columns.len()];
        for (name, cell) in cells {
            let slot = self.positions.get(&name).and_then(|at| row.get_mut(*at));
            *slot.ok_or_else(|| self.no_such_column(&name))? = cell;
        }
        for ((field, column), cell) in
            self.spec.arrow_schema().fields().iter().zip(&self.columns).zip(&row)
        {
            let missing = matches!(cell, Cell::Null);
            if missing && !field.is_nullable() {
                let column = field.name().clone();
                return Err(LakeError::UnexpectedNull { column, row: self.rows });
            }
            if !missing && !column.takes(cell) {
                return Err(LakeError::WrongKind {
                    column: field.name().clone(),
                    held: field.data_type().to_string(),
                    wanted: cell.describe(),
                });
            }
        }
        for (column, cell) in self.columns.iter_mut().zip(row) {
            column.push(cell);
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows so far; the builder begins anew.
    pub fn finish(&mut self) -> Result<RecordBatch, LakeError> {
        self.rows = 0;
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        Ok(RecordBatch::try_new(Arc::clone(self.spec.arrow_schema()), arrays)?)
    }

    fn no_such_column(&self, name: &str) -> LakeError {
        let known: Vec<&str> = self.positions.keys().map(String::as_str).collect();
        LakeError::NoSuchColumn { column: name.to_owned(), known: known.join(", ") }
    }
}

enum Column {
    Text(StringBuilder),
    Long(Int64Builder),
    Int(Int32Builder),
    Short(Int16Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, i8),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
    Flag(BooleanBuilder),
    Absent(DataType, usize),
}

impl Column {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Arrow has many more kinds than the lake stores"
    )]
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Int64 => Self::Long(Int64Builder::new()),
            DataType::Int32 => Self::Int(Int32Builder::new()),
            DataType::Int16 => Self::Short(Int16Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Decimal128(_, scale) => {
                Self::Decimal(Decimal128Builder::new().with_data_type(kind.clone()), *scale)
            }
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(_, _) => {
                Self::Instant(TimestampMicrosecondBuilder::new().with_data_type(kind.clone()))
            }
            DataType::Boolean => Self::Flag(BooleanBuilder::new()),
            other => Self::Absent(other.clone(), 0),
        }
    }

    fn takes(&self, cell: &Cell) -> bool {
        match (self, cell) {
            (Self::Text(_), Cell::Text(_))
            | (Self::Long(_), Cell::Int(_))
            | (Self::Double(_), Cell::Double(_))
            | (Self::Date(_), Cell::Date(_))
            | (Self::Instant(_), Cell::Instant(_))
            | (Self::Flag(_), Cell::Flag(_)) => true,
            (Self::Int(_), Cell::Int(number)) => i32::try_from(*number).is_ok(),
            (Self::Short(_), Cell::Int(number)) => i16::try_from(*number).is_ok(),
            (Self::Decimal(_, scale), Cell::Decimal(_)) => *scale == 6,
            _ => false,
        }
    }

    /// The cell was found fit by [`Column::takes`], or is NULL.
    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Text(column), Cell::Text(text)) => column.append_value(text),
            (Self::Text(column), _) => column.append_null(),
            (Self::Long(column), Cell::Int(number)) => column.append_value(number),
            (Self::Long(column), _) => column.append_null(),
            (Self::Int(column), Cell::Int(number)) => {
                column.append_option(i32::try_from(number).ok());
            }
            (Self::Int(column), _) => column.append_null(),
            (Self::Short(column), Cell::Int(number)) => {
                column.append_option(i16::try_from(number).ok());
            }
            (Self::Short(column), _) => column.append_null(),
            (Self::Double(column), Cell::Double(number)) => column.append_value(number),
            (Self::Double(column), _) => column.append_null(),
            (Self::Decimal(column, _), Cell::Decimal(micros)) => column.append_value(micros),
            (Self::Decimal(column, _), _) => column.append_null(),
            (Self::Date(column), Cell::Date(date)) => column.append_value(days(date)),
            (Self::Date(column), _) => column.append_null(),
            (Self::Instant(column), Cell::Instant(at)) => {
                column.append_value(at.timestamp_micros());
            }
            (Self::Instant(column), _) => column.append_null(),
            (Self::Flag(column), Cell::Flag(flag)) => column.append_value(flag),
            (Self::Flag(column), _) => column.append_null(),
            (Self::Absent(_, rows), _) => *rows += 1,
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Long(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Short(column) => Arc::new(column.finish()),
            Self::Double(column) => Arc::new(column.finish()),
            Self::Decimal(column, _) => Arc::new(column.finish()),
            Self::Date(column) => Arc::new(column.finish()),
            Self::Instant(column) => Arc::new(column.finish()),
            Self::Flag(column) => Arc::new(column.finish()),
            Self::Absent(kind, rows) => new_null_array(kind, std::mem::take(rows)),
        }
    }
}

/// Day 0 of Arrow's dates, counted from the first day of year 1.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// Days since 1970-01-01.
pub(super) fn days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH_DAYS_FROM_CE
}

/// The date `days` after 1970-01-01, where the calendar has one.
pub(super) fn date(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_DAYS_FROM_CE)?)
}
