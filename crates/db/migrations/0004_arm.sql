-- What only the clients of Azure ask for. Nothing else of the product reads these tables.

-- What a client said about a vault and wants to read again: tags, settings that have no meaning here. version counts changes.
create table vault_records (
    vault {BLOB} not null primary key,
    document text not null,
    version bigint not null
);

-- Requests that are answered with "look there for what became of it". They outlive the vault, whose deletion is one of them.
-- place is the id of the vault in the resource hierarchy, in lower case. An empty job: there is none.
create table operations (
    id {BLOB} not null primary key,
    place text not null,
    begun bigint not null,
    ended bigint not null,
    job {BLOB} not null,
    error_code text not null,
    error_message text not null,
    details text not null
);
create index operations_by_end on operations (ended);
