//! The same functions over slices: one pass, results in the order of the inputs, the output's
//! allocation reused.
//!
//! Rows are independent: a slice gives what its rows give one by one.

use super::{
    Black76, Black76Quote, Bsm, BsmQuote, Implied, Valuation, american, black76, bsm,
    invert_american, invert_black76, invert_bsm,
};

/// [`bsm`] of every row.
pub fn bsm_slice(inputs: &[Bsm], out: &mut Vec<Option<Valuation>>) {
    fill(inputs, out, bsm);
}

/// [`black76`] of every row.
pub fn black76_slice(inputs: &[Black76], out: &mut Vec<Option<Valuation>>) {
    fill(inputs, out, black76);
}

/// [`american`] of every row.
pub fn american_slice(inputs: &[Bsm], out: &mut Vec<Option<Valuation>>) {
    fill(inputs, out, american);
}

/// [`invert_bsm`] of every row: volatility and Greeks from quotes.
pub fn invert_bsm_slice(quotes: &[BsmQuote], out: &mut Vec<Option<Implied>>) {
    fill(quotes, out, invert_bsm);
}

/// [`invert_black76`] of every row.
pub fn invert_black76_slice(quotes: &[Black76Quote], out: &mut Vec<Option<Implied>>) {
    fill(quotes, out, invert_black76);
}

/// [`invert_american`] of every row.
pub fn invert_american_slice(quotes: &[BsmQuote], out: &mut Vec<Option<Implied>>) {
    fill(quotes, out, invert_american);
}

/// `out` becomes the answers to `inputs`.
fn fill<I, O>(inputs: &[I], out: &mut Vec<Option<O>>, answer: impl Fn(&I) -> Option<O>) {
    out.clear();
    out.extend(inputs.iter().map(answer));
}
