-- What machines back up, as they sealed it: the service cannot read it. As in 0001: bigint and {BLOB}; times are
-- nanoseconds since 1970.

-- generation grows with each change, and is sealed with the settings: an older state shows as what it is.
create table machine_settings (
    item bigint not null primary key references items (key),
    key_set {BLOB} not null,
    generation bigint not null,
    sealed {BLOB} not null,
    changed bigint not null
);
