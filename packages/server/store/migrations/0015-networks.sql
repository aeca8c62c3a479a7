-- 0015: networks that accounts make, and offerings that say what they are.

alter table network_offering
  add column state text not null default 'Enabled' check (state in ('Enabled', 'Disabled')),
  add column is_default boolean not null default false,
  add column is_segment boolean not null default true,
  add column forwards_ssh boolean not null default true,
  add column removed timestamptz;
alter table network_offering drop constraint network_offering_name_key;
create unique index network_offering_name on network_offering (name) where removed is null;
alter table network_offering add check (guest_ip_type in ('Isolated', 'Shared'));
update network_offering set is_default = true, is_segment = false;
insert into network_offering (id, name, display_text, guest_ip_type, is_default)
select gen_random_uuid(), name, display_text, type, true from (values
  ('DefaultIsolatedNetworkOffering', 'A network of one account, whose machines reach each other; their SSH forwarded to ports of the host', 'Isolated'),
  ('DefaultSharedNetworkOffering', 'A network for all accounts of a domain, whose machines reach each other; their SSH forwarded to ports of the host', 'Shared'))
  offering (name, display_text, type)
where exists (select from zone); -- otherwise the first start makes them

alter table network
  add column domain_id uuid references domain,
  add column subdomain_access boolean not null default true,
  add column network_domain text;
update network set domain_id = (select id from domain where level = 0);
alter table network alter column state set default 'Allocated';
update network set state = 'Allocated';
alter table network add check (state in ('Allocated', 'Destroy'));
create index network_by_account on network (account_id);
create index network_by_zone on network (zone_id, created);
