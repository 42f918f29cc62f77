//! Legs of the predecessor's executions, which it wrote in two ways: as planned (`action` and an
//! unsigned quantity, PUT or CALL, an expiration of their own) and as copied from positions (a
//! signed quantity, P or C, the average cost).

use serde::Deserialize;

/// One leg, in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    /// Below zero: sold.
    pub quantity: f64,
    /// C or P.
    pub right: &'static str,
    pub strike_usd: f64,
    /// ISO date; the copied kind has none.
    pub expiry: Option<String>,
    /// IB's average cost a share; the planned kind has none.
    pub average_cost_usd: Option<f64>,
    /// The predecessor never filled one; where a price is written, it is kept.
    pub fill_price_usd: Option<f64>,
}

#[derive(Deserialize)]
struct Written {
    right: String,
    strike: f64,
    quantity: f64,
    action: Option<String>,
    expiration: Option<String>,
    avg_cost: Option<f64>,
    fill_price: Option<f64>,
}

/// The legs of one execution, or what cannot be read of them.
pub fn parse(text: &str) -> Result<Vec<Leg>, String> {
    let written: Vec<Written> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if written.is_empty() {
        return Err("there is no leg".to_owned());
    }
    written.into_iter().map(Leg::try_from).collect()
}

impl TryFrom<Written> for Leg {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let right = match written.right.to_uppercase().as_str() {
            "C" | "CALL" => "C",
            "P" | "PUT" => "P",
            other => return Err(format!("`{other}` is no right")),
        };
        let quantity = match written.action.as_deref() {
            None => written.quantity,
            Some("BUY") if written.quantity > 0.0 => written.quantity,
            Some("SELL") if written.quantity > 0.0 => -written.quantity,
            Some(other) => return Err(format!("`{other}` of {} is no side", written.quantity)),
        };
        if quantity == 0.0 || written.strike <= 0.0 {
            return Err(format!("{quantity} at strike {} is no leg", written.strike));
        }
        Ok(Self {
            quantity,
            right,
            strike_usd: written.strike,
            expiry: written.expiration,
            average_cost_usd: written.avg_cost,
            fill_price_usd: written.fill_price,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let planned = r#"[{"leg_id":"a","conid":0,"right":"PUT","strike":465,
            "expiration":"2026-03-13","quantity":1,"action":"SELL","fill_price":null}]"#;
        let copied = r#"[{"right":"P","strike":465.0,"quantity":-1.0,"avg_cost":0.5}]"#;
        let (planned, copied) = (parse(planned).unwrap(), parse(copied).unwrap());
        assert_eq!(planned[0].expiry.as_deref(), Some("2026-03-13"));
        assert_eq!(copied[0].average_cost_usd, Some(0.5));
        let same = |leg: &Leg| (leg.quantity, leg.right, leg.strike_usd);
        assert_eq!(same(&planned[0]), same(&copied[0]));
    }

    #[test]
    fn what_is_no_leg_says_why() {
        for (text, said) in [
            ("[]", "there is no leg"),
            ("{}", "invalid type"),
            (r#"[{"right":"X","strike":1,"quantity":1}]"#, "`X` is no right"),
            (r#"[{"right":"C","strike":1,"quantity":1,"action":"HOLD"}]"#, "is no side"),
            (r#"[{"right":"C","strike":1,"quantity":-1,"action":"BUY"}]"#, "is no side"),
            (r#"[{"right":"C","strike":0,"quantity":1}]"#, "is no leg"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
        }
    }
}
