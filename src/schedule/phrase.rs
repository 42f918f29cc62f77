//! The small phrases of `jobs.toml`: spans of time such as `90s` and moments such as `close-10m`.

use chrono::TimeDelta;

use super::job::{Anchor, Edge};

/// A span is at most this many days.
const SPAN_DAYS_MAX: i64 = 366;

/// A whole number and its unit: `s`, `m`, `h` or `d`. Zero is a span; a sign is not part of one.
pub(super) fn span(text: &str) -> Option<TimeDelta> {
    let digits_end = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(digits_end)?;
    let count: i64 = digits.parse().ok()?;
    let seconds_each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = count.checked_mul(seconds_each)?;
    (seconds <= SPAN_DAYS_MAX * 86_400).then(|| TimeDelta::seconds(seconds))
}

/// The largest unit that measures the span without a rest.
pub(super) fn span_text(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    [(86_400, "d"), (3_600, "h"), (60, "m")]
        .into_iter()
        .find(|(each, _)| seconds != 0 && seconds % each == 0)
        .map_or_else(|| format!("{seconds}s"), |(each, unit)| format!("{}{unit}", seconds / each))
}

/// `open` or `close`, with `+` or `-` and a span where it is not the moment itself.
pub(super) fn anchor(text: &str) -> Option<Anchor> {
    let (edge, rest) = match (text.strip_prefix("open"), text.strip_prefix("close")) {
        (Some(rest), _) => (Edge::Open, rest),
        (None, Some(rest)) => (Edge::Close, rest),
        (None, None) => return None,
    };
    let offset = match (rest.strip_prefix('+'), rest.strip_prefix('-')) {
        (Some(later), _) => span(later)?,
        (None, Some(earlier)) => -span(earlier)?,
        (None, None) if rest.is_empty() => TimeDelta::zero(),
        (None, None) => return None,
    };
    Some(Anchor { edge, offset })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(span("90s"), Some(TimeDelta::seconds(90)));
        assert_eq!(span("5m"), Some(TimeDelta::minutes(5)));
        assert_eq!(span("24h"), Some(TimeDelta::hours(24)));
        assert_eq!(span("0s"), Some(TimeDelta::zero()));
        for wrong in ["", "5", "m", "5 m", "-5m", "5min", "1.5h", "99999999999999999999s", "400d"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn anchors_have_an_edge_and_perhaps_an_offset() {
        let at = |edge, minutes| Some(Anchor { edge, offset: TimeDelta::minutes(minutes) });
        assert_eq!(anchor("open"), at(Edge::Open, 0));
        assert_eq!(anchor("open+5m"), at(Edge::Open, 5));
        assert_eq!(anchor("close-10m"), at(Edge::Close, -10));
        assert_eq!(anchor("close+1h"), at(Edge::Close, 60));
        for wrong in ["", "noon", "open5m", "open +5m", "close-", "open+-5m", "opening"] {
            assert_eq!(anchor(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_span_reads_back_from_its_text(seconds in 0i64..=SPAN_DAYS_MAX * 86_400) {
            let written = TimeDelta::seconds(seconds);
            prop_assert_eq!(span(&span_text(written)), Some(written));
        }

        #[test]
        fn an_anchor_reads_back_from_its_text(
            seconds in -86_400i64..=86_400,
            open in any::<bool>(),
        ) {
            let edge = if open { Edge::Open } else { Edge::Close };
            let written = Anchor { edge, offset: TimeDelta::seconds(seconds) };
            prop_assert_eq!(anchor(&written.to_string()), Some(written));
        }
    }
}
