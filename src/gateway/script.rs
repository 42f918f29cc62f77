//! A script of faults: what happens when. A fault begins at a second of the wall since the gateway
//! began, so that a script means the same at every speed, or with the nth time that something
//! happens, so that it hits the same moment on every machine.
//!
//! The script and the list of what has happened are all there is: what holds at an instant is read
//! off them, and nothing else is remembered.

use serde::Deserialize;

use super::by_hand::ByHand;
use super::faults::{Edge, Fault};

/// What a fault may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A client is welcomed.
    Connection,
    /// An order is taken; the client has not been told yet.
    OrderTaken,
    /// A change of an order is taken.
    OrderChanged,
    /// An order's cancel is asked for.
    CancelAsked,
    /// An order is filled, wholly or partly; nobody has been told yet.
    Fill,
}

/// What has happened, with its second of the wall, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History(Vec<(Happening, f64)>);

impl History {
    pub fn add(&mut self, what: Happening, at: f64) {
        self.0.push((what, at));
    }

    /// When something happened for the nth time, counted from 1.
    fn nth(&self, what: Happening, nth: usize) -> Option<f64> {
        let of_kind = self.0.iter().filter(|(happened, _)| *happened == what);
        of_kind.map(|(_, at)| *at).nth(nth.checked_sub(1)?)
    }

    fn count(&self, what: Happening) -> usize {
        self.0.iter().filter(|(happened, _)| *happened == what).count()
    }
}

/// One fault of a script, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Fault,
    at_seconds: Option<f64>,
    on: Option<Happening>,
    nth: Option<usize>,
    after_seconds: Option<f64>,
    for_seconds: Option<f64>,
    by_seconds: Option<f64>,
    order: Option<ByHand>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenScript {
    #[serde(default, rename = "fault")]
    faults: Vec<Written>,
}

/// When a fault begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    At(f64),
    On { what: Happening, nth: usize, after: f64 },
}

/// One fault of a script.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    kind: Fault,
    start: Start,
    lasts: f64,
    /// Of a clock that is told wrong.
    by: f64,
    order: Option<ByHand>,
}

/// What happens when, from a TOML file of `[[fault]]` tables.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Script {
    entries: Vec<Entry>,
}

/// The text is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("{0}")]
    Toml(String),
    #[error("fault {place}: {key} = {value} is not a number of seconds, zero or more")]
    Seconds { place: usize, key: &'static str, value: String },
    #[error("fault {place}: say either at_seconds, or on with nth and after_seconds")]
    Start { place: usize },
    #[error("fault {place}: {key} {why}")]
    Key { place: usize, key: &'static str, why: &'static str },
}

/// The beginning or end of one part of one fault of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    entry: usize,
    part: usize,
    pub fault: Fault,
    pub edge: Edge,
}

/// A part of a fault in time. Seconds of the wall.
#[derive(Debug, Clone, Copy)]
struct Span {
    entry: usize,
    part: usize,
    fault: Fault,
    begins: f64,
    ends: f64,
    by: f64,
}

impl Script {
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let written: WrittenScript =
            toml::from_str(text).map_err(|error| ScriptError::Toml(error.to_string()))?;
        let faults = written.faults.into_iter().enumerate();
        let entries = faults.map(|(place, one)| one.checked(place + 1));
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// Until when the fault holds at an instant, where it does.
    pub fn holds(&self, fault: Fault, history: &History, at: f64) -> Option<f64> {
        self.spans(history)
            .filter(|span| span.fault == fault && span.begins <= at && at < span.ends)
            .map(|span| span.ends)
            .reduce(f64::max)
    }

    /// How far the gateway's clock is told wrong, seconds.
    pub fn skew(&self, history: &History, at: f64) -> f64 {
        self.spans(history)
            .filter(|span| span.fault == Fault::ClockSkew && span.begins <= at && at < span.ends)
            .map(|span| span.by)
            .sum()
    }

    /// What has begun and ended up to and with an instant, in order of time.
    pub fn passed(&self, history: &History, at: f64) -> Vec<Mark> {
        let mut passed: Vec<(f64, Mark)> = self
            .spans(history)
            .flat_map(|span| {
                let Span { entry, part, fault, begins, ends, .. } = span;
                [(begins, Edge::Begins), (ends, Edge::Ends)]
                    .map(|(at, edge)| (at, Mark { entry, part, fault, edge }))
            })
            .filter(|(passes, _)| *passes <= at)
            .collect();
        passed.sort_by(|one, other| one.0.total_cmp(&other.0));
        passed.into_iter().map(|(_, mark)| mark).collect()
    }

    /// Whether the script waits for something to happen once more: what it does not wait for need
    /// not be remembered.
    pub fn awaits(&self, what: Happening, history: &History) -> bool {
        let count = history.count(what);
        self.entries.iter().any(|entry| match entry.start {
            Start::On { what: awaited, nth, .. } => awaited == what && nth > count,
            Start::At(_) => false,
        })
    }

    /// Whether it holds such a fault at any time.
    pub fn has(&self, fault: Fault) -> bool {
        self.entries.iter().any(|entry| entry.kind == fault)
    }

    /// The order by hand that a fault is about.
    pub fn order_of(&self, mark: Mark) -> Option<&ByHand> {
        self.entries.get(mark.entry)?.order.as_ref()
    }

    /// The parts of all faults whose beginning is known.
    fn spans<'a>(&'a self, history: &'a History) -> impl Iterator<Item = Span> + 'a {
        self.entries.iter().enumerate().flat_map(|(place, entry)| {
            let begins = match entry.start {
                Start::At(at) => Some(at),
                Start::On { what, nth, after } => history.nth(what, nth).map(|at| at + after),
            };
            let by_itself = [(entry.kind, 0.0, 1.0)];
            let parts = entry.kind.parts().map_or_else(|| by_itself.to_vec(), <[_]>::to_vec);
            let spans = parts.into_iter().enumerate().filter_map(move |(part, shares)| {
                let (fault, from, to) = shares;
                let begins = begins?;
                Some(Span {
                    entry: place,
                    part,
                    fault,
                    begins: begins + entry.lasts * from,
                    ends: begins + entry.lasts * to,
                    by: entry.by,
                })
            });
            spans.collect::<Vec<_>>()
        })
    }
}

impl Written {
    fn checked(self, place: usize) -> Result<Entry, ScriptError> {
        for (key, value) in [
            ("at_seconds", self.at_seconds),
            ("after_seconds", self.after_seconds),
            ("for_seconds", self.for_seconds),
        ] {
            if let Some(value) = value.filter(|value| !value.is_finite() || *value < 0.0) {
                return Err(ScriptError::Seconds { place, key, value: value.to_string() });
            }
        }
        let wrong = |key, why| Err(ScriptError::Key { place, key, why });
        let start = match (self.at_seconds, self.on) {
            (Some(at), None) => {
                if self.nth.is_some() || self.after_seconds.is_some() {
                    return wrong("nth, after_seconds", "mean nothing with at_seconds");
                }
                Start::At(at)
            }
            (None, Some(what)) => {
                let (nth, after) = (self.nth.unwrap_or(1), self.after_seconds.unwrap_or(0.0));
                if nth == 0 {
                    return wrong("nth", "counts from 1");
                }
                Start::On { what, nth, after }
            }
            (Some(_), Some(_)) | (None, None) => return Err(ScriptError::Start { place }),
        };
        let lasts = match (self.for_seconds, self.kind) {
            (Some(lasts), _) => lasts,
            // It happens at once.
            (None, Fault::Bust | Fault::ManualOrder) => 0.0,
            (None, _) => return wrong("for_seconds", "is missing: how long does it last?"),
        };
        let by = match (self.by_seconds, self.kind) {
            (Some(by), Fault::ClockSkew) if by.is_finite() && by.abs() <= 86_400.0 => by,
            (Some(_), Fault::ClockSkew) => return wrong("by_seconds", "is more than a day"),
            (None, Fault::ClockSkew) => return wrong("by_seconds", "is missing: how far off?"),
            (Some(_), _) => return wrong("by_seconds", "belongs to clock_skew alone"),
            (None, _) => 0.0,
        };
        let order = match (self.order, self.kind) {
            (Some(order), Fault::ManualOrder) => Some(order),
            (None, Fault::ManualOrder) => return wrong("order", "is missing: what is placed?"),
            (Some(_), _) => return wrong("order", "belongs to manual_order alone"),
            (None, _) => None,
        };
        Ok(Entry { kind: self.kind, start, lasts, by, order })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCRIPT: &str = "
        [[fault]]
        kind = 'farm_down'
        at_seconds = 1.0
        for_seconds = 2.0

        [[fault]]
        kind = 'drop'
        at_seconds = 2.5
        for_seconds = 0
    ";

    fn edges(script: &Script, history: &History, at: f64) -> Vec<(Fault, Edge)> {
        script.passed(history, at).iter().map(|mark| (mark.fault, mark.edge)).collect()
    }

    #[test]
    fn a_script_says_what_holds_and_what_changes() {
        let script = Script::parse(SCRIPT).unwrap();
        let none = History::default();
        assert_eq!(script.holds(Fault::FarmDown, &none, 0.5), None);
        assert_eq!(script.holds(Fault::FarmDown, &none, 1.0), Some(3.0));
        assert_eq!(script.holds(Fault::FarmDown, &none, 3.0), None);
        assert_eq!(script.holds(Fault::Drop, &none, 2.5), None, "an instant holds for no time");
        let drop = [(Fault::Drop, Edge::Begins), (Fault::Drop, Edge::Ends)];
        let begun = [&[(Fault::FarmDown, Edge::Begins)][..], &drop].concat();
        assert_eq!(edges(&script, &none, 2.6), begun);
        assert_eq!(edges(&script, &none, 0.9), []);
        let all = [&begun[..], &[(Fault::FarmDown, Edge::Ends)]].concat();
        assert_eq!(edges(&script, &none, 3.0), all);
    }

    #[test]
    fn a_fault_may_wait_for_the_second_fill() {
        let text = "[[fault]]\nkind = 'drop'\non = 'fill'\nnth = 2\nafter_seconds = 0.5\n\
                    for_seconds = 1";
        let script = Script::parse(text).unwrap();
        let mut history = History::default();
        assert!(script.awaits(Happening::Fill, &history));
        assert!(!script.awaits(Happening::Connection, &history));
        for (what, at) in
            [(Happening::Fill, 3.0), (Happening::OrderTaken, 4.0), (Happening::Fill, 5.0)]
        {
            assert_eq!(script.holds(Fault::Drop, &history, 99.0), None);
            assert_eq!(edges(&script, &history, 99.0), []);
            history.add(what, at);
        }
        assert!(!script.awaits(Happening::Fill, &history), "a third one changes nothing");
        assert_eq!(script.holds(Fault::Drop, &history, 5.4), None);
        assert_eq!(script.holds(Fault::Drop, &history, 5.5), Some(6.5));
        assert_eq!(edges(&script, &history, 5.5), [(Fault::Drop, Edge::Begins)]);
    }

    #[test]
    fn a_restart_is_a_closed_port_then_silence_then_a_gateway_without_ib() {
        let text = "[[fault]]\nkind = 'nightly_restart'\nat_seconds = 10\nfor_seconds = 10";
        let script = Script::parse(text).unwrap();
        let none = History::default();
        let kinds = |at: f64| {
            let held = |fault: &Fault| script.holds(*fault, &none, at).is_some();
            Fault::ALL.into_iter().filter(held).collect::<Vec<_>>()
        };
        assert_eq!(kinds(9.9), []);
        assert_eq!(kinds(12.0), [Fault::PortClosed]);
        assert!(kinds(16.0).contains(&Fault::AcceptWithoutHandshake));
        assert_eq!(kinds(18.0), [Fault::FarmsDown, Fault::ConnectivityLost]);
        assert_eq!(kinds(20.0), []);
    }

    #[test]
    fn a_clock_is_wrong_by_the_sum_of_what_holds() {
        let one = "[[fault]]\nkind = 'clock_skew'\nat_seconds = 1\nfor_seconds = 2\n";
        let text = format!("{one}by_seconds = 30\n{one}by_seconds = -7.5");
        let script = Script::parse(&text).unwrap();
        for (at, skew) in [(0.5, 0.0), (1.0, 22.5), (3.0, 0.0)] {
            assert!((script.skew(&History::default(), at) - skew).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_no_script_says_where() {
        let unknown = SCRIPT.replace("'drop'", "'explode'");
        let fault = Script::parse(&unknown).unwrap_err().to_string();
        assert!(fault.contains("explode") && fault.contains("line 8"), "{fault}");
        let negative = SCRIPT.replace("for_seconds = 0", "for_seconds = -1");
        let fault = Script::parse(&negative).unwrap_err().to_string();
        assert!(fault.starts_with("fault 2: for_seconds = -1"), "{fault}");
        for (lines, said) in [
            ("kind = 'drop'\nat_seconds = 1", "for_seconds is missing"),
            ("kind = 'drop'\nfor_seconds = 1", "say either at_seconds, or on"),
            ("kind = 'drop'\nat_seconds = 1\non = 'fill'\nfor_seconds = 1", "say either"),
            ("kind = 'drop'\non = 'fill'\nnth = 0\nfor_seconds = 1", "nth counts from 1"),
            ("kind = 'drop'\nat_seconds = 1\nnth = 2\nfor_seconds = 1", "mean nothing with"),
            ("kind = 'drop'\non = 'lunch'\nfor_seconds = 1", "lunch"),
            ("kind = 'clock_skew'\nat_seconds = 1\nfor_seconds = 1", "by_seconds is missing"),
            ("kind = 'drop'\nat_seconds = 1\nfor_seconds = 1\nby_seconds = 1", "alone"),
        ] {
            let fault = Script::parse(&format!("[[fault]]\n{lines}")).unwrap_err().to_string();
            assert!(fault.contains(said), "{lines}: {fault}");
        }
        assert_eq!(Script::parse(""), Ok(Script::default()));
        assert!(Script::parse("[[fault]]\nkind = 'bust'\non = 'fill'").is_ok());
    }

    proptest! {
        #[test]
        fn what_has_passed_only_grows_and_begins_before_it_ends(
            fills in prop::collection::vec(0.0..20.0_f64, 0..4),
            (early, late) in (0.0..30.0_f64, 0.0..30.0_f64),
        ) {
            let text = "[[fault]]\nkind = 'farm_flap'\non = 'fill'\nfor_seconds = 4\n\
                        [[fault]]\nkind = 'nightly_restart'\non = 'fill'\nnth = 2\n\
                        for_seconds = 3";
            let script = Script::parse(text).unwrap();
            let mut history = History::default();
            for at in fills {
                history.add(Happening::Fill, at);
            }
            let before = script.passed(&history, early.min(late));
            let after = script.passed(&history, early.max(late));
            prop_assert_eq!(&after[..before.len()], &before[..]);
            for (place, mark) in after.iter().enumerate() {
                if mark.edge == Edge::Ends {
                    let begin = Mark { edge: Edge::Begins, ..*mark };
                    prop_assert!(after[..place].contains(&begin));
                }
            }
        }
    }
}
