//! Prices and money as decimals, with the two doors to model numbers.
//!
//! A [`Price`] is USD per share (or index points for a future) and may be negative: a combo's net
//! price is negative where it is a credit. [`Usd`] is an amount of money. Both keep six places,
//! the scale of every decimal column in the lake.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// Decimal places kept, as in `decimal(18,6)`.
pub const SCALE: u32 = 6;

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Decimal);

        impl $name {
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// Rounds half to even at six places.
            pub fn new(value: Decimal) -> Self {
                Self(value.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointNearestEven))
            }

            /// The door in from model numbers. `None` for NaN, infinities and what a
            /// `decimal(18,6)` cannot hold.
            pub fn from_f64(value: f64) -> Option<Self> {
                let fits = value.abs() < 1e12;
                if fits { Decimal::from_f64(value).map(Self::new) } else { None }
            }

            /// From whole millionths, the storage form of `decimal(18,6)`.
            pub fn from_micros(micros: i64) -> Self {
                Self(Decimal::new(micros, SCALE))
            }

            /// Whole millionths, the storage form of `decimal(18,6)`.
            pub fn micros(self) -> i64 {
                let mut scaled = self.0;
                scaled.rescale(SCALE);
                scaled.mantissa() as i64
            }

            /// The door out to model numbers.
            pub fn to_f64(self) -> f64 {
                self.0.to_f64().expect("a decimal of six places is always a finite double")
            }

            pub fn decimal(self) -> Decimal {
                self.0
            }

            #[must_use]
            pub fn abs(self) -> Self {
                Self(self.0.abs())
            }

            pub fn is_negative(self) -> bool {
                self.0.is_sign_negative() && !self.0.is_zero()
            }

            /// Times a whole number of things.
            #[must_use]
            pub fn times(self, count: i64) -> Self {
                Self::new(self.0 * Decimal::from(count))
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self::ZERO, Add::add)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.round_dp(SCALE).fmt(out)
            }
        }
    };
}

amount! {
    /// USD per share, or index points for a future. Signed: a combo's credit is negative.
    Price
}

amount! {
    /// An amount of US dollars. Signed: money received is positive.
    Usd
}

impl Price {
    /// The money that `quantity` contracts of `multiplier` shares are worth at this price.
    pub fn value(self, quantity: i64, multiplier: i64) -> Usd {
        Usd::new(self.0 * Decimal::from(quantity) * Decimal::from(multiplier))
    }

    /// Half way between two prices.
    #[must_use]
    pub fn midpoint(self, other: Self) -> Self {
        Self::new((self.0 + other.0) / Decimal::TWO)
    }
}

impl Usd {
    /// Rounded to the cent, half to even, as brokers book cash.
    #[must_use]
    pub fn to_cents(self) -> Self {
        Self(self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn micros_round_trip(micros in -1_000_000_000_000_i64..1_000_000_000_000) {
            prop_assert_eq!(Price::from_micros(micros).micros(), micros);
        }

        #[test]
        fn doubles_come_back_within_a_millionth(value in -1e9_f64..1e9) {
            let price = Price::from_f64(value).unwrap();
            prop_assert!((price.to_f64() - value).abs() <= 1e-6);
        }
    }

    #[test]
    fn what_is_not_a_number_is_not_a_price() {
        for bad in [f64::NAN, f64::INFINITY, f64::MAX, -f64::MAX] {
            assert_eq!(Price::from_f64(bad), None);
        }
    }

    #[test]
    fn value_uses_the_multiplier() {
        let price = Price::from_f64(1.25).unwrap();
        assert_eq!(price.value(-2, 100), Usd::from_f64(-250.0).unwrap());
    }
}
