-- Security PINs, resource guards and approvals. As in 0001 to 0005: bigint, text and {BLOB}; times are nanoseconds since
-- 1970; zero and an empty value stand for "none".

-- The one PIN of a vault that is good now. hash is keyed by what the data folder alone has. issuer is numbered as
-- audit.actor is.
create table security_pins (
    vault bigint not null primary key references vaults (key),
    hash {BLOB} not null,
    expires bigint not null,
    wrong bigint not null,
    issuer bigint not null,
    issuer_id {BLOB} not null,
    issuer_name text not null
);

-- keyed is 1 when the machine has added or joined a key set since it was registered. wrong_pins are its guesses in a row,
-- wrong_pin_at is the moment of the last.
alter table containers add column keyed bigint not null default 0;
alter table containers add column wrong_pins bigint not null default 0;
alter table containers add column wrong_pin_at bigint not null default 0;
update containers set keyed = 1 where key in (select container from key_set_members);

-- excepted: the model::GuardedOperation that the guard leaves alone, with commas between.
create table guards (
    key {ID},
    resource_group text not null,
    name text not null,
    name_folded text not null,
    excepted text not null,
    created bigint not null,
    unique (resource_group, name_folded)
);

create table vault_guards (
    vault bigint not null primary key references vaults (key),
    guard bigint not null references guards (key),
    since bigint not null
);
create index vault_guards_of_guard on vault_guards (guard);

-- subject is what the operation is done to, as vault::Subject spells it. ends is the moment after which a pending or
-- approved one is worth nothing. There is one open request for the same thing by the same account.
create table approvals (
    key {ID},
    id {BLOB} not null unique,
    vault bigint not null references vaults (key),
    guard bigint not null references guards (key),
    operation text not null,
    subject text not null,
    subject_name text not null,
    reason text not null,
    state text not null,
    requester bigint not null,
    requester_id {BLOB} not null,
    requester_name text not null,
    requested bigint not null,
    ends bigint not null,
    decided bigint not null,
    decided_by text not null,
    used bigint not null
);
create index approvals_of_vault on approvals (vault, key);
create index approvals_of_guard on approvals (guard, key);

-- Who has ever held a secret or a certificate of a service principal: whoever did may have asked in its name.
create table application_hands (
    application {BLOB} not null,
    account {BLOB} not null,
    primary key (application, account)
);
