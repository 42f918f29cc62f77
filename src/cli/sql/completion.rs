//! The Tab key of the shell: tables, functions and commands.

use std::collections::BTreeSet;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// Words that a statement of the shell consists of beside names.
const KEYWORDS: [&str; 24] = [
    "and", "as", "asc", "between", "by", "case", "count", "cross", "desc", "distinct", "explain",
    "from", "group", "having", "in", "is", "join", "limit", "on", "order", "select", "show",
    "using", "where",
];

/// What a word may be completed to.
pub struct Words(BTreeSet<String>);

impl Words {
    /// These names and the words of SQL.
    pub fn with(names: impl IntoIterator<Item = String>) -> Self {
        let keywords = KEYWORDS.iter().map(|word| (*word).to_owned());
        Self(names.into_iter().chain(keywords).collect())
    }

    /// Where the word before the cursor begins, and what it may become.
    fn after(&self, typed: &str) -> (usize, Vec<String>) {
        let in_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '\\');
        let start = typed
            .char_indices()
            .rfind(|(_, letter)| !in_word(*letter))
            .map_or(0, |(at, letter)| at + letter.len_utf8());
        let word = typed.get(start..).unwrap_or_default().to_lowercase();
        if word.is_empty() {
            return (start, Vec::new());
        }
        let fits = self.0.iter().filter(|name| name.starts_with(&word));
        (start, fits.cloned().collect())
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.after(line.get(..at).unwrap_or(line)))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Validator for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_completed_from_where_it_begins() {
        let names = ["gold.signals", "gold.smile", "bsm", "\\d"].map(str::to_owned);
        let words = Words::with(names);
        let both = vec!["gold.signals".to_owned(), "gold.smile".to_owned()];
        assert_eq!(words.after("select * from gold.s"), (14, both));
        assert_eq!(words.after("select (BS"), (8, vec!["bsm".to_owned()]));
        assert_eq!(words.after("\\"), (0, vec!["\\d".to_owned()]));
        assert_eq!(words.after("select é, "), (11, Vec::new()));
        assert_eq!(words.after(""), (0, Vec::new()));
    }
}
