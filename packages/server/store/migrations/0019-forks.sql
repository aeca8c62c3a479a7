-- Clones: a machine at one instant, made for them (fork), and what is known of machines that are clones or sources.
alter table vm
  add column is_instant boolean not null default false,
  add column is_frozen boolean not null default false,
  add column fork_id uuid,
  add column memory_image_id uuid,
  add column memory_counted_mib integer;
create index vm_by_fork on vm (fork_id) where fork_id is not null;
create index vm_by_memory_image on vm (memory_image_id) where memory_image_id is not null;

create table fork (
  id uuid primary key,
  vm_id uuid not null references vm,
  memory_image_id uuid unique references memory_image,
  with_memory boolean not null,
  is_frozen boolean not null default false, -- the machine stands still in it
  state text not null check (state in ('Allocated', 'Creating', 'Ready', 'Error')), -- Allocated: others may still join
  stun_ms double precision, -- how long the guest stood still
  created timestamptz not null default now()
);
create index fork_by_vm on fork (vm_id);
create unique index fork_of_frozen on fork (vm_id) where is_frozen;

create table fork_disk (
  fork_id uuid not null references fork on delete cascade,
  volume_id uuid not null references volume,
  layer_id uuid not null references layer,
  device_id integer not null,
  size_bytes bigint not null,
  primary key (fork_id, volume_id)
);
create index fork_disk_by_layer on fork_disk (layer_id);

alter table vm
  add foreign key (fork_id) references fork,
  add foreign key (memory_image_id) references memory_image on delete set null;

create or replace function count_on_hosts() returns trigger language plpgsql as $$
declare
  occupying constant text[] := array['Starting', 'Running', 'Stopping', 'Migrating'];
begin
  update host_load l set machines = l.machines + d.machines, cpus = l.cpus + d.cpus,
    cpu_mhz = l.cpu_mhz + d.cpu_mhz, memory_mib = l.memory_mib + d.memory_mib
  from (
    select host, sum(sign) as machines, sum(sign * side.cpus) as cpus, sum(sign * side.cpus * side.cpu_mhz) as cpu_mhz,
      sum(sign * side.memory_mib) as memory_mib
    from (
      select unnest(array[old.host_id, old.target_host_id]) as host, -1 as sign, old.cpus, old.cpu_mhz,
          coalesce(old.memory_counted_mib, old.memory_mib) as memory_mib
        where old.state = any(occupying) and old.removed is null
      union all
      select unnest(array[new.host_id, new.target_host_id]), 1, new.cpus, new.cpu_mhz,
          coalesce(new.memory_counted_mib, new.memory_mib)
        where new.state = any(occupying) and new.removed is null) side
    group by host
    having sum(sign) <> 0 or sum(sign * side.cpus) <> 0 or sum(sign * side.cpus * side.cpu_mhz) <> 0
      or sum(sign * side.memory_mib) <> 0
    order by host) d
  where l.host_id = d.host;
  return null;
end $$;

drop trigger count_on_hosts on vm;
create trigger count_on_hosts after insert or delete or update of state, host_id, target_host_id, cpus, cpu_mhz, memory_mib, memory_counted_mib,
    removed on vm for each row execute function count_on_hosts();

create function leave_memory() returns trigger language plpgsql as $$
begin
  new.memory_image_id := null;
  new.memory_counted_mib := null;
  return new;
end $$;

create trigger leave_memory before update of state on vm for each row
  when (old.state <> new.state and new.state in ('Stopped', 'Destroyed', 'Expunging', 'Error')) execute function leave_memory();
