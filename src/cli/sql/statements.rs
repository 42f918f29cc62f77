//! Splitting text into statements at `;`, not at one inside quotes or comments.

/// The statements that say something. Each keeps its line: as many empty lines stand before it as
/// lines of the text do.
pub fn split(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement = String::new();
    let mut line = 0;
    let mut says = false;
    let mut inside = Inside::Code;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        if inside == Inside::Code && letter == ';' {
            if says {
                found.push(std::mem::take(&mut statement));
            }
            statement = "\n".repeat(line);
            says = false;
            continue;
        }
        let before = inside;
        inside = inside.after(letter, next);
        let comment = [Inside::Line, Inside::Block, Inside::BlockEnd];
        says |= !letter.is_whitespace() && !comment.contains(&before) && !comment.contains(&inside);
        line += usize::from(letter == '\n');
        statement.push(letter);
    }
    if says {
        found.push(statement);
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Text,
    Name,
    Line,
    Block,
    /// At the `/` of a `*/`.
    BlockEnd,
}

impl Inside {
    /// Where the text is after a letter, given the one behind it.
    fn after(self, letter: char, next: Option<char>) -> Self {
        match (self, letter, next) {
            (Self::Code, '\'', _) => Self::Text,
            (Self::Code, '"', _) => Self::Name,
            (Self::Code, '-', Some('-')) => Self::Line,
            (Self::Code, '/', Some('*')) => Self::Block,
            (Self::Text, '\'', _)
            | (Self::Name, '"', _)
            | (Self::Line, '\n', _)
            | (Self::BlockEnd, _, _) => Self::Code,
            (Self::Block, '*', Some('/')) => Self::BlockEnd,
            (inside, _, _) => inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_semicolon_of_code_ends_a_statement() {
        assert_eq!(split("select 1; select 2;\n"), ["select 1", " select 2"]);
        assert_eq!(split("select ';', \"a;b\" -- c;d\n;"), ["select ';', \"a;b\" -- c;d\n"]);
        assert_eq!(split("select /* ; */ 1"), ["select /* ; */ 1"]);
        assert_eq!(split("select 'it''s; so'; select 2").len(), 2);
    }

    #[test]
    fn comments_and_blanks_are_no_statement() {
        assert!(split(" ;; -- nothing\n /* at all */ ;").is_empty());
    }

    #[test]
    fn statements_keep_their_line() {
        let found = split("select 1;\nselect 2\nfrom t;");
        assert_eq!(found.last().map(String::as_str), Some("\nselect 2\nfrom t"));
    }
}
