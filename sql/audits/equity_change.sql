-- about: The change of equity is realised plus unrealised profit plus what is nobody's (interest, dividends), within the error of the marks and a cent.
-- audit: table
with
clock as (
    select * from run
),
daily as (
    select * from gold.pnl_daily
)
select
    daily.account_id,
    daily.session_date,
    daily.equity_change_usd,
    daily.flows_usd,
    daily.realised_usd,
    daily.unrealised_usd,
    daily.mark_error_usd
from daily
inner join clock on daily.session_date = clock.session_date
where daily.unrealised_usd is not null
    and abs(
        cast(
            daily.equity_change_usd - daily.flows_usd - daily.realised_usd
            - daily.interest_usd - daily.dividends_usd as double
        ) - daily.unrealised_usd
    ) > daily.mark_error_usd + 0.01
order by daily.account_id
