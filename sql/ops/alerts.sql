-- about: Alerts for the operator.
-- grain: one row an alert
-- key: alert_id
-- owner: alert
-- live: session
create table ops.alerts (
    alert_id varchar not null,
    severity varchar not null,
    subject varchar not null,
    message varchar not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
