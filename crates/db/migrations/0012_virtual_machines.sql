-- Virtual machines are containers that another container, their host, signs in for, with its own key. host is the id of
-- that one; empty: the container signs in for itself, or is a virtual machine that no registered host has. facts
-- (model::MachineFacts as JSON) are what the host said last; gone is 1 when it did not find the machine the last time.
-- discovery_asked and discovered are of hosts: when somebody wanted them to look, and when they last told what they found.
alter table containers add column host {BLOB} not null default {NONE};
alter table containers add column facts text not null default '';
alter table containers add column seen bigint not null default 0;
alter table containers add column gone bigint not null default 0;
alter table containers add column discovery_asked bigint not null default 0;
alter table containers add column discovered bigint not null default 0;
create index containers_of_host on containers (host);

-- What kind of thing a job is about: its item may be gone when somebody asks.
alter table jobs add column workload text not null default 'FilesAndFolders';
