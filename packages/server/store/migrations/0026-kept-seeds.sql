-- The seed that a disk stands on, where the hypervisor keeps both: the seed stays so long.
alter table volume add column seed_id uuid references layer;
create index volume_by_seed on volume (seed_id) where seed_id is not null;

-- What somebody else did to the machine in its vCenter, for people.
alter table vm add column inventory_problems text[] not null default '{}';
