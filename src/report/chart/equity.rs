//! The account's equity over its sessions.

use plotters::prelude::{AreaSeries, Circle, LineSeries, PathElement};
use plotters::style::Color;
use rust_decimal::prelude::ToPrimitive;

use super::{Ink, LINE_WIDTH, below, draw, frame, rule_names, rules, widened};
use crate::report::ReportError;
use crate::report::input::EquityPoint;
use crate::report::text;

/// The curve over its first value, or nothing where there are fewer than two sessions.
pub(in crate::report) fn equity(points: &[EquityPoint]) -> Result<Option<String>, ReportError> {
    let values: Vec<(f64, f64)> = points
        .iter()
        .enumerate()
        .filter_map(|(n, point)| Some((n as f64, point.equity_usd.to_f64()?)))
        .collect();
    let ([(_, start), ..], [first, .., last]) = (values.as_slice(), points) else {
        return Ok(None);
    };
    let Some(y) = widened(values.iter().map(|(_, equity)| *equity), 0.12) else {
        return Ok(None);
    };
    // Room at the left for the names of the rules, at the right for the last point's dot.
    let end = values.len() as f64 - 1.0;
    let x = -end * 0.22..end * 1.02;
    let name = format!(
        "Equity from {} on {} to {} on {}",
        text::usd(first.equity_usd),
        text::date(first.session_date),
        text::usd(last.equity_usd),
        text::date(last.session_date),
    );
    let dates = [
        (0.0, text::short_date(first.session_date)),
        (end * 1.02, text::short_date(last.session_date)),
    ];
    let (last_value, start) = (values.last().copied(), *start);
    draw((&name, 520), |area| {
        let mut chart = frame(area, (x.clone(), y.clone()))?;
        rules(&mut chart, (&x, &y))?;
        let base = vec![(x.start, start), (x.end, start)];
        chart.draw_series([PathElement::new(base, Ink::Axis.stroke(3))])?;
        chart.draw_series(AreaSeries::new(values.clone(), start, Ink::Line.wash()))?;
        chart.draw_series(LineSeries::new(values.clone(), Ink::Line.stroke(LINE_WIDTH)))?;
        let dot = |at| Circle::new(at, 12, Ink::Line.reserved().filled());
        chart.draw_series(last_value.map(dot))?;
        rule_names(area, &chart, (&x, &y, text::model_usd_level))?;
        below(area, &chart, (y.start, &dates))
    })
    .map(Some)
}
