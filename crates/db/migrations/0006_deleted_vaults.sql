-- Machines that were unregistered, and vaults that were deleted, while something of them can be brought back. As in 0001 and
-- 0002: times are nanoseconds since 1970; zero stands for "none", 9223372036854775807 for "never". The name_folded of such a
-- row ends in a space and the row's id, so that its name is free.

alter table containers add column unregistered bigint not null default 0;

alter table vaults add column deleted bigint not null default 0;
alter table vaults add column purge_at bigint not null default 9223372036854775807;
create index vaults_by_purge on vaults (purge_at);
