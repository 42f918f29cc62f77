//! Names and columns of tables.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use deltalake::datafusion::sql::parser::{DFParser, Statement as DfStatement};
use deltalake::datafusion::sql::sqlparser::ast::{
    self, ColumnDef, ColumnOption, ExactNumberInfo, Statement,
};

use super::LakeError;

/// `<schema>.<table>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    schema: String,
    name: String,
}

impl TableName {
    pub fn new(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }

    pub fn schema(&self) -> &str {
        &self.schema
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.schema, self.name)
    }
}

impl FromStr for TableName {
    type Err = LakeError;

    fn from_str(text: &str) -> Result<Self, LakeError> {
        let sound = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        match text.split_once('.') {
            Some((schema, name)) if sound(schema) && sound(name) => Ok(Self::new(schema, name)),
            _ => Err(LakeError::InvalidTableName(text.to_owned())),
        }
    }
}

/// The column by which tables are partitioned, where they have it.
pub(super) const PARTITION_COLUMN: &str = "session_date";

/// A table's name and columns, in the kinds that the lake stores: text as Utf8, instants as
/// microseconds UTC, dates as Date32, decimals, signed integers, doubles, booleans, lists, structs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    name: TableName,
    schema: SchemaRef,
    append_only: bool,
}

impl TableSpec {
    /// Reads one `create table <schema>.<table> (..)`; comments in front are allowed. Such a
    /// contract is append-only.
    pub fn from_ddl(sql: &str) -> Result<Self, LakeError> {
        let fault = |problem: String| LakeError::Ddl(problem);
        let mut statements =
            DFParser::parse_sql(sql).map_err(|error| fault(error.strip_backtrace()))?;
        let create = match (statements.pop_front(), statements.pop_front()) {
            (Some(DfStatement::Statement(statement)), None) => {
                if let Statement::CreateTable(create) = *statement {
                    create
                } else {
                    return Err(fault(format!("expected `create table`, found `{statement}`")));
                }
            }
            _ => return Err(fault("expected exactly one `create table`".to_owned())),
        };
        let name = create.name.to_string().parse()?;
        let fields: Vec<Field> =
            create.columns.iter().map(column_field).collect::<Result<_, LakeError>>()?;
        Ok(Self { name, schema: Arc::new(Schema::new(fields)), append_only: true })
    }

    /// Takes the columns of a query's result and brings each to the kind in which it is stored.
    pub fn from_schema(name: TableName, schema: &Schema) -> Result<Self, LakeError> {
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .map(|field| stored_field(field))
            .collect::<Result<_, LakeError>>()?;
        Ok(Self { name, schema: Arc::new(Schema::new(fields)), append_only: false })
    }

    /// The columns as a table's log has them.
    pub(super) fn of_table(name: TableName, schema: SchemaRef) -> Self {
        Self { name, schema, append_only: false }
    }

    pub fn name(&self) -> &TableName {
        &self.name
    }

    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the table refuses anything but appends; compaction is still possible.
    pub fn is_append_only(&self) -> bool {
        self.append_only
    }

    /// `session_date`, where the table has it.
    pub fn partition_column(&self) -> Option<&'static str> {
        self.schema.column_with_name(PARTITION_COLUMN).map(|_| PARTITION_COLUMN)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "any other kind of SQL is refused")]
fn column_field(column: &ColumnDef) -> Result<Field, LakeError> {
    let name = column.name.value.to_lowercase();
    let required =
        column.options.iter().any(|option| matches!(option.option, ColumnOption::NotNull));
    let kind = match &column.data_type {
        ast::DataType::BigInt(None) | ast::DataType::Int64 => DataType::Int64,
        ast::DataType::Integer(None) | ast::DataType::Int(None) => DataType::Int32,
        ast::DataType::SmallInt(None) => DataType::Int16,
        ast::DataType::Double(_) | ast::DataType::DoublePrecision => DataType::Float64,
        ast::DataType::Varchar(None) | ast::DataType::Text | ast::DataType::String(None) => {
            DataType::Utf8
        }
        ast::DataType::Date => DataType::Date32,
        ast::DataType::Boolean => DataType::Boolean,
        ast::DataType::Timestamp(None, _) => instant(),
        ast::DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision, scale)) => {
            decimal(*precision, *scale).ok_or_else(|| {
                LakeError::Ddl(format!("column `{name}`: a decimal has 1 to 38 digits"))
            })?
        }
        other => {
            return Err(LakeError::Ddl(format!("column `{name}`: {other} is not stored here")));
        }
    };
    Ok(Field::new(name, kind, !required))
}

fn decimal(precision: u64, scale: i64) -> Option<DataType> {
    let precision = u8::try_from(precision).ok().filter(|digits| (1..=38).contains(digits))?;
    let scale = i8::try_from(scale).ok().filter(|places| *places >= 0)?;
    Some(DataType::Decimal128(precision, scale))
}

/// The one kind of instant: microseconds UTC.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn stored_field(field: &Field) -> Result<Field, LakeError> {
    let kind = stored_kind(field.name(), field.data_type())?;
    Ok(Field::new(field.name(), kind, true))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "any other kind of Arrow is refused")]
fn stored_kind(column: &str, kind: &DataType) -> Result<DataType, LakeError> {
    let refuse = |remedy| {
        Err(LakeError::UnsupportedColumn {
            column: column.to_owned(),
            kind: kind.to_string(),
            remedy,
        })
    };
    match kind {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8 => Ok(kind.clone()),
        DataType::Decimal128(_, scale) if *scale >= 0 => Ok(kind.clone()),
        DataType::Float16 | DataType::Float32 => Ok(DataType::Float64),
        DataType::Date64 => Ok(DataType::Date32),
        DataType::LargeUtf8 | DataType::Utf8View => Ok(DataType::Utf8),
        DataType::Timestamp(_, _) => Ok(instant()),
        DataType::Dictionary(_, value) => stored_kind(column, value),
        DataType::List(item) | DataType::LargeList(item) => Ok(DataType::List(list_item(item)?)),
        DataType::Struct(fields) => {
            let fields: Vec<Field> =
                fields.iter().map(|field| stored_field(field)).collect::<Result<_, _>>()?;
            Ok(DataType::Struct(fields.into()))
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            refuse("other readers have no unsigned integers; cast to bigint")
        }
        DataType::Null => refuse("a bare NULL has no type; cast it"),
        _ => refuse("cast it to varchar, bigint, double, decimal, date, timestamp or boolean"),
    }
}

/// Delta calls the items of a list `element`.
fn list_item(item: &FieldRef) -> Result<FieldRef, LakeError> {
    Ok(Arc::new(Field::new("element", stored_kind(item.name(), item.data_type())?, true)))
}
