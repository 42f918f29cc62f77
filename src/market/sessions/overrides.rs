//! Sessions that no rule can know: closures, early closes, and the few dates on which the calendar
//! keeps to the reference calendar. One row each in `reference/session_overrides.csv`.
//!
//! The file is strict: its header is fixed, each row names a source, and a fault is an error with
//! its line. Fields may be quoted as in RFC 4180; a field does not span lines.

use chrono::{DateTime, NaiveDate, Utc};

use super::{CalendarError, Venue};

/// The file that ships with the program.
const SHIPPED: &str = include_str!("../../../reference/session_overrides.csv");
const HEADER: &str = "venue,session_date,open,close,kind,source,note";

/// Why a session departs from the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverrideKind {
    /// The exchange announced a closure.
    Closed,
    /// The exchange announced other hours.
    Hours,
    /// The reference calendar of 2015 to 2025 departs from the rule, and no exchange notice that
    /// would settle it is at hand.
    Reference,
}

/// One date of one venue that departs from the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    pub venue: Venue,
    pub session_date: NaiveDate,
    /// Open and close; `None` when the venue is closed.
    pub hours: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub kind: OverrideKind,
    /// Who said so, where, and in which words.
    pub source: String,
    pub note: String,
}

impl Override {
    /// The rows that ship with the program.
    pub fn shipped() -> Result<Vec<Self>, CalendarError> {
        Self::parse(SHIPPED)
    }

    /// Reads a file in the format of `reference/session_overrides.csv`.
    pub fn parse(text: &str) -> Result<Vec<Self>, CalendarError> {
        let mut lines = text.lines().enumerate();
        match lines.next() {
            Some((_, HEADER)) => {}
            _ => return Err(fault(1, format!("the header must be `{HEADER}`"))),
        }
        lines.map(|(index, line)| parse_row(line).map_err(|text| fault(index + 1, text))).collect()
    }
}

fn fault(line: usize, fault: String) -> CalendarError {
    CalendarError::OverrideRow { line, fault }
}

fn parse_row(line: &str) -> Result<Override, String> {
    let fields = split_fields(line)?;
    let [venue, session_date, open, close, kind, source, note] = fields.as_slice() else {
        return Err(format!("{} fields instead of 7", fields.len()));
    };
    if source.is_empty() {
        return Err("the source is missing".to_owned());
    }
    let kind = match kind.as_str() {
        "closed" => OverrideKind::Closed,
        "hours" => OverrideKind::Hours,
        "reference" => OverrideKind::Reference,
        other => return Err(format!("kind `{other}`: use closed, hours or reference")),
    };
    let hours = match (kind, open.is_empty(), close.is_empty()) {
        (OverrideKind::Closed, true, true) => None,
        (OverrideKind::Hours | OverrideKind::Reference, false, false) => {
            Some((parse_instant(open)?, parse_instant(close)?))
        }
        (OverrideKind::Closed | OverrideKind::Hours | OverrideKind::Reference, _, _) => {
            return Err("a closure has neither open nor close, any other row has both".to_owned());
        }
    };
    Ok(Override {
        venue: venue.parse().map_err(|error: CalendarError| error.to_string())?,
        session_date: session_date
            .parse()
            .map_err(|error| format!("session_date `{session_date}`: {error}"))?,
        hours,
        kind,
        source: source.clone(),
        note: note.clone(),
    })
}

fn parse_instant(text: &str) -> Result<DateTime<Utc>, String> {
    text.parse().map_err(|error| format!("`{text}` is not an instant: {error}"))
}

/// Splits one line at its commas; inside quotes a comma is text, and two quotes are one.
fn split_fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quoted) {
            ('"', true) if letters.next_if_eq(&'"').is_some() => field.push('"'),
            ('"', true) => quoted = false,
            ('"', false) if field.is_empty() => quoted = true,
            ('"', false) => return Err("a quote inside an unquoted field".to_owned()),
            (',', false) => fields.push(std::mem::take(&mut field)),
            (other, _) => field.push(other),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(row: &str) -> String {
        Override::parse(&format!("{HEADER}\n{row}\n")).unwrap_err().to_string()
    }

    #[test]
    fn a_row_reads_with_quoted_commas_and_quotes() {
        let text =
            format!("{HEADER}\nXNYS,2012-10-29,,,closed,\"NYSE: \"\"closed, all\"\"\",storm\n");
        let rows = Override::parse(&text).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].source, "NYSE: \"closed, all\"");
        assert_eq!((rows[0].hours, rows[0].kind), (None, OverrideKind::Closed));
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        let expected = [
            ("XNYS,2012-10-29,,,closed,s", "line 2: 6 fields instead of 7"),
            ("NYSE,2012-10-29,,,closed,s,n", "`NYSE` is not a venue"),
            ("XNYS,2012-13-29,,,closed,s,n", "session_date `2012-13-29`"),
            ("XNYS,2012-10-29,,,closed,,n", "the source is missing"),
            ("XNYS,2012-10-29,,,shut,s,n", "kind `shut`"),
            ("XNYS,2012-10-29,,,hours,s,n", "any other row has both"),
            ("XNYS,2012-10-29,2012-10-29T13:30:00Z,,closed,s,n", "neither open nor close"),
            ("XNYS,2012-10-29,9:30,16:00,hours,s,n", "`9:30` is not an instant"),
            ("XNYS,2012-10-29,,,closed,\"s,n", "a quote is not closed"),
            ("XNYS,2012-10-29,,,closed,s\"t\",n", "a quote inside an unquoted field"),
        ];
        for (row, fault) in expected {
            let text = faults(row);
            assert!(text.contains(fault), "{text}");
        }
        assert!(Override::parse("venue\n").unwrap_err().to_string().contains("the header must be"));
    }

    #[test]
    fn the_shipped_rows_are_ordered_and_each_has_a_source() {
        let rows = Override::shipped().unwrap();
        let keys: Vec<_> = rows.iter().map(|row| (row.session_date, row.venue)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!(rows.iter().all(|row| row.source.len() > 20));
    }
}
