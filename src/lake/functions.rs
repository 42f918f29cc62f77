//! The SQL functions of the desk over `pricing`. NULL in, or no solution, gives NULL, never an
//! error; numbers of any kind are taken as doubles.

use std::sync::Arc;

use deltalake::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, StructArray,
};
use deltalake::arrow::buffer::{BooleanBuffer, NullBuffer};
use deltalake::arrow::datatypes::{DataType, Field, Fields, Float64Type};
use deltalake::datafusion::common::{exec_err, plan_err};
use deltalake::datafusion::error::Result as DataFusionResult;
use deltalake::datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignature, Volatility,
};

use crate::pricing::{self, Black76, Black76Quote, Bsm, BsmQuote, Right, Valuation};

/// Every function, ready to be registered.
pub(super) fn all() -> Vec<ScalarUDF> {
    Model::ALL.into_iter().map(|model| ScalarUDF::from(Pricing::new(model))).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Model {
    Bsm,
    Black76,
    American,
    ImpliedVol,
    ImpliedVolBlack76,
    ImpliedVolAmerican,
}

impl Model {
    const ALL: [Self; 6] = [
        Self::Bsm,
        Self::Black76,
        Self::American,
        Self::ImpliedVol,
        Self::ImpliedVolBlack76,
        Self::ImpliedVolAmerican,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Bsm => "bsm",
            Self::Black76 => "black76",
            Self::American => "american",
            Self::ImpliedVol => "implied_vol",
            Self::ImpliedVolBlack76 => "implied_vol_black76",
            Self::ImpliedVolAmerican => "implied_vol_american",
        }
    }

    /// The arguments after the right, in order.
    fn numbers(self) -> &'static [&'static str] {
        match self {
            Self::Bsm | Self::American => &["spot", "strike", "years", "rate", "yield", "vol"],
            Self::Black76 => &["forward", "strike", "years", "rate", "vol"],
            Self::ImpliedVol | Self::ImpliedVolAmerican => {
                &["price", "spot", "strike", "years", "rate", "yield"]
            }
            Self::ImpliedVolBlack76 => &["price", "forward", "strike", "years", "rate"],
        }
    }

    /// What it computes, for who looks it up.
    fn about(self) -> &'static str {
        match self {
            Self::Bsm => {
                "Price and Greeks a share of a European option on a stock with a dividend yield \
                 (Black and Scholes 1973, Merton 1973). Vega is per volatility point, theta per \
                 calendar day, rho per percentage point."
            }
            Self::Black76 => {
                "Price and Greeks a share of a European option on a forward (Black 1976); delta is \
                 to the forward."
            }
            Self::American => {
                "Price and Greeks a share of an American option on a stock with a dividend yield."
            }
            Self::ImpliedVol => {
                "The volatility at which bsm gives the price; NULL where none does."
            }
            Self::ImpliedVolBlack76 => {
                "The volatility at which black76 gives the price; NULL where none does."
            }
            Self::ImpliedVolAmerican => {
                "The volatility at which american gives the price; NULL where none does."
            }
        }
    }

    fn usage(self) -> String {
        format!("{}({RIGHT}, {})", self.name(), self.numbers().join(", "))
    }

    fn values(self) -> bool {
        match self {
            Self::Bsm | Self::Black76 | Self::American => true,
            Self::ImpliedVol | Self::ImpliedVolBlack76 | Self::ImpliedVolAmerican => false,
        }
    }

    fn value(self, right: Right, numbers: &[f64]) -> Option<Valuation> {
        match (self, numbers) {
            (Self::Bsm, &[spot, strike, years, rate, dividend_yield, vol]) => {
                pricing::bsm(&Bsm { right, spot, strike, years, rate, dividend_yield, vol })
            }
            (Self::American, &[spot, strike, years, rate, dividend_yield, vol]) => {
                pricing::american(&Bsm { right, spot, strike, years, rate, dividend_yield, vol })
            }
            (Self::Black76, &[forward, strike, years, rate, vol]) => {
                pricing::black76(&Black76 { right, forward, strike, years, rate, vol })
            }
            _ => None,
        }
    }

    fn implied(self, right: Right, numbers: &[f64]) -> Option<f64> {
        match (self, numbers) {
            (Self::ImpliedVol, &[price, spot, strike, years, rate, dividend_yield]) => {
                let quote = BsmQuote { right, price, spot, strike, years, rate, dividend_yield };
                pricing::implied_vol(&quote)
            }
            (Self::ImpliedVolAmerican, &[price, spot, strike, years, rate, dividend_yield]) => {
                let quote = BsmQuote { right, price, spot, strike, years, rate, dividend_yield };
                pricing::implied_vol_american(&quote)
            }
            (Self::ImpliedVolBlack76, &[price, forward, strike, years, rate]) => {
                let quote = Black76Quote { right, price, forward, strike, years, rate };
                pricing::implied_vol_black76(&quote)
            }
            _ => None,
        }
    }
}

/// The first argument of every function.
const RIGHT: &str = "option_right";

/// What an argument means.
fn meaning(argument: &str) -> &'static str {
    match argument {
        RIGHT => "'C' for a call, 'P' for a put",
        "price" => "of the option, USD a share",
        "spot" => "price of the stock, USD",
        "forward" => "price for delivery at expiry",
        "strike" => "in the units of spot or forward",
        "years" => "to the expiry instant: seconds / 31,536,000",
        "rate" => "a year, continuously compounded, as a fraction",
        "yield" => "dividend yield a year, continuous, as a fraction",
        _ => "volatility a year, as a fraction",
    }
}

fn documentation(model: Model) -> Documentation {
    let section = DocSection { include: true, label: "Option Pricing", description: None };
    let mut written = Documentation::builder(section, model.about(), model.usage());
    for argument in std::iter::once(&RIGHT).chain(model.numbers()) {
        written = written.with_argument(*argument, meaning(argument));
    }
    written.build()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pricing {
    model: Model,
    signature: Signature,
    documentation: Documentation,
}

impl Pricing {
    /// The second signature is the first as `show functions` can tell it.
    fn new(model: Model) -> Self {
        let mut told = vec![DataType::Utf8];
        told.extend(model.numbers().iter().map(|_| DataType::Float64));
        let signatures = vec![TypeSignature::UserDefined, TypeSignature::Exact(told)];
        let signature = Signature::one_of(signatures, Volatility::Immutable);
        Self { model, signature, documentation: documentation(model) }
    }

    /// The types in which these arguments are taken, or what is wrong with them.
    fn wanted(&self, given: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        let numbers = self.model.numbers();
        let usage = || self.model.usage();
        let Some((right, rest)) = given.split_first() else {
            return plan_err!("{} needs arguments", usage());
        };
        if rest.len() != numbers.len() {
            let n = numbers.len() + 1;
            return plan_err!("{} takes {n} arguments, {} are given", usage(), given.len());
        }
        let textual = matches!(
            right,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
        ) || matches!(right, DataType::Dictionary(_, value) if value.is_string());
        if !textual {
            return plan_err!("{}: option_right is 'C' or 'P', not {right}", usage());
        }
        for (name, kind) in numbers.iter().zip(rest) {
            if !(kind.is_numeric() || *kind == DataType::Null) {
                return plan_err!("{}: {name} is a number, not {kind}", usage());
            }
        }
        let mut wanted = vec![DataType::Utf8];
        wanted.extend(rest.iter().map(|_| DataType::Float64));
        Ok(wanted)
    }
}

const GREEKS: [&str; 6] = ["price", "delta", "gamma", "vega", "theta", "rho"];

fn valuation_fields() -> Fields {
    GREEKS.iter().map(|name| Field::new(*name, DataType::Float64, true)).collect()
}

impl ScalarUDFImpl for Pricing {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        self.wanted(arguments)?;
        if self.model.values() {
            Ok(DataType::Struct(valuation_fields()))
        } else {
            Ok(DataType::Float64)
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    /// What cannot be called is let through here: the engine would put its own words in the place
    /// of ours, which come when the result's type is asked for.
    fn coerce_types(&self, given: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(self.wanted(given).unwrap_or_else(|_| given.to_vec()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let rows = arguments.number_rows;
        let scalar =
            arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { rows };
        let arrays: Vec<ArrayRef> = arguments
            .args
            .iter()
            .map(|argument| argument.to_array(rows))
            .collect::<DataFusionResult<_>>()?;
        let Some((rights, numbers)) = arrays.split_first() else {
            return exec_err!("{} needs arguments", self.model.name());
        };
        let numbers: Vec<&Float64Array> =
            numbers.iter().filter_map(|column| column.as_primitive_opt::<Float64Type>()).collect();
        let Some(rights) = rights.as_string_opt::<i32>() else {
            return exec_err!("{}: option_right is no text", self.model.name());
        };
        let read = |row: usize, into: &mut Vec<f64>| -> Option<Right> {
            into.clear();
            let right = match rights.is_valid(row).then(|| rights.value(row)) {
                Some("C") => Right::Call,
                Some("P") => Right::Put,
                Some(_) | None => return None,
            };
            for column in &numbers {
                into.push(column.is_valid(row).then(|| column.value(row))?);
            }
            Some(right)
        };
        let result = if self.model.values() {
            valuations(rows, |row, into| self.model.value(read(row, into)?, into))
        } else {
            volatilities(rows, |row, into| self.model.implied(read(row, into)?, into))
        };
        if scalar {
            let value = deltalake::datafusion::common::ScalarValue::try_from_array(&result, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(result))
    }
}

fn valuations(rows: usize, value: impl Fn(usize, &mut Vec<f64>) -> Option<Valuation>) -> ArrayRef {
    let mut columns: [Float64Builder; 6] =
        std::array::from_fn(|_| Float64Builder::with_capacity(rows));
    let mut valid = Vec::with_capacity(rows);
    let mut numbers = Vec::new();
    for row in 0..rows {
        let found = value(row, &mut numbers);
        valid.push(found.is_some());
        let parts = found
            .map_or([None; 6], |v| [v.price, v.delta, v.gamma, v.vega, v.theta, v.rho].map(Some));
        for (column, part) in columns.iter_mut().zip(parts) {
            column.append_option(part);
        }
    }
    let arrays = columns.map(|mut column| Arc::new(column.finish()) as ArrayRef).to_vec();
    let nulls = NullBuffer::new(BooleanBuffer::from(valid));
    Arc::new(StructArray::new(valuation_fields(), arrays, Some(nulls)))
}

fn volatilities(rows: usize, value: impl Fn(usize, &mut Vec<f64>) -> Option<f64>) -> ArrayRef {
    let mut numbers = Vec::new();
    Arc::new((0..rows).map(|row| value(row, &mut numbers)).collect::<Float64Array>())
}
