//! Parquet files that are no part of the lake, read whole.

use std::path::Path;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::compute::{cast, concat_batches};
use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::datafusion::prelude::ParquetReadOptions;

use super::{LakeError, new_session};

/// All rows of one file, in the file's order; text comes as Utf8.
pub async fn read_parquet(path: &Path) -> Result<RecordBatch, LakeError> {
    let unreadable = |problem: String| {
        LakeError::Query(format!(
            "{} cannot be read as parquet ({problem}); replace the file or remove it",
            path.display()
        ))
    };
    let session = new_session()?;
    let frame = session
        .read_parquet(path.to_string_lossy().into_owned(), ParquetReadOptions::default())
        .await
        .map_err(|error| unreadable(error.to_string()))?;
    let schema = std::sync::Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.map_err(|error| unreadable(error.to_string()))?;
    let rows = concat_batches(&schema, &batches)?;
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let textual = matches!(field.data_type(), DataType::LargeUtf8 | DataType::Utf8View);
        let kind = if textual { DataType::Utf8 } else { field.data_type().clone() };
        columns.push(cast(column, &kind)?);
        fields.push(Field::new(field.name(), kind, true));
    }
    Ok(RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns)?)
}
