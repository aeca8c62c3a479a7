-- 0007: many hosts. What machines occupy of each is counted as machines change; machines migrate; a host may go for good.

alter table vm drop constraint vm_last_host_id_fkey;
alter table vm add foreign key (last_host_id) references host on delete set null;
alter table vm add column target_host_id uuid references host;
create index vm_by_target_host on vm (target_host_id) where target_host_id is not null;
create index layer_in_creation on layer (pool_id) include (allocated_bytes) where state = 'creating';

create table host_load (
  host_id uuid primary key references host on delete cascade,
  machines integer not null default 0,
  cpus integer not null default 0,
  cpu_mhz bigint not null default 0,
  memory_mib bigint not null default 0
) with (fillfactor = 50);

create function begin_host_load() returns trigger language plpgsql as $$
begin
  insert into host_load (host_id) values (new.id);
  return null;
end $$;

create trigger begin_host_load after insert on host for each row execute function begin_host_load();

create function count_on_hosts() returns trigger language plpgsql as $$
declare
  occupying constant text[] := array['Starting', 'Running', 'Stopping', 'Migrating'];
begin
  update host_load l set machines = l.machines + d.machines, cpus = l.cpus + d.cpus,
    cpu_mhz = l.cpu_mhz + d.cpu_mhz, memory_mib = l.memory_mib + d.memory_mib
  from (
    select host, sum(sign) as machines, sum(sign * side.cpus) as cpus, sum(sign * side.cpus * side.cpu_mhz) as cpu_mhz,
      sum(sign * side.memory_mib) as memory_mib
    from (
      select unnest(array[old.host_id, old.target_host_id]) as host, -1 as sign, old.cpus, old.cpu_mhz, old.memory_mib
        where old.state = any(occupying) and old.removed is null
      union all
      select unnest(array[new.host_id, new.target_host_id]), 1, new.cpus, new.cpu_mhz, new.memory_mib
        where new.state = any(occupying) and new.removed is null) side
    group by host
    having sum(sign) <> 0 or sum(sign * side.cpus) <> 0 or sum(sign * side.cpus * side.cpu_mhz) <> 0
      or sum(sign * side.memory_mib) <> 0
    order by host) d
  where l.host_id = d.host;
  return null;
end $$;

create trigger count_on_hosts after insert or delete or update of state, host_id, target_host_id, cpus, cpu_mhz, memory_mib, removed
  on vm for each row execute function count_on_hosts();

insert into host_load (host_id, machines, cpus, cpu_mhz, memory_mib)
  select host.id, count(vm.id), coalesce(sum(vm.cpus), 0), coalesce(sum(vm.cpus * vm.cpu_mhz), 0), coalesce(sum(vm.memory_mib), 0)
  from host left join vm on vm.host_id = host.id and vm.removed is null
    and vm.state in ('Starting', 'Running', 'Stopping', 'Migrating')
  group by host.id;

-- The time of the last answer changes all the time, and is no news.
drop trigger tell_change on host;
create trigger tell_change after insert or update of name, state, resource_state or delete on host for each row execute function tell_change();
