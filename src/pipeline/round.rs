//! Queries that wait for nothing of each other, run side by side.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::lake::arrow::array::RecordBatch;
use crate::lake::{LakeError, PreparedQuery};
use crate::market::clock::Stopwatch;

/// What a query gave back.
pub(super) struct Answer {
    pub rows: Result<Vec<RecordBatch>, LakeError>,
    /// Of the wall.
    pub seconds: f64,
}

/// The answer of each query, by its place. The caller takes them in an order of its own, so that
/// nothing depends on which was ready first.
pub(super) fn side_by_side(
    runtime: &Handle,
    queries: Vec<(usize, PreparedQuery)>,
) -> anyhow::Result<BTreeMap<usize, Answer>> {
    let mut tasks = JoinSet::new();
    for (place, query) in queries {
        let answer = async move {
            let stopwatch = Stopwatch::start();
            let rows = query.run().await;
            (place, Answer { rows, seconds: stopwatch.elapsed_seconds() })
        };
        tasks.spawn_on(answer, runtime);
    }
    runtime.block_on(async {
        let mut answers = BTreeMap::new();
        while let Some(ended) = tasks.join_next().await {
            let (place, answer) = ended.context("a model ended without an answer")?;
            answers.insert(place, answer);
        }
        Ok(answers)
    })
}
