//! What a broker that keeps orders back looks at: when an instrument trades, what is quoted, which
//! prices it may have, and whether an order could be taken at all. Looking changes nothing.

use crate::market::sessions::{Session, Venue};
use crate::market::{ConId, Instrument, Price};
use crate::structures::{OrderRequest, Reject};

use super::engine::Exchange;
use super::view;

/// Prices that stand now, USD a share or index points; the last one where the market has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quoted {
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub last: Option<Price>,
}

impl Exchange {
    /// The session of the instrument's market that holds this instant, or the next to come. `None`
    /// for an unknown instrument and at the calendar's end.
    pub fn session_of(&self, conid: ConId) -> Option<Session> {
        let venue = venue_of(&self.source.contract(conid)?);
        self.timetable.session_of(venue, self.now).ok()
    }

    /// What is quoted now; nothing while the market is closed or halted.
    pub fn quoted(&self, conid: ConId) -> Quoted {
        let open = self.market_open(conid).then(|| self.source.contract(conid)).flatten();
        let sides = open.and_then(|instrument| view::sides(&*self.source, &instrument));
        let sides = sides.filter(|sides| !super::matching::is_crossed(sides));
        sides.map_or(Quoted::default(), |sides| Quoted {
            bid: sides.bid,
            ask: sides.ask,
            last: sides.last,
        })
    }

    /// The step between prices of an instrument around a price.
    pub fn price_step(&self, conid: ConId, around: Price) -> Option<Price> {
        Some(view::tick(&self.source.contract(conid)?, around))
    }

    /// Whether an order has the form of one, whatever the hour and the account.
    pub fn check(&self, request: &OrderRequest) -> Result<(), Reject> {
        let instruments = self.instruments(request)?;
        super::entry::check_form(request, &instruments)
    }
}

fn venue_of(instrument: &Instrument) -> Venue {
    match instrument {
        Instrument::Stock(_) => Venue::Xnys,
        Instrument::Option(option) if option.symbol.as_str() == "VIX" => Venue::CboeIndexOptions,
        Instrument::Option(_) => Venue::EtfOptions,
        Instrument::Index(_) => Venue::CboeIndexOptions,
        Instrument::Future(_) => Venue::CmeEquityFutures,
    }
}
