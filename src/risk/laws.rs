//! Laws of the gate: monotone in every limit, closing reduces risk, every check always answers.

use std::collections::BTreeSet;

use chrono::Duration;
use proptest::prelude::*;

use super::testing::{Desk, instruments_of, limits, opposite, proposed, strategy};
use super::tests::{SPOILS, desk, each_market, entry, opened, refused_by, sent};
use super::*;
use crate::market::{OptionContract, Usd};
use crate::structures::testing::{call, day, instrument, monday, put, usd};
use crate::structures::{Leg, Purpose};

type Loosen = fn(&mut RiskLimits);

/// Every number of the limits that a check compares with, moved to the lenient side.
const LOOSENINGS: [Loosen; 30] = [
    |l| l.order.quantity_contracts_max *= 2,
    |l| l.order.quantity_shares_max *= 2,
    |l| l.order.duplicate_window_seconds /= 2,
    |l| l.order.orders_per_minute_max *= 2,
    |l| l.order.strategy_orders_max *= 2,
    |l| l.order.strategy_orders_window_minutes /= 2,
    |l| l.order.active_orders_per_side_max *= 2,
    |l| l.price.collar_width_ratio *= 2.0,
    |l| l.price.collar_ticks *= 2,
    |l| l.price.intrinsic_tolerance_usd *= 2.0,
    |l| l.price.quote_age_seconds_max *= 2.0,
    |l| l.price.vol_min /= 2.0,
    |l| l.price.vol_max *= 2.0,
    |l| l.price.drift_ratio_max *= 2.0,
    |l| l.entry.quiet_minutes_after_open /= 2.0,
    |l| l.entry.quiet_minutes_before_close /= 2.0,
    |l| l.entry.leg_width_ratio_max *= 2.0,
    |l| l.entry.credit_ratio_two_sided_min /= 2.0,
    |l| l.entry.credit_fees_multiple_min /= 2.0,
    |l| l.entry.days_to_expiry_min /= 2,
    |l| l.entry.days_to_expiry_max *= 2,
    |l| l.entry.short_delta_max *= 2.0,
    |l| l.account.excess_liquidity_ratio_min /= 2.0,
    |l| l.account.position_contracts_max *= 2,
    |l| l.exposure.trade_max_loss_ratio *= 2.0,
    |l| l.exposure.week_opened_ratio *= 2.0,
    |l| l.exposure.cluster_max_loss_ratio *= 2.0,
    |l| l.exposure.cluster_short_vega_ratio *= 2.0,
    |l| l.exposure.worst_case_ratio_max *= 2.0,
    |l| l.loss.daily_loss_ratio_max *= 2.0,
];

/// Limits scaled so that some checks pass and some do not.
fn scaled(scale: f64) -> RiskLimits {
    let mut limits = limits();
    limits.order.quantity_contracts_max = (6.0 * scale) as i64;
    limits.order.duplicate_window_seconds = (60.0 / scale) as i64;
    limits.order.orders_per_minute_max = (4.0 * scale) as i64;
    limits.price.collar_width_ratio *= scale;
    limits.price.quote_age_seconds_max *= scale;
    limits.price.vol_max = 0.2 * scale;
    limits.entry.leg_width_ratio_max *= scale;
    limits.entry.credit_ratio_two_sided_min /= scale;
    limits.entry.days_to_expiry_max = (30.0 * scale) as i64;
    limits.entry.short_delta_max = 0.2 * scale;
    limits.account.position_contracts_max = (6.0 * scale) as i64;
    limits.exposure.trade_max_loss_ratio *= scale;
    limits.exposure.week_opened_ratio *= scale / 3.0;
    limits.exposure.cluster_short_vega_ratio *= scale / 10.0;
    limits.exposure.worst_case_ratio_max *= scale / 10.0;
    limits.loss.daily_loss_ratio_max *= scale / 2.0;
    limits
}

fn any_structure() -> impl Strategy<Value = Vec<Leg>> {
    let leg = |option: OptionContract, ratio| Leg { instrument: instrument(&option), ratio };
    (560_i64..620, 1_i64..30, 650_i64..700, 1_i64..30, 5_i64..60, 0_usize..6).prop_map(
        move |(p, pw, c, cw, days, kind)| {
            let (p, pw, c, cw) = (p as f64, pw as f64, c as f64, cw as f64);
            match kind {
                0 => vec![leg(put(p, days), -1), leg(put(p - pw, days), 1)],
                1 => vec![leg(call(c, days), -1), leg(call(c + cw, days), 1)],
                2 => vec![leg(call(c, days), 1), leg(call(c + cw, days), -1)],
                3 => vec![leg(call(c, days), -1), leg(call(c, days + 28), 1)],
                4 => vec![
                    leg(put(p, days), 1),
                    leg(put(p + pw, days), -2),
                    leg(put(p + 2.0 * pw, days), 1),
                ],
                _ => vec![
                    leg(put(p - pw, days), 1),
                    leg(put(p, days), -1),
                    leg(call(c, days), -1),
                    leg(call(c + cw, days), 1),
                ],
            }
        },
    )
}

fn sorted(mut legs: Vec<Leg>) -> Vec<Leg> {
    legs.sort_by_key(|leg| leg.instrument.conid());
    legs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn loosening_a_limit_never_refuses_more(
        scale in 0.3_f64..3.0,
        combos in 1_i64..12,
        age in 0_i64..900,
    ) {
        let mut desk = desk();
        desk.limits = scaled(scale);
        desk.account.profit_today = Some(usd(-3_000.0));
        each_market(&mut desk, |market| market.received_at = monday() - Duration::seconds(age));
        let mut order = entry();
        order.request.quantity = combos;
        sent(&mut desk, &order, 45);
        opened(&mut desk, day(-2), day(50), 2_000.0);
        let before: BTreeSet<_> =
            refused_by(&check(order.clone(), &desk.inputs())).into_iter().collect();
        for (n, loosen) in LOOSENINGS.into_iter().enumerate() {
            let mut looser = desk.clone();
            loosen(&mut looser.limits);
            let verdict = check(order.clone(), &looser.inputs());
            let after: BTreeSet<_> = refused_by(&verdict).into_iter().collect();
            prop_assert!(after.is_subset(&before), "loosening {} refused more: {:?}", n, after);
        }
    }

    #[test]
    fn without_equity_no_share_of_it_is_known(usd_cents in -30_000_000_i64..=0) {
        let mut desk = desk();
        desk.account.net_liquidation = Some(Usd::from_micros(usd_cents * 10_000));
        let verdict = check(entry(), &desk.inputs());
        for id in ["R20", "R21", "R22", "R25", "R26", "R28", "R30", "R45", "D6W"] {
            let row = verdict.results.iter().find(|row| row.check_id == id).unwrap();
            prop_assert_eq!(row.result, CheckStatus::Unevaluable, "{}", id);
        }
        prop_assert!(!verdict.is_approved());
    }

    #[test]
    fn closing_a_share_of_every_leg_always_reduces_risk(
        legs in any_structure(),
        held in 1_i64..30,
        share in 1_i64..30,
        other in any_structure(),
    ) {
        let legs = sorted(legs);
        let share = share.min(held);
        let book = Book::new(
            vec![strategy("condor-1", &legs, held), strategy("other", &sorted(other.clone()), 3)],
            Vec::new(),
        );
        let order = proposed(Purpose::Close, &opposite(&legs), share);
        // By construction, without any market ...
        let blind = Desk { book: book.clone(), ..Desk::with(&[]) };
        let verdict = check(order.clone(), &blind.inputs());
        prop_assert_eq!(verdict.effects.class, OrderClass::Reducing);
        // ... and by every number, with one.
        let mut instruments = instruments_of(&legs);
        instruments.extend(instruments_of(&other));
        let desk = Desk { book, ..Desk::with(&instruments) };
        let effects = check(order, &desk.inputs()).effects;
        prop_assert_eq!(effects.new_uncovered, 0);
        let (before, after) = (effects.strategy_loss_before, effects.strategy_loss_after);
        prop_assert!(after.unwrap() <= before.unwrap() + 1e-6);
        prop_assert!(effects.margin_after.unwrap() <= effects.margin_before.unwrap());
        let (before, after) = (effects.assigned_before.unwrap(), effects.assigned_after.unwrap());
        prop_assert!(after.worst() <= before.worst() + 1e-6);
    }

    #[test]
    fn adding_to_a_structure_never_reduces_risk(legs in any_structure(), held in 1_i64..20) {
        let legs = sorted(legs);
        let mut desk = Desk::with(&instruments_of(&legs));
        desk.book = Book::new(vec![strategy("condor-1", &legs, held)], Vec::new());
        let effects = check(proposed(Purpose::Close, &legs, 1), &desk.inputs()).effects;
        let (before, after) = (effects.strategy_loss_before, effects.strategy_loss_after);
        let grew = after.unwrap() > before.unwrap() + 0.01;
        prop_assert!(!grew || effects.class == OrderClass::Entry);
    }

    #[test]
    fn the_first_sign_of_trouble_does_not_hide_the_rest(
        spoils in prop::collection::btree_set(0_usize..42, 1..4),
    ) {
        let (mut desk, mut order) = (desk(), entry());
        for n in &spoils {
            SPOILS[*n].1(&mut desk, &mut order);
        }
        let verdict = check(order, &desk.inputs());
        let returned: Vec<_> = verdict.results.iter().map(|row| (row.check_id, row.name)).collect();
        prop_assert_eq!(returned, check_ids().collect::<Vec<_>>());
    }
}
