-- People, service principals, their roles and what they did.

create table resource_groups (
    name text not null,
    name_folded text not null primary key,
    region text not null,
    tags text not null,
    created bigint not null
);
-- The group that always exists; the first start dates it.
insert into resource_groups (name, name_folded, region, tags, created) values ('default', 'default', 'local', '', 0);

alter table vaults add column resource_group text not null default 'default';

-- An empty id: the account is older than ids and roles, and gets both at the next start.
alter table users add column id {BLOB} not null default {NONE};
alter table users add column email text not null default '';
alter table users add column disabled bigint not null default 0;
create unique index users_by_id on users (id) where id <> {NONE};

-- One-time passwords. step is the last that was used: none is good twice. confirmed is 0 until the user has shown one.
create table one_time_passwords (
    user_id {BLOB} not null primary key,
    sealed_secret {BLOB} not null,
    confirmed bigint not null,
    step bigint not null,
    created bigint not null
);

create table recovery_codes (
    user_id {BLOB} not null,
    hash {BLOB} not null,
    primary key (user_id, hash)
);

create table applications (
    id {BLOB} not null primary key,
    name text not null,
    name_folded text not null unique,
    redirects text not null,
    disabled bigint not null,
    created bigint not null
);

-- What service principals sign in with. kind 0: a secret, of which there is a hash; 1: a certificate, whose public part is
-- in certificate and whose thumbprint (SHA-256) is in hash.
create table application_keys (
    id {BLOB} not null primary key,
    application {BLOB} not null references applications (id),
    kind bigint not null,
    label text not null,
    hash {BLOB} not null,
    certificate {BLOB} not null,
    created bigint not null,
    expires bigint not null
);
create index application_keys_of_application on application_keys (application);

-- Assertions that were used: none is good twice.
create table used_assertions (
    hash {BLOB} not null primary key,
    expires bigint not null
);

create table role_assignments (
    id {BLOB} not null primary key,
    principal {BLOB} not null,
    role text not null,
    scope text not null,
    created bigint not null,
    created_by text not null,
    unique (principal, role, scope)
);

-- A sign-in that goes on by refresh tokens; each of them is a generation.
create table logins (
    id {BLOB} not null primary key,
    user_id {BLOB} not null,
    client text not null,
    generation bigint not null,
    renewed bigint not null,
    expires bigint not null
);
create index logins_of_user on logins (user_id);

-- status 0: pending, 1: allowed, 2: refused.
create table device_codes (
    hash {BLOB} not null primary key,
    user_code text not null unique,
    client text not null,
    status bigint not null,
    user_id {BLOB} not null,
    created bigint not null,
    expires bigint not null,
    polled bigint not null,
    interval_seconds bigint not null
);

create table authorization_codes (
    hash {BLOB} not null primary key,
    user_id {BLOB} not null,
    client text not null,
    redirect text not null,
    challenge text not null,
    expires bigint not null
);

-- Only ever appended to. actor 0: nobody, 1: a user, 2: a service principal.
create table audit (
    key {ID},
    time bigint not null,
    actor bigint not null,
    actor_id {BLOB} not null,
    actor_name text not null,
    action text not null,
    method text not null,
    path text not null,
    scope text not null,
    status bigint not null,
    peer text not null,
    request {BLOB} not null
);
create index audit_by_time on audit (time);
create index audit_by_actor on audit (actor_id);
