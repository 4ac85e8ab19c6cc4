-- One text for SQLite and PostgreSQL. {ID}, {BLOB} and {CLUSTERED} are filled in per dialect (src/dialect.rs).
-- Columns are bigint, text or {BLOB}, nothing else. Times are nanoseconds since 1970. There are no null values:
-- an empty {BLOB} stands for "none".

create table vaults (
    key {ID},
    id {BLOB} not null unique,
    name text not null,
    name_folded text not null unique,
    region text not null,
    redundancy text not null,
    created bigint not null,
    salt {BLOB} not null,
    file_digest {BLOB} not null
);

create table items (
    key {ID},
    id {BLOB} not null unique,
    vault bigint not null references vaults (key),
    latest_point {BLOB} not null,
    latest_digest {BLOB} not null
);
create index items_of_vault on items (vault);

create table containers (
    key {ID},
    id {BLOB} not null unique,
    vault bigint not null references vaults (key),
    item bigint not null references items (key),
    name text not null,
    name_folded text not null,
    public_key {BLOB} not null,
    registered bigint not null,
    unique (vault, name_folded)
);
create index containers_of_item on containers (item);

create table key_sets (
    vault bigint not null references vaults (key),
    id {BLOB} not null,
    digest {BLOB} not null,
    verifier {BLOB} not null,
    size bigint not null,
    added_by bigint not null references containers (key),
    added bigint not null,
    primary key (vault, id)
);
create index key_sets_of_container on key_sets (added_by);

create table key_set_members (
    vault bigint not null,
    key_set {BLOB} not null,
    container bigint not null references containers (key),
    primary key (vault, key_set, container),
    foreign key (vault, key_set) references key_sets (vault, id)
);
create index key_set_members_by_container on key_set_members (container);

create table packs (
    key {ID},
    vault bigint not null references vaults (key),
    id {BLOB} not null,
    size bigint not null,
    added bigint not null,
    unique (vault, id)
);

-- The index of the vault: where each blob lies. By far the largest table, hence no surrogate, no second index, and the
-- pack by its small key. level is the page's level, -1 for a chunk. verified is 1 when all that a page refers to, down to
-- the chunks, was seen to be there.
create table blobs (
    vault bigint not null,
    id {BLOB} not null,
    pack bigint not null references packs (key),
    place bigint not null,
    size bigint not null,
    level bigint not null,
    verified bigint not null,
    primary key (vault, id)
) {CLUSTERED};

create table points (
    key {ID},
    vault bigint not null references vaults (key),
    id {BLOB} not null,
    item bigint not null references items (key),
    key_set {BLOB} not null,
    root {BLOB} not null,
    created bigint not null,
    committed bigint not null,
    consistency bigint not null,
    total_bytes bigint not null,
    new_bytes bigint not null,
    files bigint not null,
    size bigint not null,
    digest {BLOB} not null,
    predecessor {BLOB} not null,
    unique (vault, id),
    foreign key (vault, key_set) references key_sets (vault, id)
);
create index points_of_item on points (item);
create index points_of_key_set on points (vault, key_set);

create table sessions (
    id {BLOB} not null primary key,
    container bigint not null references containers (key),
    begun bigint not null,
    lease_until bigint not null
);
create index sessions_of_container on sessions (container);

create table users (
    name text not null,
    name_folded text not null primary key,
    password_hash text not null,
    created bigint not null
);

create table credentials (
    id {BLOB} not null primary key,
    vault bigint not null references vaults (key),
    secret_hash {BLOB} not null,
    issued bigint not null,
    expires bigint not null,
    used bigint not null
);
create index credentials_of_vault on credentials (vault);

create table settings (
    name text not null primary key,
    value text not null
);
