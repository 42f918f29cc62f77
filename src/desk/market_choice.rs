//! Which simulated market stands behind the paper broker.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `synthetic`, `synthetic:fair` or `recorded:DIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketChoice {
    /// Implied variance carries the shipped premium.
    Synthetic,
    /// No premium: what an order earns here, it earns by luck.
    Fair,
    Recorded(PathBuf),
}

/// The text names no market.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no market; use synthetic, synthetic:fair or recorded:DIR")]
pub struct UnknownMarket(pub String);

impl FromStr for MarketChoice {
    type Err = UnknownMarket;

    fn from_str(text: &str) -> Result<Self, UnknownMarket> {
        match text {
            "synthetic" => Ok(Self::Synthetic),
            "synthetic:fair" => Ok(Self::Fair),
            other => match other.strip_prefix("recorded:") {
                Some(folder) if !folder.is_empty() => Ok(Self::Recorded(folder.into())),
                _ => Err(UnknownMarket(other.to_owned())),
            },
        }
    }
}

impl MarketChoice {
    /// The name of a demo's default home: `synthetic-1`, `recorded-ib_chain_snapshots`.
    pub fn home_name(&self, seed: u64) -> String {
        match self {
            Self::Synthetic => format!("synthetic-{seed}"),
            Self::Fair => format!("synthetic-fair-{seed}"),
            Self::Recorded(folder) => {
                let name = folder.file_name().map_or_else(
                    || "folder".to_owned(),
                    |name| name.to_string_lossy().into_owned(),
                );
                format!("recorded-{name}")
            }
        }
    }
}

impl fmt::Display for MarketChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic => out.write_str("synthetic"),
            Self::Fair => out.write_str("synthetic:fair"),
            Self::Recorded(folder) => write!(out, "recorded:{}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markets_read_back() {
        for text in ["synthetic", "synthetic:fair", "recorded:data/chains"] {
            assert_eq!(text.parse::<MarketChoice>().unwrap().to_string(), text);
        }
        for text in ["", "real", "recorded:", "synthetic:1.0"] {
            assert!(text.parse::<MarketChoice>().is_err());
        }
    }
}
