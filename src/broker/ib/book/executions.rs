//! Executions: each is given once, with its commission as far as that comes in time.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeZone as _};
use ibapi::contracts::Contract;
use ibapi::orders::{CommissionReport, ExecutionData, ExecutionSide};
use ibapi::prelude::SecurityType;

use super::{Awaiting, Book, whole};
use crate::broker::BrokerEvent;
use crate::market::clock::Stopwatch;
use crate::market::{ConId, Instrument, Price, Timestamp, Usd};
use crate::structures::{Execution, ExecutionKind, OrderRef, version_of};

impl Book {
    /// An execution, told once however often it comes. The whole of a combo is no position and is
    /// passed over: its legs come by themselves.
    pub fn hear_execution(&mut self, data: &ExecutionData, at: Timestamp) {
        if data.contract.security_type == SecurityType::Spread {
            return;
        }
        let execution = &data.execution;
        let id = execution.execution_id.clone();
        if id.is_empty() || self.seen.contains_key(&id) {
            return;
        }
        let conid = ConId(i64::from(data.contract.contract_id));
        let Some(multiplier) = self.multiplier_of(&data.contract) else {
            if self.held_back.insert(id.clone(), conid).is_none() {
                tracing::error!(
                    "execution {id} of contract {conid} is held back: neither it nor the listing \
                     says what one contract is of; positions and executions differ until then"
                );
            }
            return;
        };
        self.held_back.remove(&id);
        self.seen.insert(id.clone(), (at, execution.perm_id));
        self.heard += 1;
        let shares = whole(execution.shares);
        let order_ref = execution.order_reference.parse::<OrderRef>().ok();
        if let Some(known) = order_ref.as_ref().and_then(|found| self.orders.get_mut(found))
            && known.perm_id == 0
        {
            // Nothing else of the order may ever be told.
            known.perm_id = execution.perm_id;
        }
        let Some(news) = self.news_of(&id, shares) else { return };
        let total = self.shares.entry((execution.perm_id, conid)).or_default();
        *total += news;
        let total = *total;
        // The legs of one fill of a guaranteed combo reach the same number of combos.
        let ratio = self.ratio_of(order_ref.as_ref(), conid);
        let combos = (total + ratio - 1) / ratio;
        let sign = match execution.side {
            ExecutionSide::Bought => 1,
            ExecutionSide::Sold => -1,
        };
        let execution = Execution {
            exec_id: id.clone(),
            order_ref,
            perm_id: Some(execution.perm_id),
            group_id: format!("{}-{combos}", execution.perm_id),
            kind: match execution.liquidation {
                0 => ExecutionKind::Trade,
                _ => ExecutionKind::Liquidation,
            },
            conid,
            quantity: sign * shares,
            price: Price::from_f64(execution.price),
            multiplier,
            commission: Usd::ZERO,
            cash: Price::from_f64(execution.price)
                // A future changes no cash but by its commission and its daily variation.
                .filter(|_| data.contract.security_type != SecurityType::Future)
                .map_or(Usd::ZERO, |price| -price.value(sign * shares, multiplier)),
            at: instant_of(&execution.time).unwrap_or(at),
        };
        self.awaiting.insert(id.clone(), Awaiting { execution, since: Stopwatch::start() });
        if shares == 0 {
            // A trade that was broken costs nothing, and nothing may be told of that.
            self.commissions.entry(id.clone()).or_insert(Usd::ZERO);
        }
        if let Some(commission) = self.commissions.remove(&id) {
            self.complete(&id, commission, at);
        }
    }

    /// How many of an execution's shares have not been heard of under an older version of it;
    /// `None` where a newer one has been heard already. Shares once heard of stay counted here,
    /// though they are corrected: the order's own states count them too.
    fn news_of(&mut self, exec_id: &str, shares: i64) -> Option<i64> {
        let Some((name, version)) = version_of(exec_id) else { return Some(shares) };
        let heard = self.versions.get(name).copied();
        if heard.is_some_and(|(newest, _)| newest > version) {
            return None;
        }
        let most = heard.map_or(shares, |(_, before)| before.max(shares));
        self.versions.insert(name.to_owned(), (version, most));
        Some(most - heard.map_or(0, |(_, before)| before))
    }

    /// The commission of an execution, which TWS sends after it.
    pub fn hear_commission(&mut self, report: &CommissionReport, at: Timestamp) {
        let Some(commission) = Usd::from_f64(report.commission) else { return };
        self.complete(&report.execution_id, commission, at);
    }

    fn complete(&mut self, id: &str, commission: Usd, at: Timestamp) {
        let awaiting = self.awaiting.remove(id).map(|awaiting| awaiting.execution);
        // What was given without its commission is given again with it: the journal books what is
        // new of it.
        if let Some(mut execution) = awaiting.or_else(|| self.unpaid.remove(id)) {
            execution.commission = commission;
            execution.cash -= commission;
            self.events.push_back(BrokerEvent::Execution(execution));
            self.release(at);
        } else if !self.seen.contains_key(id) {
            self.commissions.insert(id.to_owned(), commission);
        }
    }

    /// Gives what has waited too long for its commission without it: a position that is held is
    /// never hidden for want of a figure. The cash differs by it until it comes.
    pub fn release_unpaid(&mut self, within: Duration, at: Timestamp) {
        let late: Vec<String> = self
            .awaiting
            .iter()
            .filter(|(_, awaiting)| awaiting.since.elapsed() >= within)
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            let Some(Awaiting { execution, .. }) = self.awaiting.remove(&id) else { continue };
            tracing::error!(
                "the commission of execution {id} has not come within {} s: it is booked without, \
                 and the cash differs until it comes",
                within.as_secs()
            );
            self.unpaid.insert(id, execution.clone());
            self.events.push_back(BrokerEvent::Execution(execution));
        }
        self.release(at);
    }

    /// What one contract of an instrument is of.
    pub fn learn(&mut self, instrument: &Instrument) {
        let multiplier = match instrument {
            Instrument::Option(option) => option.multiplier,
            Instrument::Future(future) => future.multiplier,
            Instrument::Stock(_) | Instrument::Index(_) => return,
        };
        self.multipliers.insert(instrument.conid(), multiplier);
    }

    /// Contracts of which executions wait to be described.
    pub fn undescribed(&self) -> impl Iterator<Item = ConId> {
        let unknown = self.held_back.values().copied();
        unknown.filter(|conid| !self.multipliers.contains_key(conid))
    }

    /// As the execution has it, or else as the listing has it; shares are by the piece.
    fn multiplier_of(&self, contract: &Contract) -> Option<i64> {
        let told = contract.multiplier.parse::<i64>().ok().filter(|told| *told > 0);
        let listed = || self.multipliers.get(&ConId(i64::from(contract.contract_id))).copied();
        let derived = matches!(
            contract.security_type,
            SecurityType::Option | SecurityType::Future | SecurityType::FuturesOption
        );
        told.or_else(listed).or_else(|| (!derived).then_some(1))
    }

    fn ratio_of(&self, order_ref: Option<&OrderRef>, conid: ConId) -> i64 {
        order_ref.and_then(|found| self.orders.get(found)).map_or(1, |known| {
            let leg = known.request.legs.iter().find(|leg| leg.conid == conid);
            leg.map_or(1, |leg| leg.ratio.abs().max(1))
        })
    }
}

/// `20260302 09:31:05 US/Eastern`, or in UTC `20260302-14:31:05`.
pub(super) fn instant_of(text: &str) -> Option<Timestamp> {
    if let Ok(utc) = NaiveDateTime::parse_from_str(text, "%Y%m%d-%H:%M:%S") {
        return Some(utc.and_utc());
    }
    let (local, zone) = text.rsplit_once(' ')?;
    let local = NaiveDateTime::parse_from_str(local.trim(), "%Y%m%d %H:%M:%S").ok()?;
    let zone: chrono_tz::Tz = zone.parse().ok()?;
    // An hour that comes twice is taken for its first coming; one that never comes is none.
    Some(zone.from_local_datetime(&local).earliest()?.to_utc())
}
