-- network is the one that the request came from: of what waits, each may have a share only. What is older has none.
alter table device_codes add column network text not null default '';
create index device_codes_of_network on device_codes (network);
alter table external_sign_ins add column network text not null default '';
create index external_sign_ins_of_network on external_sign_ins (network);
