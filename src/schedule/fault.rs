//! What is wrong in a file, each with its place and its remedy.

use std::fmt;

/// One thing wrong in a file, said so that it can be mended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// The path of the key, such as `jobs.sweep.timeout`.
    pub key: String,
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, problem, remedy } = self;
        write!(f, "{file}:{line}: {key}: {problem}; {remedy}")
    }
}

/// Everything wrong in a file, in the order of its lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults in order, or nothing where there are none.
    pub fn of(mut faults: Vec<Fault>) -> Result<(), Self> {
        faults.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
        faults.dedup();
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}
