//! Steps, and the pipelines that put them in order.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lake::Lake;

use super::catalogue::Files;
use super::live::LiveTables;
use super::model::FileFault;
use super::run::Run;

/// What a step is given: the run's identity, the live tables and the lake. Brokers, feeds and
/// journals are handed to the steps that need them when the desk is put together.
pub struct StepContext<'a> {
    pub run: &'a Run,
    pub live: &'a mut LiveTables,
    pub lake: &'a Lake,
}

/// One thing a pipeline does.
pub trait Step {
    /// Does it. What it noticed and an operator should read goes back as lines.
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>>;
}

/// A pipeline as written: names of steps, in order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub about: String,
    pub steps: Vec<String>,
}

/// Reads `pipelines/*.toml`; a step that nobody provides is a fault of the file that names it.
pub fn read_pipelines(
    files: &Files,
    known_steps: &[&str],
) -> Result<BTreeMap<String, Pipeline>, Vec<FileFault>> {
    let mut pipelines = BTreeMap::new();
    let mut faults = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| is_pipeline(path)) {
        let name = path.trim_start_matches("pipelines/").trim_end_matches(".toml");
        match toml::from_str::<Pipeline>(text) {
            Ok(pipeline) => {
                let unknown =
                    pipeline.steps.iter().filter(|step| !known_steps.contains(&step.as_str()));
                faults.extend(unknown.map(|step| {
                    let line = line_of(text, step);
                    let known = known_steps.join(", ");
                    FileFault::new(
                        path,
                        line,
                        format!("no step is called `{step}`; there are {known}"),
                    )
                }));
                pipelines.insert(name.to_owned(), pipeline);
            }
            Err(error) => {
                let line = error.span().map_or(1, |span| {
                    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
                });
                faults.push(FileFault::new(path, line, error.message()));
            }
        }
    }
    if faults.is_empty() { Ok(pipelines) } else { Err(faults) }
}

/// Tests of tables lie in a folder of their own.
fn is_pipeline(path: &str) -> bool {
    path.starts_with("pipelines/") && !path.starts_with(super::declared::FOLDER)
}

fn line_of(text: &str, word: &str) -> usize {
    text.lines().position(|line| line.contains(word)).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_a_fault_with_its_line() {
        let text = "about = \"x\"\nsteps = [\n    \"build\",\n    \"biuld\",\n]\n";
        let files = Files::from([("pipelines/decide.toml".to_owned(), text.to_owned())]);
        let faults = read_pipelines(&files, &["build"]).unwrap_err();
        assert_eq!(
            faults.first().map(ToString::to_string).as_deref(),
            Some("pipelines/decide.toml:4: no step is called `biuld`; there are build")
        );
    }

    #[test]
    fn broken_toml_names_its_line() {
        let files =
            Files::from([("pipelines/a.toml".to_owned(), "about = \"x\"\nsteps = [\n".to_owned())]);
        let faults = read_pipelines(&files, &[]).unwrap_err();
        assert!(faults.iter().all(|fault| fault.path == "pipelines/a.toml" && fault.line >= 2));
    }
}
