//! Reference files of the set: small CSVs, each row with its source and how long it is valid.

use crate::exchange::{Certainty, DividendRow};
use crate::market::{Price, Symbol};
use crate::pipeline::{FileFault, Files};

const DIVIDENDS: &str = "reference/dividends.csv";

/// Dividends, every faulty row at once.
pub fn dividends(files: &Files) -> Result<Vec<DividendRow>, Vec<FileFault>> {
    let text = files.get(DIVIDENDS).map_or("", String::as_str);
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
}
