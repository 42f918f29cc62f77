//! Rules and entries: models that fill one table together.

use super::built::BuildReport;
use super::model::{Model, Role};

/// True where no earlier part of the same table ran in this build.
pub(super) fn first_part(model: &Model, report: &BuildReport) -> bool {
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    match model.role {
        Role::Table => true,
        Role::Rule { .. } | Role::Entry { .. } => {
            let same = folder(&model.path);
            !report.models.iter().any(|ran| folder(&ran.path) == same)
        }
    }
}

/// The statement of a rule or entry, with its name and priority in front and the run behind, in
/// order of its key: the order of an inner statement binds nobody.
pub(super) fn union_text(model: &Model) -> String {
    let (label, name, priority) = match &model.role {
        Role::Table => return model.sql.clone(),
        Role::Rule { name, priority } => ("rule", name, priority),
        Role::Entry { name, priority } => ("entry", name, priority),
    };
    format!(
        "select '{name}' as {label}, cast({priority} as bigint) as priority, part.*, \
         run.as_of, run.run_id, run.session_date from ({}) as part cross join run order by {}",
        model.sql,
        model.stored_key().join(", ")
    )
}
