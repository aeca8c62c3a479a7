-- 0028: networks that a cluster's hypervisor has of its own. Who gives addresses in them is not known, so they and their NICs have none.
alter table network_offering add column of_inventory boolean not null default false;
alter table network
  alter column cidr drop not null,
  alter column gateway drop not null,
  alter column start_ip drop not null,
  alter column end_ip drop not null,
  add column cluster_id uuid references cluster,
  add column foreign_name text,
  add check ((cluster_id is null) = (foreign_name is null)),
  add check ((foreign_name is null) = (cidr is not null) and num_nulls(cidr, gateway, start_ip, end_ip) in (0, 4)),
  add unique (cluster_id, foreign_name);
alter table nic alter column ip_address drop not null;
