//! Reference files of the set: small CSVs, each row with its source and how long it is valid.

use crate::exchange::{Certainty, DividendRow};
use crate::market::sessions::{Calendar, CalendarError, Override};
use crate::market::{Price, Symbol};
use crate::pipeline::{FileFault, Files};

const DIVIDENDS: &str = "reference/dividends.csv";
const DIVIDENDS_HEADER: &str = "symbol,ex_date,amount_usd,certainty,source,valid_through";
const SESSION_OVERRIDES: &str = "reference/session_overrides.csv";

/// The exchange calendar with the overrides of the set: the one calendar of whatever runs on it.
pub fn calendar(files: &Files) -> Result<Calendar, Vec<FileFault>> {
    let text = file(files, SESSION_OVERRIDES)?;
    Override::parse(text).and_then(|rows| Calendar::new(&rows)).map_err(|error| {
        let (line, fault) = if let CalendarError::OverrideRow { line, fault } = error {
            (line, fault)
        } else {
            (1, error.to_string())
        };
        vec![FileFault::new(SESSION_OVERRIDES, line, fault)]
    })
}

fn file<'a>(files: &'a Files, name: &str) -> Result<&'a str, Vec<FileFault>> {
    let missing = || FileFault::new(name, 1, "is missing; `deltadesk init DIR` lays it out");
    files.get(name).map(String::as_str).ok_or_else(|| vec![missing()])
}

/// Dividends, every faulty row at once. A file that is not there, or has other columns, is a fault:
/// it does not mean that nothing is paid.
pub fn dividends(files: &Files) -> Result<Vec<DividendRow>, Vec<FileFault>> {
    let text = file(files, DIVIDENDS)?;
    if text.lines().next() != Some(DIVIDENDS_HEADER) {
        let fault = format!("the header must be `{DIVIDENDS_HEADER}`");
        return Err(vec![FileFault::new(DIVIDENDS, 1, fault)]);
    }
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        match dividend(line) {
            Some(row) => rows.push(row),
            None => faults.push(FileFault::new(
                DIVIDENDS,
                index + 1,
                "a row is symbol,ex_date,amount_usd,declared|estimated,\"source\",valid_through",
            )),
        }
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn dividend(line: &str) -> Option<DividendRow> {
    let (front, rest) = line.split_once('"')?;
    let (_, valid_through) = rest.rsplit_once("\",")?;
    let mut fields = front.split(',');
    let symbol = fields.next().filter(|symbol| !symbol.is_empty())?;
    let ex_date = fields.next()?.parse().ok()?;
    let amount = Price::from_f64(fields.next()?.parse().ok()?)?;
    let certainty = match fields.next()? {
        "declared" => Certainty::Declared,
        "estimated" => Certainty::Estimated,
        _ => return None,
    };
    Some(DividendRow {
        symbol: Symbol::new(symbol),
        ex_date,
        amount,
        certainty,
        source: "reference/dividends.csv",
        valid_through: valid_through.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_a_faulty_one_is_named() {
        let text = "symbol,ex_date,amount_usd,certainty,source,valid_through\n\
                    SPY,2026-03-20,1.70,estimated,\"a, b\",2026-03-20\n\
                    SPY,soon,1,declared,\"x\",2026-01-01\n";
        let files = Files::from([(DIVIDENDS.to_owned(), text.to_owned())]);
        let faults = dividends(&files).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, 3);
    }

    #[test]
    fn a_missing_file_and_another_header_are_faults_not_an_absence_of_dividends() {
        let missing = dividends(&Files::new()).unwrap_err();
        assert!(missing[0].to_string().starts_with("reference/dividends.csv:1: is missing"));
        let text = "symbol,amount_usd\n".to_owned();
        let renamed = dividends(&Files::from([(DIVIDENDS.to_owned(), text)])).unwrap_err();
        assert!(renamed[0].to_string().contains("the header must be"), "{}", renamed[0]);
        let empty = Files::from([(DIVIDENDS.to_owned(), format!("{DIVIDENDS_HEADER}\n"))]);
        assert_eq!(dividends(&empty), Ok(Vec::new()));
    }

    #[test]
    fn the_calendar_is_that_of_the_set_and_its_faults_name_file_and_line() {
        let mut files = crate::desk::files::shipped();
        let monday = "2026-03-02".parse().unwrap();
        let trades = |files: &Files| {
            calendar(files).unwrap().session(crate::market::sessions::Venue::Xnys, monday).unwrap()
        };
        assert!(trades(&files).is_some());
        let overrides = files.get_mut(SESSION_OVERRIDES).unwrap();
        overrides.push_str("XNYS,2026-03-02,,,closed,an announcement of a test,\n");
        assert!(trades(&files).is_none());
        files.get_mut(SESSION_OVERRIDES).unwrap().push_str("XNYS,soon,,,closed,a test,\n");
        let lines = files[SESSION_OVERRIDES].lines().count();
        let faults = calendar(&files).unwrap_err();
        assert_eq!((faults[0].path.as_str(), faults[0].line), (SESSION_OVERRIDES, lines));
    }
}
