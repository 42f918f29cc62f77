//! Quotes around fair values: widths, where the mid lies, sizes, volumes.
//!
//! Invariants: bid < fair value < ask on the tick grid, so that no trade at quotes is free money;
//! the mid's offset is seeded noise within a share of the half-spread; widths grow with distance
//! from the money, time, the first minutes of a session and stress; sizes shrink with stress. An
//! option whose bid would lie under one tick has none, and under stress nobody bids small change
//! for a wing.

use crate::market::{
    ConId, FutureQuote, OptionQuote, OptionRight, Price, Symbol, Timestamp, UnderlyingQuote,
    VendorGreeks,
};

use super::etf::Etf;
use super::futures::Listed;
use super::listing::{ListedOption, Underlying};
use super::streams::{Purpose, noise};
use super::valuation::OptionValue;

/// Share of the half-spread within which the mid lies around the fair value.
const MID_NOISE: f64 = 0.35;
/// Seconds for which a quote stands.
const SLOT_SECONDS: i64 = 10;
/// Seconds after the open in which the excess width falls to a third, and the excess.
const OPENING_SECONDS: f64 = 300.0;
const OPENING_EXCESS: f64 = 1.5;

/// What all quotes of an instant have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub seed: u64,
    /// Seconds of the Unix epoch.
    pub at: i64,
    pub stress: f64,
    /// Seconds since the instrument's own market opened.
    pub open_for: i64,
    /// Share of the session's trading that is done.
    pub progress: f64,
    /// Days of the common era: the session.
    pub session: i64,
}

impl Moment {
    fn width(&self) -> f64 {
        let opening = OPENING_EXCESS * libm::exp(-(self.open_for as f64) / OPENING_SECONDS);
        (1.0 + self.stress) * (1.0 + opening)
    }

    fn noise(&self, conid: ConId) -> [f64; 4] {
        noise(self.seed, Purpose::Quotes, (conid.0, self.at.div_euclid(SLOT_SECONDS)))
    }

    fn stamp(&self) -> Option<Timestamp> {
        Timestamp::from_timestamp(self.at, 0)
    }

    /// Contracts traded so far of a session's total.
    fn volume(&self, conid: ConId, ordinary: f64) -> i64 {
        let [draw, ..] = noise(self.seed, Purpose::Volumes, (conid.0, self.session));
        libm::floor(ordinary * (0.4 + 1.2 * draw) * self.progress) as i64
    }
}

/// Standard deviations out of the money from which an option is a wing.
const WING_DEVIATIONS: f64 = 1.0;
/// Ticks by which the least bid for a wing rises with each unit of stress.
const WITHDRAWN_TICKS: f64 = 3.0;

/// The least bid, in ticks, that anybody shows.
fn least_bid(right: OptionRight, distance: f64, stress: f64) -> i64 {
    let out_of_the_money = match right {
        OptionRight::Call => distance,
        OptionRight::Put => -distance,
    };
    let withdrawn = if out_of_the_money > WING_DEVIATIONS { WITHDRAWN_TICKS * stress } else { 0.0 };
    1 + libm::floor(withdrawn) as i64
}

/// Two sides in ticks.
#[derive(Debug, Clone, Copy)]
struct Sides {
    bid: i64,
    ask: i64,
}

/// The market around a fair value: both in ticks, as is the half-spread.
fn sides(fair: f64, half: f64, draw: f64) -> Sides {
    let offset = half * MID_NOISE * (2.0 * draw - 1.0);
    let bid = libm::floor(fair - half + offset) as i64;
    let ask = libm::ceil(fair + half + offset) as i64;
    Sides { bid, ask: ask.max(bid + 1) }
}

fn price(ticks: i64, tick_hundredths: i64) -> Price {
    Price::from_micros(ticks * tick_hundredths * 10_000)
}

/// A displayed size around an ordinary one.
fn size(ordinary: f64, draw: f64, stress: f64) -> i64 {
    let drawn = ordinary * libm::exp(2.4 * (draw - 0.5)) / (1.0 + stress);
    (libm::round(drawn) as i64).max(1)
}

/// What an underlying's options look like in ordinary times.
struct Habit {
    width: f64,
    size: f64,
    volume: f64,
    open_interest: f64,
}

fn habit(underlying: Underlying) -> Habit {
    let (width, size, volume, open_interest) = match underlying {
        Underlying::Etf(Etf::Spy) => (1.0, 120.0, 9_000.0, 12_000.0),
        Underlying::Etf(Etf::Qqq) => (1.2, 60.0, 5_000.0, 7_000.0),
        Underlying::Etf(Etf::Iwm) => (1.5, 40.0, 2_000.0, 6_000.0),
        Underlying::Vix => (1.5, 90.0, 4_000.0, 20_000.0),
    };
    Habit { width, size, volume, open_interest }
}

/// Hundredths: a cent for ETF options; VIX options trade in cents under 3 dollars, else in five.
fn option_tick(underlying: Underlying, fair: f64) -> i64 {
    match underlying {
        Underlying::Etf(_) => 1,
        Underlying::Vix if fair < 3.0 => 1,
        Underlying::Vix => 5,
    }
}

/// Half-spread of an option, USD a share.
fn option_half_spread(underlying: Underlying, strike: f64, value: &OptionValue) -> f64 {
    let (vega, delta) =
        value.theory.map_or((0.0, 1.0), |(_, greeks)| (greeks.vega, greeks.delta.abs()));
    let in_the_money = 0.0003 * strike * (delta - 0.5).max(0.0);
    let extrinsic = (value.fair - 2.0 * (delta - 0.5).max(0.0) * value.fair).max(0.0);
    let full = 0.01 + 0.004 * extrinsic + 0.03 * vega + in_the_money;
    let farther = 1.0 + 0.1 * value.distance.abs().min(6.0);
    0.5 * full * farther * (1.0 + 0.3 * value.years) * habit(underlying).width
}

/// The quote of an option.
pub(super) fn option_quote(
    moment: &Moment,
    option: &ListedOption,
    value: &OptionValue,
    last_close: f64,
) -> OptionQuote {
    let conid = option.contract.conid;
    let [draw, bid_draw, ask_draw, last_draw] = moment.noise(conid);
    let tick = option_tick(option.underlying, value.fair);
    let ticks = 100.0 / tick as f64;
    let half = option_half_spread(option.underlying, option.strike, value) * moment.width();
    let sides = sides(value.fair * ticks, half * ticks, draw);
    let habit = habit(option.underlying);
    let interest = interest(option, value.years, last_close);
    let volume = moment.volume(conid, habit.volume * interest / (1.0 + 12.0 * value.years));
    let [open_interest, ..] = noise(moment.seed, Purpose::Volumes, (conid.0, 0));
    let traded = if last_draw < 0.5 { sides.bid.max(1) } else { sides.ask };
    let quoted = |draw| size(habit.size / (1.0 + value.years), draw, moment.stress);
    let least = least_bid(option.contract.right, value.distance, moment.stress);
    let bid = (sides.bid >= least).then(|| price(sides.bid, tick));
    OptionQuote {
        conid,
        bid,
        ask: Some(price(sides.ask, tick)),
        last: (volume > 0).then(|| price(traded, tick)),
        bid_size: bid.map(|_| quoted(bid_draw)),
        ask_size: Some(quoted(ask_draw)),
        volume: Some(volume),
        open_interest: Some(libm::floor(
            habit.open_interest * interest * (0.2 + 1.6 * open_interest),
        ) as i64),
        vendor: vendor(value),
        quoted_at: moment.stamp(),
    }
}

/// How much people care for a strike, fixed through the session: near the last close, and round.
fn interest(option: &ListedOption, years: f64, last_close: f64) -> f64 {
    let vol = match option.underlying {
        Underlying::Etf(_) => 0.2,
        Underlying::Vix => 1.0,
    };
    let spread = vol * libm::sqrt(libm::ceil(365.0 * years) / 365.0);
    let away = libm::log(option.strike / last_close) / spread;
    let round = if (option.strike / 5.0).fract().abs() < 1e-9 { 3.0 } else { 1.0 };
    round * libm::exp(-0.3 * away * away).max(0.002)
}

fn vendor(value: &OptionValue) -> VendorGreeks {
    match value.theory {
        None => VendorGreeks::default(),
        Some((vol, greeks)) => VendorGreeks {
            vol: Some(vol),
            delta: Some(greeks.delta),
            gamma: Some(greeks.gamma),
            theta: Some(greeks.theta),
            vega: Some(greeks.vega),
        },
    }
}

/// The quote of an ETF; sizes in shares.
pub(super) fn etf_quote(moment: &Moment, etf: Etf, spot: f64) -> UnderlyingQuote {
    let [draw, bid_draw, ask_draw, last_draw] = moment.noise(etf.conid());
    let (half, ordinary) = match etf {
        Etf::Spy => (0.3, 1_200.0),
        Etf::Qqq => (0.4, 800.0),
        Etf::Iwm => (0.3, 1_500.0),
    };
    let sides = sides(spot * 100.0, half * moment.width(), draw);
    let last = if last_draw < 0.5 { sides.bid } else { sides.ask };
    UnderlyingQuote {
        conid: etf.conid(),
        symbol: etf.symbol(),
        bid: Some(price(sides.bid, 1)),
        ask: Some(price(sides.ask, 1)),
        last: Some(price(last, 1)),
        bid_size: Some(size(ordinary, bid_draw, moment.stress)),
        ask_size: Some(size(ordinary, ask_draw, moment.stress)),
        quoted_at: moment.stamp(),
    }
}

/// The VIX: a value without sides.
pub(super) fn vix_quote(at: i64, value: f64) -> UnderlyingQuote {
    UnderlyingQuote {
        conid: super::listing::VIX_CONID,
        symbol: Symbol::new("VIX"),
        bid: None,
        ask: None,
        last: super::tape::print(value, 1),
        bid_size: None,
        ask_size: None,
        quoted_at: Timestamp::from_timestamp(at, 0),
    }
}

/// The quote of a future; `share` of its root's volume.
pub(super) fn future_quote(
    moment: &Moment,
    listed: &Listed,
    fair: f64,
    (share, quiet): (f64, f64),
) -> FutureQuote {
    let conid = listed.contract.conid;
    let [draw, bid_draw, ask_draw, last_draw] = moment.noise(conid);
    let tick = listed.root.tick_hundredths();
    let ticks = 100.0 / tick as f64;
    let (width, ordinary) = listed.root.market();
    let thin = 1.0 / (0.1 + 0.9 * libm::sqrt(share));
    let half = 0.5 * (width - 0.5).max(0.3) * moment.width() * quiet * thin;
    let sides = sides(fair * ticks, half, draw);
    let last = if last_draw < 0.5 { sides.bid } else { sides.ask };
    FutureQuote {
        conid,
        symbol: listed.contract.symbol.clone(),
        expiry_date: listed.contract.expiry_date,
        bid: Some(price(sides.bid, tick)),
        ask: Some(price(sides.ask, tick)),
        last: Some(price(last, tick)),
        bid_size: Some(size(ordinary / (quiet * thin), bid_draw, moment.stress)),
        ask_size: Some(size(ordinary / (quiet * thin), ask_draw, moment.stress)),
        volume: Some(moment.volume(conid, listed.root.session_volume() * share)),
        quoted_at: moment.stamp(),
    }
}
