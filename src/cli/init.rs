//! `deltadesk init DIR`.

use std::path::PathBuf;

use clap::Args;

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// The folder to lay out; it may exist, without the files that init writes.
    dir: PathBuf,
}

impl Typed {
    pub fn run(self) -> anyhow::Result<()> {
        let written = crate::desk::files::lay_out(&self.dir)?;
        println!("wrote {written} files to {}", self.dir.display());
        println!("next: edit {}, then", self.dir.join("deltadesk.toml").display());
        println!("  deltadesk check --home {}", self.dir.display());
        Ok(())
    }
}
