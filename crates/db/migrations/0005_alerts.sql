-- Alerts, who is told of them, and what is on its way to whom. As in 0001 and 0002: bigint, text and {BLOB}; times are
-- nanoseconds since 1970; zero and an empty value stand for "none".

-- When the last good backup began; before the first one, when the item came under its schedule: model::RpoBasis.
alter table items add column rpo_from bigint not null default 0;
update items set rpo_from = (case when last_backup in ('Completed', 'CompletedWithWarnings') then last_backup_at
    else coalesce((select max(registered) from containers where containers.item = items.key), 0) end);

-- topic says which causes are one alert: of one topic one alert stands. cause is what was counted last. item and job have no
-- references: history outlives what it speaks of.
create table alerts (
    key {ID},
    id {BLOB} not null unique,
    vault bigint not null references vaults (key),
    item {BLOB} not null,
    job {BLOB} not null,
    kind text not null,
    severity text not null,
    code text not null,
    subject text not null,
    message text not null,
    recommendation text not null,
    topic text not null,
    cause text not null,
    times bigint not null,
    state text not null,
    is_active bigint not null,
    raised bigint not null,
    last_at bigint not null,
    ended bigint not null,
    ended_by text not null,
    note text not null
);
create unique index alerts_one_active on alerts (vault, topic) where is_active = 1;
create index alerts_of_topic on alerts (vault, topic, cause);
create index alerts_active_of_item on alerts (item) where is_active = 1;
create index alerts_of_vault on alerts (vault, key);
create index alerts_by_end on alerts (ended);

-- What happened to alerts and nobody was told of yet. It goes in the transaction that makes deliveries of it. due: zero at
-- first; the end of the hour, if it waits for a digest.
create table alert_events (
    key {ID},
    alert bigint not null references alerts (key),
    event text not null,
    at bigint not null,
    due bigint not null
);
create index alert_events_by_due on alert_events (due);
create index alert_events_of_alert on alert_events (alert);

-- settings is model::NotificationSettings as JSON. secret is what signs webhooks, sealed with a key that is not in this
-- database.
create table notifications (
    vault bigint not null primary key references vaults (key),
    settings text not null,
    secret {BLOB} not null,
    version bigint not null
);

-- What is on its way: the whole text, so that every attempt says the same. Whoever has the lease tries.
create table deliveries (
    key {ID},
    id {BLOB} not null unique,
    vault bigint not null references vaults (key),
    channel text not null,
    target text not null,
    subject text not null,
    body text not null,
    made bigint not null,
    attempts bigint not null,
    next_try bigint not null,
    lease_until bigint not null,
    is_open bigint not null,
    ended bigint not null,
    outcome text not null,
    error text not null
);
create index deliveries_open on deliveries (next_try) where is_open = 1;
create index deliveries_of_vault on deliveries (vault);
create index deliveries_by_end on deliveries (ended);
