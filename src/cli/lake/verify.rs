//! `deltadesk lake verify`.

use std::collections::BTreeMap;

use anyhow::bail;

use crate::cli::sql::{runtime, say};
use crate::desk::home::Home;
use crate::desk::lake_place::open_to_read;
use crate::desk::{faults_error, files};
use crate::lake::{TableFault, TableName};
use crate::pipeline::{Catalogue, Files};

pub fn run(home: &Home) -> anyhow::Result<()> {
    let (files, _) = files::of_home(home.root())?;
    let keys = keys(&files)?;
    let found = runtime()?.block_on(async {
        let lake = open_to_read(home).await?;
        anyhow::Ok(lake.verify(&keys).await?)
    })?;
    let told = |kind: &str, fault: &TableFault| {
        say(&format!("{kind} {}: {}\n", fault.table, fault.problem))
    };
    found.notes.iter().try_for_each(|note| told("note", note))?;
    found.faults.iter().try_for_each(|fault| told("FAULT", fault))?;
    say(&format!(
        "{} tables, {} files and {} rows were read\n",
        found.tables, found.files, found.rows
    ))?;
    match found.faults.len() {
        0 => say("the lake is sound\n"),
        faults => bail!("the lake is not sound: {faults} faults, see above"),
    }
}

/// The key of each stored table, as its file says.
fn keys(files: &Files) -> anyhow::Result<BTreeMap<TableName, Vec<String>>> {
    let catalogue = Catalogue::read(files).map_err(faults_error)?;
    let contracts = catalogue.contracts.iter().map(|(table, set)| (table.clone(), set.key.clone()));
    let models = catalogue.models.iter().map(|model| (model.table.clone(), model.stored_key()));
    Ok(contracts.chain(models).collect())
}
