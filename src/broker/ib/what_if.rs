//! What the account would look like after an order.
//!
//! The question goes out as an order with a flag, and its answer comes as an open order with the
//! same id among the news of all others. Only a code that the policy takes for a refusal is one:
//! what merely informs comes before the answer as it does before an order's first status.

use futures::StreamExt as _;
use ibapi::orders::{OrderState, OrderUpdate};
use ibapi::prelude::{Client, SubscriptionItem};
use tokio::time::timeout;

use crate::broker::BrokerError;
use crate::market::Usd;
use crate::market::clock::Stopwatch;
use crate::structures::{OrderRequest, Reject, WhatIf};

use super::codes::{OnOrder, policy};
use super::link::Link;
use super::session::Updates;
use super::trading::Written;

impl Link {
    /// Asks, and tells the operator why there is no answer.
    pub async fn margin_of(
        &self,
        client: &Client,
        updates: &mut Updates,
        request: &OrderRequest,
    ) -> Result<WhatIf, BrokerError> {
        let answer = self.ask_margin(client, updates, request).await;
        if let Err(error) = &answer {
            tracing::warn!(order.ref = request.order_ref.as_str(), "no margin: {error}");
        }
        answer
    }

    async fn ask_margin(
        &self,
        client: &Client,
        updates: &mut Updates,
        request: &OrderRequest,
    ) -> Result<WhatIf, BrokerError> {
        self.reachable()?;
        let Written { contract, mut order } = self.written(request)?;
        order.what_if = true;
        let order_id = client.next_order_id();
        self.mirror().book.asking(order_id);
        self.submit(client, order_id, (&contract, &order)).await?;
        let waited = Stopwatch::start();
        let mut said = String::new();
        loop {
            let left = self.bounds.answer.saturating_sub(waited.elapsed());
            let Ok(item) = timeout(left, updates.next()).await else {
                return Err(BrokerError::NoAnswer(format!("no margin in time{said}")));
            };
            match item {
                Some(Ok(SubscriptionItem::Data(OrderUpdate::OpenOrder(data))))
                    if data.order_id == order_id
                        && data.order.client_id == self.endpoint.client_id =>
                {
                    return read(&data.order_state);
                }
                Some(Ok(SubscriptionItem::Notice(notice)))
                    if notice.request_id == Some(order_id) =>
                {
                    if policy(notice.code).order == OnOrder::Refused {
                        return Err(Reject { code: notice.code, reason: notice.message }.into());
                    }
                    said = format!("; the broker said {} {}", notice.code, notice.message);
                }
                item => self.hear(client, item).await?,
            }
        }
    }
}

/// The answer's figures. One that is missing makes the answer none.
fn read(state: &OrderState) -> Result<WhatIf, BrokerError> {
    let usd = |value: Option<f64>, name: &str| {
        value.and_then(Usd::from_f64).ok_or_else(|| {
            BrokerError::NoAnswer(format!("the broker's margin answer has no {name}"))
        })
    };
    let equity = usd(state.equity_with_loan_after, "equity")?;
    let maintenance = usd(state.maintenance_margin_after, "maintenance margin")?;
    let commission = state.commission.or(state.maximum_commission);
    Ok(WhatIf {
        initial_margin_before: usd(state.initial_margin_before, "initial margin before")?,
        initial_margin_after: usd(state.initial_margin_after, "initial margin")?,
        maintenance_margin_after: maintenance,
        equity_with_loan_after: equity,
        excess_liquidity_after: equity - maintenance,
        commission: usd(commission, "commission")?,
    })
}
