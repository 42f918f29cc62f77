//! The lake at one instant, for the queries of one session's report.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::NaiveDate;

use crate::lake::arrow::array::RecordBatch;
use crate::lake::arrow::datatypes::{Date32Type, Schema};
use crate::lake::datafusion::scalar::ScalarValue;
use crate::lake::{Lake, PinnedSession, Rows, tables_read};
use crate::market::Timestamp;
use crate::market::sessions::Session;

/// The tables as they stood at an instant.
pub(super) struct Tables {
    pinned: PinnedSession,
    pub session_date: NaiveDate,
    /// The regular session of the ETFs.
    pub session: Session,
}

impl Tables {
    pub async fn open(lake: &Lake, (session, as_of): (Session, Timestamp)) -> anyhow::Result<Self> {
        Ok(Self::over(lake.session_at(Some(as_of)).await?, session))
    }

    /// The newest state, to find out what there is.
    pub async fn newest(lake: &Lake, session: Session) -> anyhow::Result<Self> {
        Ok(Self::over(lake.session_at(None).await?, session))
    }

    fn over(pinned: PinnedSession, session: Session) -> Self {
        Self { pinned, session_date: session.session_date, session }
    }

    /// Rows of a query, in which `$session_date` is the report's session and `$session_close` the
    /// instant of its regular close. No rows where a table that it reads was never written.
    pub async fn rows(&self, sql: &str) -> anyhow::Result<Rows> {
        let session = self.pinned.context();
        let read = tables_read(session, sql)?;
        if !read.iter().all(|table| self.pinned.versions().contains_key(table)) {
            return Ok(Rows::new(RecordBatch::new_empty(Arc::new(Schema::empty()))));
        }
        let date = ScalarValue::Date32(Some(Date32Type::from_naive_date(self.session_date)));
        let close = self.session.close.timestamp_micros();
        let close = ScalarValue::TimestampMicrosecond(Some(close), Some("UTC".into()));
        let values = vec![("session_date", date), ("session_close", close)];
        let said = || format!("a query of the report failed: {sql}");
        let frame = session.sql(sql).await.with_context(said)?;
        let frame = frame.with_param_values(values).with_context(said)?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await.with_context(said)?;
        Ok(Rows::of(&schema, &batches)?)
    }
}
