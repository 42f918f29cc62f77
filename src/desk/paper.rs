//! The paper account as the settings describe it.

use anyhow::Context as _;

use crate::exchange::ExchangeConfig;
use crate::market::Usd;

use super::settings::Settings;

/// The paper account's cash at its beginning.
pub fn initial_cash(settings: &Settings) -> anyhow::Result<Usd> {
    Usd::from_f64(settings.paper.initial_cash_usd)
        .context("deltadesk.toml: [paper] initial_cash_usd is no amount")
}

/// The exchange's settings: as shipped, with the account, its cash and its margin as the operator
/// wrote them. The gate and the exchange margin by the same numbers.
pub fn exchange_config(settings: &Settings, seed: u64) -> anyhow::Result<ExchangeConfig> {
    let paper = &settings.paper;
    let mut config = ExchangeConfig::shipped(seed);
    config.account_id.clone_from(&paper.account_id);
    config.initial_cash = initial_cash(settings)?;
    config.initial_commodities_cash = Usd::from_f64(paper.commodities_cash_usd)
        .context("deltadesk.toml: [paper] commodities_cash_usd is no amount")?;
    config.margin.parameters = settings.risk.margin.clone();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::files::shipped;
    use crate::structures::testing::usd;

    #[test]
    fn account_cash_and_margin_are_those_of_the_settings() {
        let mut files = shipped();
        let text = files["deltadesk.toml"]
            .replace("commodities_cash_usd = 50000.0", "commodities_cash_usd = 12000.0")
            .replace("naked_underlying_ratio = 0.20", "naked_underlying_ratio = 0.35");
        files.insert("deltadesk.toml".to_owned(), text);
        let settings = Settings::read(&files).unwrap();
        let config = exchange_config(&settings, 3).unwrap();
        assert_eq!(config.initial_cash, usd(250_000.0));
        assert_eq!(config.initial_commodities_cash, usd(12_000.0));
        assert_eq!(config.margin.parameters, settings.risk.margin);
        assert_eq!(config.seed, 3);
    }

    #[test]
    fn a_commodities_segment_larger_than_the_account_is_a_fault_with_its_line() {
        let mut files = shipped();
        let text = files["deltadesk.toml"]
            .replace("commodities_cash_usd = 50000.0", "commodities_cash_usd = 250000.5");
        let line = text.lines().position(|line| line.starts_with("commodities_cash_usd")).unwrap();
        files.insert("deltadesk.toml".to_owned(), text);
        let faults = Settings::read(&files).unwrap_err();
        assert_eq!((faults.len(), faults[0].line), (1, line + 1), "{}", faults[0]);
        assert!(faults[0].to_string().contains("commodities_cash_usd = 250000.5"));
    }
}
