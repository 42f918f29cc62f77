//! Charts as inline SVG. They are drawn at three times the width of a phone, since the backend
//! knows whole pixels only, and take their colours from the page: a reserved colour stands for
//! each ink and is replaced by the page's variable, so that light and dark are the page's own
//! affair.

mod equity;
mod payoff;
mod smile;

pub(super) use equity::equity;
pub(super) use payoff::payoff;
pub(super) use smile::smile;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, DrawingArea, IntoDrawingArea, PathElement, RGBColor,
    SVGBackend, ShapeStyle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont};

use super::ReportError;

/// Pixels of the drawing, three to one of a phone's.
const WIDTH: u32 = 1080;
const TEXT_SIZE: u32 = 46;
const RULES_MAX: usize = 4;
const LINE_WIDTH: u32 = 6;
/// A word nearer than this to an edge does not fit centred.
const EDGE: i32 = 70;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Plane>;
type Drawn = Result<(), plotters::drawing::DrawingAreaErrorKind<std::io::Error>>;

/// What a stroke, an area or a word is drawn with: a variable of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Line,
    Grid,
    Axis,
    Word,
    Gain,
    Loss,
    Second,
    Third,
}

impl Ink {
    const ALL: [Self; 8] = [
        Self::Line,
        Self::Grid,
        Self::Axis,
        Self::Word,
        Self::Gain,
        Self::Loss,
        Self::Second,
        Self::Third,
    ];

    const fn variable(self) -> &'static str {
        match self {
            Self::Line => "var(--line)",
            Self::Grid => "var(--rule)",
            Self::Axis => "var(--axis)",
            Self::Word => "var(--muted)",
            Self::Gain => "var(--gain)",
            Self::Loss => "var(--loss)",
            Self::Second => "var(--second)",
            Self::Third => "var(--third)",
        }
    }

    const fn reserved(self) -> RGBColor {
        RGBColor(0xFE, 0xED, self as u8)
    }

    fn stroke(self, width: u32) -> ShapeStyle {
        self.reserved().stroke_width(width)
    }

    fn wash(self) -> ShapeStyle {
        self.reserved().mix(0.16).filled()
    }
}

/// A drawing as SVG with a name for those who cannot see it.
fn draw(
    (name, height): (&str, u32),
    content: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        content(&area).and_then(|()| area.present()).map_err(|fault| ReportError::Chart {
            chart: name.to_owned(),
            fault: fault.to_string(),
        })?;
    }
    for ink in Ink::ALL {
        let RGBColor(r, g, b) = ink.reserved();
        svg = svg.replace(&format!("#{r:02X}{g:02X}{b:02X}"), ink.variable());
    }
    let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    Ok(svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{name}\" "), 1))
}

/// An empty chart over the ranges, with room for words below and above.
fn frame<'a, 'b>(
    area: &'a Area<'b>,
    (x, y): (Range<f64>, Range<f64>),
) -> Result<Chart<'a, 'b>, plotters::drawing::DrawingAreaErrorKind<std::io::Error>> {
    ChartBuilder::on(area).margin_top(72).margin_bottom(72).build_cartesian_2d(x, y)
}

/// The range with a share of its width added on both sides; a range of no width gets one.
fn widened(values: impl Iterator<Item = f64>, share: f64) -> Option<Range<f64>> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if !(low.is_finite() && high.is_finite()) {
        return None;
    }
    let width = if high > low { high - low } else { high.abs().max(1.0) * 0.02 };
    Some(low - width * share..high + width * share)
}

/// Round numbers inside a range.
fn ticks(range: &Range<f64>, most: usize) -> Vec<f64> {
    RangedCoordf64::from(range.clone()).key_points(most)
}

fn word(area: &Area<'_>, (text, at): (&str, (i32, i32)), (ink, h, v): (Ink, HPos, VPos)) -> Drawn {
    let style = ("sans-serif", TEXT_SIZE).into_font().color(&ink.reserved()).pos(Pos::new(h, v));
    area.draw(&Text::new(text.to_owned(), at, style))
}

/// Rules across the chart at round values.
fn rules(chart: &mut Chart<'_, '_>, (x, y): (&Range<f64>, &Range<f64>)) -> Drawn {
    for value in ticks(y, RULES_MAX) {
        let path = vec![(x.start, value), (x.end, value)];
        chart.draw_series([PathElement::new(path, Ink::Grid.stroke(2))])?;
    }
    Ok(())
}

/// The names of the rules at their left ends; drawn last, so that nothing crosses them.
fn rule_names(
    area: &Area<'_>,
    chart: &Chart<'_, '_>,
    (x, y, print): (&Range<f64>, &Range<f64>, impl Fn(f64) -> String),
) -> Drawn {
    for value in ticks(y, RULES_MAX) {
        let (left, height) = chart.backend_coord(&(x.start, value));
        let place = (left, height - 10);
        word(area, (&print(value), place), (Ink::Word, HPos::Left, VPos::Bottom))?;
    }
    Ok(())
}

/// Words below the chart at their values; those near an edge stand inside it.
fn below(area: &Area<'_>, chart: &Chart<'_, '_>, (floor, words): (f64, &[(f64, String)])) -> Drawn {
    for (value, text) in words {
        let (x, bottom) = chart.backend_coord(&(*value, floor));
        let anchor = match x {
            ..EDGE => HPos::Left,
            near if near > WIDTH as i32 - EDGE => HPos::Right,
            _ => HPos::Center,
        };
        word(area, (text, (x, bottom + 16)), (Ink::Word, anchor, VPos::Top))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_the_pages() {
        let svg = draw(("a \"name\" & more", 100), |area| {
            word(area, ("1 < 2", (10, 10)), (Ink::Gain, HPos::Left, VPos::Top))
        })
        .unwrap();
        assert!(svg.contains("aria-label=\"a &quot;name&quot; &amp; more\""), "{svg}");
        assert!(svg.contains("var(--gain)"), "{svg}");
        assert!(svg.contains("1 &lt; 2"), "{svg}");
        assert!(!svg.contains("#FEED"), "{svg}");
    }

    #[test]
    fn ranges_have_a_width_and_nothing_has_no_range() {
        assert_eq!(widened([100.0].into_iter(), 0.5), Some(99.0..101.0));
        assert_eq!(widened([0.0, 10.0].into_iter(), 0.1), Some(-1.0..11.0));
        assert_eq!(widened(std::iter::empty(), 0.1), None);
        assert_eq!(widened([f64::NEG_INFINITY].into_iter(), 0.1), None);
    }
}
