//! The three ETFs whose prices the generator draws, and things held for each of them.

use crate::market::{ConId, Symbol};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Etf {
    Spy,
    Qqq,
    Iwm,
}

impl Etf {
    pub const ALL: [Self; 3] = [Self::Spy, Self::Qqq, Self::Iwm];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Spy => "SPY",
            Self::Qqq => "QQQ",
            Self::Iwm => "IWM",
        }
    }

    pub fn symbol(self) -> Symbol {
        Symbol::new(self.name())
    }

    /// As IB numbers them.
    pub const fn conid(self) -> ConId {
        ConId(match self {
            Self::Spy => 756_733,
            Self::Qqq => 320_227_571,
            Self::Iwm => 9_579_970,
        })
    }

    /// Price at the close before the first session, USD: early 2026.
    pub const fn start_level(self) -> f64 {
        match self {
            Self::Spy => 690.0,
            Self::Qqq => 620.0,
            Self::Iwm => 262.0,
        }
    }
}

/// One thing for each ETF.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct PerEtf<T> {
    pub spy: T,
    pub qqq: T,
    pub iwm: T,
}

impl<T> PerEtf<T> {
    pub fn from_fn(mut make: impl FnMut(Etf) -> T) -> Self {
        Self { spy: make(Etf::Spy), qqq: make(Etf::Qqq), iwm: make(Etf::Iwm) }
    }

    pub fn get(&self, etf: Etf) -> &T {
        match etf {
            Etf::Spy => &self.spy,
            Etf::Qqq => &self.qqq,
            Etf::Iwm => &self.iwm,
        }
    }

    pub fn get_mut(&mut self, etf: Etf) -> &mut T {
        match etf {
            Etf::Spy => &mut self.spy,
            Etf::Qqq => &mut self.qqq,
            Etf::Iwm => &mut self.iwm,
        }
    }
}
