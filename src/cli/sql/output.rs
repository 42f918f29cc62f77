//! Rows as text or files, batch by batch.

use std::io::{BufWriter, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::ValueEnum;

use crate::lake::arrow::array::{ArrayRef, RecordBatch, StringArray};
use crate::lake::arrow::csv;
use crate::lake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use crate::lake::arrow::json::{self, LineDelimitedWriter, writer::JsonArray};
use crate::lake::arrow::util::display::FormatOptions;
use crate::lake::arrow::util::pretty::pretty_format_batches_with_options;
use crate::lake::datafusion::parquet::arrow::ArrowWriter;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Boxes, for people.
    Table,
    /// A header line, then a line a row; NULL is empty.
    Csv,
    /// One array of objects.
    Json,
    Parquet,
}

type Out = Box<dyn Write + Send>;

/// Where rows go.
pub struct Sink {
    kind: Kind,
    gone: Arc<AtomicBool>,
}

enum Kind {
    Table { schema: SchemaRef, batches: Vec<RecordBatch>, out: Pipe },
    Csv(Box<csv::Writer<Pipe>>),
    Json(json::Writer<Pipe, JsonArray>),
    Parquet(Box<ArrowWriter<Pipe>>),
}

impl Sink {
    pub fn begin(format: Format, schema: &SchemaRef, out: Out) -> anyhow::Result<Self> {
        let gone = Arc::new(AtomicBool::new(false));
        let out = Pipe { out, gone: Arc::clone(&gone) };
        let kind = match format {
            Format::Table => Kind::Table { schema: Arc::clone(schema), batches: Vec::new(), out },
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(out);
                writer.write(&flat(&RecordBatch::new_empty(Arc::clone(schema)))?)?;
                Kind::Csv(Box::new(writer))
            }
            Format::Json => Kind::Json(
                json::WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(out),
            ),
            Format::Parquet => {
                Kind::Parquet(Box::new(ArrowWriter::try_new(out, Arc::clone(schema), None)?))
            }
        };
        Ok(Self { kind, gone })
    }

    pub fn take(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Table { batches, .. } => batches.push(batch.clone()),
            Kind::Csv(writer) => writer.write(&flat(batch)?)?,
            Kind::Json(writer) => writer.write(batch)?,
            Kind::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    /// Whether the reader of a pipe has left (`.. | head`): nothing more need be read.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub fn finish(self) -> anyhow::Result<()> {
        match self.kind {
            Kind::Table { schema, mut batches, mut out } => {
                if batches.is_empty() {
                    batches.push(RecordBatch::new_empty(schema));
                }
                let options = FormatOptions::default().with_null("NULL");
                let text = pretty_format_batches_with_options(&batches, &options)?;
                writeln!(out, "{text}")?;
                out.flush()
            }
            Kind::Csv(writer) => writer.into_inner().flush(),
            Kind::Json(mut writer) => {
                writer.finish()?;
                let mut out = writer.into_inner();
                writeln!(out)?;
                out.flush()
            }
            Kind::Parquet(writer) => writer.into_inner()?.flush(),
        }
        .context("the rows cannot be written")
    }
}

/// Standard output.
pub fn stdout() -> Out {
    Box::new(BufWriter::new(std::io::stdout()))
}

/// Text to standard output; a reader who has left is no error.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut out = Pipe { out: stdout(), gone: Arc::new(AtomicBool::new(false)) };
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output cannot be written")
}

/// A writer whose reader may leave: what is written afterwards goes nowhere, and is no error.
struct Pipe {
    out: Out,
    gone: Arc<AtomicBool>,
}

impl Pipe {
    fn minded<T>(&self, outcome: std::io::Result<T>, gone: T) -> std::io::Result<T> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone.store(true, Ordering::Relaxed);
                Ok(gone)
            }
            outcome => outcome,
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.gone.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let outcome = self.out.write(bytes);
        self.minded(outcome, bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let outcome = self.out.flush();
        self.minded(outcome, ())
    }
}

/// Lists and structs as JSON text: a line of CSV has no place for them.
fn flat(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (index, (field, column)) in schema.fields().iter().zip(batch.columns()).enumerate() {
        if field.data_type().is_nested() {
            let texts = json_texts(&batch.project(&[index])?, field.name())?;
            columns.push(Arc::new(StringArray::from(texts)));
            fields.push(Field::new(field.name(), DataType::Utf8, true));
        } else {
            columns.push(Arc::clone(column));
            fields.push(field.as_ref().clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn json_texts(column: &RecordBatch, name: &str) -> anyhow::Result<Vec<Option<String>>> {
    let objects = as_json(column)?;
    Ok(objects
        .iter()
        .map(|object| object.get(name).filter(|value| !value.is_null()).map(ToString::to_string))
        .collect())
}

/// Rows as JSON objects, NULL written out.
pub fn as_json(rows: &RecordBatch) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut writer: LineDelimitedWriter<Vec<u8>> =
        json::WriterBuilder::new().with_explicit_nulls(true).build(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Columns under a header, two blanks between them; the last one is not filled up.
pub fn aligned(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines: Vec<Vec<String>> = Vec::new();
    if !header.is_empty() {
        lines.push(header.iter().map(|title| (*title).to_owned()).collect());
    }
    lines.extend(rows.iter().cloned());
    let mut widths: Vec<usize> = Vec::new();
    for line in &lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_titles() {
        let rows = [vec!["sweep".to_owned(), "every 5m".to_owned()], vec!["a".to_owned()]];
        assert_eq!(aligned(&["job", "when"], &rows), "job    when\nsweep  every 5m\na\n");
    }
}
