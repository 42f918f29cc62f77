//! Reference files of the set: small CSVs, each row with its source and how long it is valid.

use chrono::{DateTime, NaiveDate};

use crate::broker::{Rate, ScheduledEvent};
use crate::exchange::{Certainty, DividendRow};
use crate::market::sessions::{Calendar, CalendarError, Override};
use crate::market::{Price, Symbol};
use crate::pipeline::{FileFault, Files};

const DIVIDENDS: &str = "reference/dividends.csv";
const DIVIDENDS_HEADER: &str = "symbol,ex_date,amount_usd,certainty,source,valid_through";
const RATES: &str = "reference/rates.csv";
const RATES_HEADER: &str = "maturity_date,rate,rate_error,source,valid_through";
const EVENTS: &str = "reference/events.csv";
const EVENTS_HEADER: &str = "event_name,event_at,source,valid_through";
/// A rate beyond this is a percentage that was meant as a fraction.
const RATE_MOST: f64 = 0.25;
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
    const ROW: &str = "symbol,ex_date,amount_usd,declared|estimated,\"source\",valid_through";
    rows_of(files, (DIVIDENDS, DIVIDENDS_HEADER, ROW), dividend)
}

/// Continuous risk-free rates by maturity, fractions a year.
pub fn rates(files: &Files) -> Result<Vec<Rate>, Vec<FileFault>> {
    const ROW: &str = "maturity_date,rate,rate_error or nothing,\"source\",valid_through, with \
                       rates as fractions a year (0.0375 is 3.75 %)";
    rows_of(files, (RATES, RATES_HEADER, ROW), rate)
}

/// Scheduled events that move markets.
pub fn events(files: &Files) -> Result<Vec<ScheduledEvent>, Vec<FileFault>> {
    const ROW: &str = "event_name,event_at such as 2026-12-09T19:00:00Z,\"source\",valid_through";
    rows_of(files, (EVENTS, EVENTS_HEADER, ROW), event)
}

/// What one row says: the fields before its quoted source, the source, and how long it is valid.
struct Fields<'a> {
    own: Vec<&'a str>,
    source: &'a str,
    valid_through: NaiveDate,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (own, rest) = line.split_once(",\"")?;
        let (source, valid_through) = rest.rsplit_once("\",")?;
        let valid_through = valid_through.trim().parse().ok()?;
        Some(Self { own: own.split(',').collect(), source, valid_through })
    }
}

/// Every row of a file, or every faulty one.
fn rows_of<T>(
    files: &Files,
    (name, header, wanted): (&str, &str, &str),
    read: impl Fn(&Fields<'_>) -> Option<T>,
) -> Result<Vec<T>, Vec<FileFault>> {
    let text = file(files, name)?;
    if text.lines().next() != Some(header) {
        let fault = format!("the header must be `{header}`");
        return Err(vec![FileFault::new(name, 1, fault)]);
    }
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        match Fields::of(line).and_then(|fields| read(&fields)) {
            Some(row) => rows.push(row),
            None => faults.push(FileFault::new(name, index + 1, format!("a row is {wanted}"))),
        }
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn rate(row: &Fields<'_>) -> Option<Rate> {
    let &[maturity_date, rate, rate_error] = row.own.as_slice() else { return None };
    let fraction = |text: &str| {
        text.parse::<f64>().ok().filter(|rate| rate.is_finite() && rate.abs() < RATE_MOST)
    };
    Some(Rate {
        maturity_date: maturity_date.parse().ok()?,
        rate: fraction(rate)?,
        rate_error: if rate_error.is_empty() { None } else { Some(fraction(rate_error)?) },
        source: row.source.to_owned(),
        valid_through: row.valid_through,
    })
}

fn event(row: &Fields<'_>) -> Option<ScheduledEvent> {
    let &[name, at] = row.own.as_slice() else { return None };
    Some(ScheduledEvent {
        event_name: Some(name).filter(|name| !name.is_empty())?.to_owned(),
        event_at: DateTime::parse_from_rfc3339(at).ok()?.to_utc(),
        source: row.source.to_owned(),
        valid_through: row.valid_through,
    })
}

fn dividend(row: &Fields<'_>) -> Option<DividendRow> {
    let mut fields = row.own.iter();
    let symbol = fields.next().filter(|symbol| !symbol.is_empty())?;
    let ex_date = fields.next()?.parse().ok()?;
    let amount = Price::from_f64(fields.next()?.parse().ok()?)?;
    let certainty = match *fields.next()? {
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
        valid_through: row.valid_through,
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
    fn a_rate_is_a_fraction_and_an_event_an_instant() {
        let read = |line: &str| {
            let text = format!("{RATES_HEADER}\n{line}\n");
            rates(&Files::from([(RATES.to_owned(), text)]))
        };
        let row = read("2027-01-15,0.0375,,\"a, b\",2026-12-31").unwrap();
        assert_eq!((row[0].rate, row[0].rate_error), (0.0375, None));
        assert_eq!(row[0].source, "a, b");
        for wrong in ["2027-01-15,3.75,,", "2027-01-15,NaN,,", "soon,0.03,,", "2027-01-15,0.03,"] {
            let faults = read(&format!("{wrong}\"s\",2026-12-31")).unwrap_err();
            assert!(faults[0].to_string().contains("0.0375 is 3.75 %"), "{wrong}");
        }
        let events = events(&crate::desk::files::shipped()).unwrap();
        assert!(events.iter().all(|event| event.event_at.date_naive() == event.valid_through));
        assert!(!events.is_empty());
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
