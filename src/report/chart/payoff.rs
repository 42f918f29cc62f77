//! A strategy's P&L against the price of its underlying.

use plotters::prelude::{AreaSeries, Circle, DashedLineSeries, LineSeries, PathElement};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Ink, LINE_WIDTH, below, draw, frame, rule_names, rules, ticks, widened, word};
use crate::report::ReportError;
use crate::report::input::Payoff;
use crate::report::text;

/// The payoff at expiry, shaded by its sign, today's curve dashed, and where the underlying stands;
/// nothing where there are fewer than two points.
pub(in crate::report) fn payoff(
    name: &str,
    payoff: &Payoff,
) -> Result<Option<String>, ReportError> {
    let known = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let (expiry, today) = (with_zeros(&known(&payoff.at_expiry)), known(&payoff.today));
    let pnl = expiry.iter().chain(&today).map(|(_, pnl)| *pnl).chain([0.0]);
    let (Some(x), Some(y)) = (widened(expiry.iter().map(|(at, _)| *at), 0.0), widened(pnl, 0.15))
    else {
        return Ok(None);
    };
    if expiry.len() < 2 {
        return Ok(None);
    }
    let spot = payoff.spot_usd;
    let prices: Vec<(f64, String)> =
        ticks(&x, 5).into_iter().map(|price| (price, text::level(price, 0))).collect();
    draw((name, 500), |area| {
        let mut chart = frame(area, (x.clone(), y.clone()))?;
        rules(&mut chart, (&x, &y))?;
        let gains = expiry.iter().map(|(at, pnl)| (*at, pnl.max(0.0)));
        chart.draw_series(AreaSeries::new(gains, 0.0, Ink::Gain.wash()))?;
        let losses = expiry.iter().map(|(at, pnl)| (*at, pnl.min(0.0)));
        chart.draw_series(AreaSeries::new(losses, 0.0, Ink::Loss.wash()))?;
        let zero = vec![(x.start, 0.0), (x.end, 0.0)];
        chart.draw_series([PathElement::new(zero, Ink::Axis.stroke(3))])?;
        chart.draw_series(LineSeries::new(expiry.clone(), Ink::Line.stroke(LINE_WIDTH)))?;
        let dashed = DashedLineSeries::new(today.clone(), 18, 12, Ink::Second.stroke(5));
        chart.draw_series(dashed)?;
        if x.contains(&spot) {
            let upright = vec![(spot, y.start), (spot, y.end)];
            chart.draw_series([PathElement::new(upright, Ink::Axis.stroke(3))])?;
            let stands = nearest(&today, spot).or_else(|| nearest(&expiry, spot));
            let dot = |at| Circle::new(at, 11, Ink::Second.reserved().filled());
            chart.draw_series(stands.map(|(_, pnl)| dot((spot, pnl))))?;
            let (middle, top) = chart.backend_coord(&(spot, y.end));
            let label = format!("now {}", text::level(spot, 2));
            word(area, (&label, (middle, top - 10)), (Ink::Word, HPos::Center, VPos::Bottom))?;
        }
        rule_names(area, &chart, (&x, &y, text::model_usd))?;
        below(area, &chart, (y.start, &prices))
    })
    .map(Some)
}

/// The points with one more wherever the line crosses zero, so that shading by sign meets there.
fn with_zeros(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for &(at, pnl) in points {
        if let Some(&(before, was)) = out.last()
            && was * pnl < 0.0
        {
            out.push((before + (at - before) * was / (was - pnl), 0.0));
        }
        out.push((at, pnl));
    }
    out
}

/// The curve's value at a price inside it, on the straight line between its neighbours.
fn nearest(points: &[(f64, f64)], at: f64) -> Option<(f64, f64)> {
    points.windows(2).find_map(|pair| match pair {
        [(x0, y0), (x1, y1)] if *x0 <= at && at <= *x1 && x1 > x0 => {
            Some((at, y0 + (y1 - y0) * (at - x0) / (x1 - x0)))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_gets_its_own_point() {
        let points = [(0.0, -10.0), (10.0, 10.0), (20.0, 10.0)];
        assert_eq!(with_zeros(&points), [(0.0, -10.0), (5.0, 0.0), (10.0, 10.0), (20.0, 10.0)]);
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        let empty = Payoff { spot_usd: 1.0, at_expiry: vec![], today: vec![] };
        assert_eq!(payoff("p", &empty).unwrap(), None);
        let unknown = Payoff { at_expiry: vec![(1.0, f64::NAN), (2.0, f64::NAN)], ..empty };
        assert_eq!(payoff("p", &unknown).unwrap(), None);
    }
}
