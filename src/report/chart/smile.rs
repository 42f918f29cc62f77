//! Implied volatility over strikes, a line an expiry, each named at its end.

use plotters::prelude::{LineSeries, PathElement};
use plotters::style::text_anchor::{HPos, VPos};

use super::{
    Ink, LINE_WIDTH, TEXT_SIZE, below, draw, frame, rule_names, rules, ticks, widened, word,
};
use crate::report::ReportError;
use crate::report::input::Smile;
use crate::report::text;

/// The inks of the lines; further expiries are not drawn.
const INKS: [Ink; 3] = [Ink::Line, Ink::Second, Ink::Third];

/// The smiles of the nearest expiries, or nothing where there is no curve of two points.
pub(in crate::report) fn smile(smile: &Smile) -> Result<Option<String>, ReportError> {
    let mut curves = smile.curves.clone();
    for curve in &mut curves {
        curve.points.retain(|(strike, volatility)| strike.is_finite() && volatility.is_finite());
    }
    curves.retain(|curve| curve.points.len() >= 2);
    curves.sort_by_key(|curve| curve.expiry_date);
    curves.truncate(INKS.len());
    let all = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let (Some(strikes), Some(y)) =
        (widened(all().map(|(strike, _)| strike), 0.0), widened(all().map(|(_, v)| v), 0.15))
    else {
        return Ok(None);
    };
    // Room at the right for the names of the expiries.
    let x = strikes.start..strikes.end + (strikes.end - strikes.start) * 0.2;
    let name = format!("Implied volatility of {} over strikes", smile.symbol);
    let prices: Vec<(f64, String)> =
        ticks(&strikes, 5).into_iter().map(|price| (price, text::level(price, 0))).collect();
    draw((&name, 500), |area| {
        let mut chart = frame(area, (x.clone(), y.clone()))?;
        rules(&mut chart, (&x, &y))?;
        if strikes.contains(&smile.spot_usd) {
            let upright = vec![(smile.spot_usd, y.start), (smile.spot_usd, y.end)];
            chart.draw_series([PathElement::new(upright, Ink::Axis.stroke(3))])?;
            let (middle, top) = chart.backend_coord(&(smile.spot_usd, y.end));
            let label = format!("now {}", text::level(smile.spot_usd, 2));
            word(area, (&label, (middle, top - 10)), (Ink::Word, HPos::Center, VPos::Bottom))?;
        }
        let mut ends = Vec::new();
        for (curve, ink) in curves.iter().zip(INKS) {
            chart.draw_series(LineSeries::new(curve.points.clone(), ink.stroke(LINE_WIDTH)))?;
            if let Some(end) = curve.points.last() {
                let (right, height) = chart.backend_coord(end);
                ends.push((height, right, text::short_date(curve.expiry_date), ink));
            }
        }
        ends.sort_by_key(|(height, ..)| *height);
        let mut free = i32::MIN;
        for (height, right, label, ink) in ends {
            let height = height.max(free);
            free = height + TEXT_SIZE as i32;
            word(area, (&label, (right + 12, height)), (ink, HPos::Left, VPos::Center))?;
        }
        let print = |volatility| text::percent(volatility, 0);
        rule_names(area, &chart, (&x, &y, print))?;
        below(area, &chart, (y.start, &prices))
    })
    .map(Some)
}
