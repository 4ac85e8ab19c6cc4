-- People who sign in elsewhere, and links by which a person sets a password. As in 0003: bigint, text and {BLOB}; times are
-- nanoseconds since 1970. An empty password_hash in users stands for "no password".

-- Whom another provider vouches for. subject is what the issuer calls the person: never an address, which may change hands.
create table external_identities (
    id {BLOB} not null primary key,
    issuer text not null,
    subject text not null,
    user_id {BLOB} not null,
    created bigint not null,
    created_by text not null,
    used bigint not null,
    unique (issuer, subject)
);
create index external_identities_of_user on external_identities (user_id);

-- Browsers that were sent to another provider and have not come back. hash is of the state, browser of what only that browser
-- has; nonce and proof key are computed from both, and are not kept. continues is what goes on then, as JSON.
create table external_sign_ins (
    hash {BLOB} not null primary key,
    browser {BLOB} not null,
    provider text not null,
    continues text not null,
    expires bigint not null
);

-- Links by which a person sets a password, once. Of each user the newest one counts.
create table password_links (
    user_id {BLOB} not null primary key,
    hash {BLOB} not null unique,
    expires bigint not null
);
