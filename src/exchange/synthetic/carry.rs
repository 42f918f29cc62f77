//! Rates, dividends and forwards.
//!
//! The instantaneous rate is a known function of the date, so the curve rolls down along itself
//! and a discounted price drifts nowhere. Dividends are known amounts on known dates. A forward is
//! `S growth - sum of D growth from its ex-date`: the path's own expectation, exactly.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate, Weekday};

use crate::exchange::source::{Certainty, DividendRow};
use crate::market::Price;
use crate::market::sessions::{Calendar, CalendarError, Venue, third_friday_expiry};

use super::SOURCE;
use super::etf::{Etf, PerEtf};
use super::streams::{Purpose, noise};

const YEAR_SECONDS: f64 = 31_536_000.0;
/// Continuous rate far ahead, and what it is above that now, and the years in which the
/// difference falls to a third.
const RATE_FAR: f64 = 0.034;
const RATE_NEAR_EXCESS: f64 = 0.003;
const RATE_DECAY_YEARS: f64 = 0.75;
/// The drop is made this long before the stock exchange opens: 04:00 in New York.
const EX_BEFORE_OPEN_SECONDS: i64 = 19_800;
/// A dividend counts as declared this many days before its ex-date.
const DECLARED_DAYS: u64 = 14;
/// Half the range of a dividend's amount around its ordinary one.
const AMOUNT_RANGE: f64 = 0.05;

/// A dividend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dividend {
    pub ex_date: NaiveDate,
    /// Seconds of the Unix epoch at which the price drops.
    pub ex_at: i64,
    /// USD a share.
    pub amount: f64,
}

/// The curve and all dividends of the market's span.
#[derive(Debug, Clone)]
pub(super) struct Carry {
    /// The curve's origin, seconds.
    origin: i64,
    dividends: PerEtf<Vec<Dividend>>,
}

impl Carry {
    pub fn new(
        calendar: &Calendar,
        seed: u64,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<Self, CalendarError> {
        let origin = calendar.next_session(Venue::Xnys, from)?.open.timestamp();
        let mut dividends = PerEtf::<Vec<Dividend>>::default();
        for year in from.year()..=to.year() {
            for month in [3, 6, 9, 12] {
                for etf in Etf::ALL {
                    let date = ex_date(calendar, etf, (year, month))?;
                    if from < date && date <= to {
                        dividends.get_mut(etf).push(dividend(calendar, seed, (etf, date))?);
                    }
                }
            }
        }
        Ok(Self { origin, dividends })
    }

    /// Dividends that go ex after `from` and not after `to` (seconds).
    pub fn between(&self, etf: Etf, from: i64, to: i64) -> impl Iterator<Item = &Dividend> {
        self.dividends
            .get(etf)
            .iter()
            .filter(move |dividend| from < dividend.ex_at && dividend.ex_at <= to)
    }

    /// Log growth at the risk-free rate between two instants.
    pub fn log_growth(&self, from: i64, to: i64) -> f64 {
        self.integral(to) - self.integral(from)
    }

    /// Continuous rate a year of 365 days between two instants; the instantaneous one where they
    /// are the same.
    pub fn rate(&self, from: i64, to: i64) -> f64 {
        let to = to.max(from + 1);
        self.log_growth(from, to) * YEAR_SECONDS / (to - from) as f64
    }

    pub fn forward(&self, etf: Etf, spot: f64, (from, to): (i64, i64)) -> f64 {
        let paid: f64 = self
            .between(etf, from, to)
            .map(|dividend| dividend.amount * libm::exp(self.log_growth(dividend.ex_at, to)))
            .sum();
        spot * libm::exp(self.log_growth(from, to)) - paid
    }

    fn integral(&self, at: i64) -> f64 {
        let years = (at - self.origin) as f64 / YEAR_SECONDS;
        let near = -libm::expm1(-years / RATE_DECAY_YEARS) * RATE_DECAY_YEARS;
        RATE_FAR * years + RATE_NEAR_EXCESS * near
    }

    /// The published rows: a year back and all of the year ahead.
    pub fn rows(&self, today: NaiveDate) -> Vec<DividendRow> {
        const YEAR: Days = Days::new(366);
        let mut rows = BTreeMap::new();
        for etf in Etf::ALL {
            for dividend in self.dividends.get(etf) {
                let near = dividend.ex_date + YEAR > today && dividend.ex_date < today + YEAR;
                if let Some(amount) = Price::from_f64(dividend.amount).filter(|_| near) {
                    let declared = dividend.ex_date <= today + Days::new(DECLARED_DAYS);
                    let certainty =
                        if declared { Certainty::Declared } else { Certainty::Estimated };
                    let row = DividendRow {
                        symbol: etf.symbol(),
                        ex_date: dividend.ex_date,
                        amount,
                        certainty,
                        source: SOURCE,
                        valid_through: dividend.ex_date,
                    };
                    rows.insert((etf.name(), dividend.ex_date), row);
                }
            }
        }
        rows.into_values().collect()
    }
}

/// SPY goes ex on the third Friday of the quarter's month, QQQ on the Monday after it, IWM on the
/// Tuesday before it: as their issuers have done of late.
fn ex_date(
    calendar: &Calendar,
    etf: Etf,
    (year, month): (i32, u32),
) -> Result<NaiveDate, CalendarError> {
    let friday = third_friday_expiry(calendar, year, month)?;
    match etf {
        Etf::Spy => Ok(friday),
        Etf::Qqq => Ok(calendar.next_session(Venue::Xnys, friday)?.session_date),
        Etf::Iwm => {
            let wednesday = friday.week(Weekday::Wed).first_day();
            Ok(calendar.previous_session(Venue::Xnys, wednesday)?.session_date)
        }
    }
}

fn dividend(
    calendar: &Calendar,
    seed: u64,
    (etf, ex_date): (Etf, NaiveDate),
) -> Result<Dividend, CalendarError> {
    let ordinary = match etf {
        Etf::Spy => 1.85,
        Etf::Qqq => 0.75,
        Etf::Iwm => 0.68,
    };
    let open = calendar.session_on(Venue::Xnys, ex_date)?.open.timestamp();
    let place = (etf.conid().0, i64::from(ex_date.num_days_from_ce()));
    let [draw, ..] = noise(seed, Purpose::Dividends, place);
    let exact = ordinary * (1.0 + AMOUNT_RANGE * (2.0 * draw - 1.0));
    let amount = libm::round(exact * 1_000.0) / 1_000.0;
    Ok(Dividend { ex_date, ex_at: open - EX_BEFORE_OPEN_SECONDS, amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carry() -> (Calendar, Carry) {
        let calendar = Calendar::shipped().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let carry = Carry::new(&calendar, 1, (day("2026-01-02"), day("2027-12-31"))).unwrap();
        (calendar, carry)
    }

    #[test]
    fn ex_dates_follow_the_issuers_habits() {
        let (_, carry) = carry();
        let first = |etf| carry.dividends.get(etf)[0].ex_date.to_string();
        assert_eq!(first(Etf::Spy), "2026-03-20");
        assert_eq!(first(Etf::Qqq), "2026-03-23");
        assert_eq!(first(Etf::Iwm), "2026-03-17");
        assert_eq!(carry.dividends.get(Etf::Spy).len(), 8);
    }

    #[test]
    fn rates_lie_where_they_should_and_compound() {
        let (_, carry) = carry();
        let year = 31_536_000;
        let rate = carry.rate(carry.origin, carry.origin + year / 4);
        assert!((rate - 0.0365).abs() < 0.001, "{rate}");
        let halves = carry.log_growth(carry.origin, carry.origin + year / 2)
            + carry.log_growth(carry.origin + year / 2, carry.origin + year);
        assert!((halves - carry.log_growth(carry.origin, carry.origin + year)).abs() < 1e-15);
    }

    #[test]
    fn a_forward_loses_each_dividend_on_its_way() {
        let (_, carry) = carry();
        let ex = carry.dividends.get(Etf::Spy)[0];
        let before = carry.forward(Etf::Spy, 690.0, (ex.ex_at - 86_400, ex.ex_at - 1));
        let after = carry.forward(Etf::Spy, 690.0, (ex.ex_at - 86_400, ex.ex_at));
        assert!((before - after - ex.amount).abs() < 1e-4);
        let dropped = carry.forward(Etf::Spy, 690.0 - ex.amount, (ex.ex_at, ex.ex_at + 9));
        let standing = carry.forward(Etf::Spy, 690.0, (ex.ex_at - 1, ex.ex_at + 9));
        assert!((dropped - standing).abs() < 1e-5);
    }
}
