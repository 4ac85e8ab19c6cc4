-- Policies, what they do to items and recovery points, and jobs. As in 0001: bigint, text and {BLOB}; times are
-- nanoseconds since 1970; zero and an empty value stand for "none", 9223372036854775807 for "never".

-- settings is model::VaultSettings as JSON.
alter table vaults add column settings text not null default '{}';
alter table vaults add column version bigint not null default 1;

create table policies (
    key {ID},
    vault bigint not null references vaults (key),
    name text not null,
    name_folded text not null,
    workload text not null,
    rules text not null,
    version bigint not null,
    created bigint not null,
    changed bigint not null,
    unique (vault, name_folded)
);

-- policy is a key of policies, or zero. owed_until and owed_tags are model::policy::Owed. next_due is the moment of the
-- next scheduled backup; next_look the one at which a recovery point may expire.
alter table items add column workload text not null default 'FilesAndFolders';
alter table items add column state text not null default 'NotProtected';
alter table items add column policy bigint not null default 0;
alter table items add column version bigint not null default 1;
alter table items add column owed_until bigint not null default 0;
alter table items add column owed_tags bigint not null default 0;
alter table items add column next_due bigint not null default 9223372036854775807;
alter table items add column next_look bigint not null default 9223372036854775807;
alter table items add column last_backup text not null default '';
alter table items add column last_backup_at bigint not null default 0;
alter table items add column deleted bigint not null default 0;
alter table items add column purge_at bigint not null default 9223372036854775807;
create index items_of_policy on items (policy);
create index items_by_due on items (next_due);
create index items_by_look on items (next_look);
create index items_by_purge on items (purge_at);

-- tags: model::policy::Tags. due: the moment that it was scheduled for, zero on demand.
alter table points add column tags bigint not null default 0;
alter table points add column due bigint not null default 0;
alter table points add column asked_until bigint not null default 0;
alter table points add column held bigint not null default 0;

-- item and container have no references: history outlives what it speaks of. is_open is 1 while the job is not over, and
-- then no other one of its operation begins on the item. progress, tasks and errors are JSON.
create table jobs (
    key {ID},
    id {BLOB} not null unique,
    vault bigint not null references vaults (key),
    item {BLOB} not null,
    container {BLOB} not null,
    name text not null,
    operation text not null,
    trigger_kind text not null,
    state text not null,
    is_open bigint not null,
    due bigint not null,
    keep_until bigint not null,
    created bigint not null,
    started bigint not null,
    ended bigint not null,
    seen bigint not null,
    progress text not null,
    tasks text not null,
    errors text not null,
    point {BLOB} not null
);
create unique index jobs_one_open on jobs (item, operation) where is_open = 1;
create index jobs_open_of_container on jobs (container) where is_open = 1;
create index jobs_of_vault on jobs (vault, created);
create index jobs_by_end on jobs (ended);

-- Leases of minutes: whoever held one begins a new one. job is empty, or a job's id.
drop table sessions;
create table sessions (
    id {BLOB} not null primary key,
    container bigint not null references containers (key),
    begun bigint not null,
    lease_until bigint not null,
    job {BLOB} not null
);
create index sessions_of_container on sessions (container);
