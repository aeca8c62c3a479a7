-- 0004: machines are recovered, restored and scaled; custom offerings; groups that people make of machines.

create table instance_group (
  id uuid primary key,
  account_id uuid not null references account on delete cascade,
  name text not null,
  created timestamptz not null default now(),
  unique (account_id, name)
);

create table affinity_group (
  id uuid primary key,
  account_id uuid not null references account on delete cascade,
  name text not null,
  type text not null check (type in ('host affinity', 'host anti-affinity')),
  description text,
  created timestamptz not null default now(),
  unique (account_id, name)
);

create table affinity_group_vm (
  group_id uuid not null references affinity_group on delete cascade,
  vm_id uuid not null references vm on delete cascade,
  primary key (group_id, vm_id)
);
create index affinity_group_vm_by_vm on affinity_group_vm (vm_id);

alter table service_offering alter column cpus drop not null;
alter table service_offering alter column cpu_mhz drop not null;
alter table service_offering alter column memory_mib drop not null;
alter table service_offering add column min_cpus integer;
alter table service_offering add column max_cpus integer;
alter table service_offering add column min_memory_mib integer;
alter table service_offering add column max_memory_mib integer;

alter table vm add column group_id uuid references instance_group on delete set null;
alter table vm add column os_type_id uuid references os_type;
alter table vm add column seed_version integer not null default 0;
alter table vm add column ha_enabled boolean not null default false;
alter table vm add column details jsonb not null default '{}';
alter table vm add column destroyed timestamptz;
update vm set destroyed = updated where state in ('Destroyed', 'Expunging');

alter table volume add column destroyed timestamptz;
update volume set destroyed = now() where state = 'Destroy';
