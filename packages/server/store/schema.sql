-- The database as one would wish to read it. New databases are made from here; migrations/ bring older ones to the same
-- place, and a test proves that both roads meet. Everything a person owns has an account, from the first row on.
-- A reference is a foreign key: what something stands on cannot be removed, whatever the code above believes.

create table domain (
  id uuid primary key,
  name text not null,
  path text not null,
  level integer not null,
  parent_id uuid references domain,
  network_domain text,
  state text not null default 'Active' check (state in ('Active', 'Inactive')), -- Inactive: it is being removed
  created timestamptz not null default now(),
  removed timestamptz
);
create unique index domain_path on domain (path) where removed is null;

create table account (
  id uuid primary key,
  number integer not null generated always as identity unique,
  domain_id uuid not null references domain,
  name text not null,
  type text not null check (type in ('User', 'Admin', 'DomainAdmin')),
  state text not null default 'enabled' check (state in ('enabled', 'disabled', 'locked')),
  network_domain text,
  details jsonb not null default '{}',
  cleanup_needed boolean not null default false, -- its removal has begun, and nothing new may be made for it
  created timestamptz not null default now(),
  removed timestamptz
);
create unique index account_name_in_domain on account (domain_id, name) where removed is null;

create table "user" (
  id uuid primary key,
  account_id uuid not null references account on delete cascade,
  username text not null,
  password_hash text not null,
  firstname text not null,
  lastname text not null,
  email text not null,
  timezone text,
  state text not null default 'enabled' check (state in ('enabled', 'disabled', 'locked')),
  api_key text unique,
  secret_key_sealed text,
  created timestamptz not null default now(),
  removed timestamptz
);
create index user_by_account on "user" (account_id) where removed is null;

create table session (
  token_hash text primary key,
  session_key_hash text not null,
  user_id uuid not null references "user" on delete cascade,
  created timestamptz not null default now(),
  expires timestamptz not null
);
create index session_by_user on session (user_id);

-- How much an account, or all accounts of a domain and its subdomains, may have; -1 is without limit. Where there is no row,
-- the settings max.account.* and max.domain.* say it.
create table resource_limit (
  account_id uuid references account on delete cascade,
  domain_id uuid references domain on delete cascade,
  resource text not null check (resource in ('user_vm', 'public_ip', 'volume', 'template', 'network', 'cpu', 'memory', 'primary_storage', 'secondary_storage')),
  most bigint not null check (most >= -1), -- memory in MiB, storage in GiB
  updated timestamptz not null default now(),
  unique (account_id, resource),
  unique (domain_id, resource),
  check ((account_id is null) <> (domain_id is null))
);

-- A key and a value that somebody put on anything. They go with what they are on.
create table resource_tag (
  resource_type text not null,
  resource_id uuid not null,
  key text not null,
  value text not null,
  customer text,
  account_id uuid references account on delete cascade, -- who owns what the tag is on; null: nobody
  created timestamptz not null default now(),
  primary key (resource_id, key)
);
create index resource_tag_by_key on resource_tag (key, value);

create table ssh_key_pair (
  id uuid primary key,
  account_id uuid not null references account on delete cascade,
  name text not null,
  fingerprint text not null,
  public_key text not null,
  created timestamptz not null default now(),
  unique (account_id, name)
);

create table zone (
  id uuid primary key,
  name text not null,
  network_type text not null,
  allocation_state text not null default 'Enabled',
  dns1 text not null,
  dns2 text,
  internal_dns1 text not null,
  internal_dns2 text,
  guest_cidr text,
  network_domain text,
  sort_key integer not null default 0,
  created timestamptz not null default now(),
  removed timestamptz -- the machines that were in it keep it
);
create unique index zone_name on zone (name) where removed is null;

create table pod (
  id uuid primary key,
  zone_id uuid not null references zone,
  name text not null,
  allocation_state text not null default 'Enabled',
  gateway text,
  netmask text,
  start_ip text,
  end_ip text,
  created timestamptz not null default now(),
  removed timestamptz
);
create unique index pod_name on pod (zone_id, name) where removed is null;

create table cluster (
  id uuid primary key,
  pod_id uuid not null references pod,
  name text not null,
  hypervisor text not null,
  allocation_state text not null default 'Enabled',
  created timestamptz not null default now(),
  removed timestamptz
);
create unique index cluster_name on cluster (pod_id, name) where removed is null;

-- How a cluster is reached whose hypervisor keeps its own disks. A cluster without one is driven by the server's own hypervisor.
create table cluster_connection (
  cluster_id uuid primary key references cluster on delete cascade,
  url text not null,
  username text not null,
  password_sealed text not null, -- with the key in secret.key
  thumbprint text, -- SHA-256 of the certificate that is trusted; null: what this machine trusts
  guest_network text, -- what machines' cards are plugged into, by the name that the hypervisor has for it
  problem text, -- why it does not answer; null: it does
  updated timestamptz not null default now() -- when somebody last said how it is reached
);

create table host (
  id uuid primary key,
  cluster_id uuid not null references cluster,
  name text not null unique,
  address text not null,
  state text not null,
  resource_state text not null default 'Enabled',
  hypervisor_version text not null,
  acceleration text not null,
  arch text not null,
  cpus integer not null,
  cpu_mhz integer not null,
  memory_mib integer not null,
  networks text not null default 'unknown', -- how guest networks are made, or after 'none: ' why they cannot be
  last_pinged timestamptz,
  created timestamptz not null default now()
);

create table storage_pool (
  id uuid primary key,
  cluster_id uuid not null references cluster,
  name text not null unique,
  type text not null,
  path text not null,
  state text not null default 'Up',
  tags text[] not null default '{}', -- what offerings ask of it
  problem text, -- why it cannot be used now; null: it can
  total_bytes bigint not null,
  free_bytes bigint not null,
  created timestamptz not null default now()
);

create table image_store (
  id uuid primary key,
  zone_id uuid not null references zone,
  name text not null,
  provider text not null default 'NFS',
  path text not null,
  read_only boolean not null default false,
  problem text, -- why it cannot be used now; null: it can
  total_bytes bigint not null default 0,
  free_bytes bigint not null default 0,
  created timestamptz not null default now(),
  removed timestamptz -- deleted templates keep it
);
create unique index image_store_name on image_store (name) where removed is null;

create table os_category (
  id uuid primary key,
  name text not null unique
);

create table os_type (
  id uuid primary key,
  category_id uuid not null references os_category,
  description text not null unique
);

create table hypervisor_capabilities (
  id uuid primary key,
  hypervisor text not null unique,
  max_guests integer, -- null: as many as there is room for
  max_data_volumes integer not null,
  security_group_enabled boolean not null default false,
  vm_snapshot_enabled boolean not null default true,
  created timestamptz not null default now(),
  longest_chain integer not null default 64, -- this and the rest: as the driver said at the last start
  consolidate_at integer not null default 16,
  most_deltas integer -- layers on one of an account; null: any number
);

create table service_offering (
  id uuid primary key,
  name text not null,
  display_text text not null,
  cpus integer, -- null, here and below: given with each machine
  cpu_mhz integer,
  memory_mib integer,
  min_cpus integer,
  max_cpus integer,
  min_memory_mib integer,
  max_memory_mib integer,
  storage_type text not null default 'shared',
  storage_tags text[] not null default '{}', -- a storage pool must have all of them
  clone_type text check (clone_type in ('full', 'linked')),
  sort_key integer not null default 0,
  created timestamptz not null default now(),
  removed timestamptz,
  network_rate integer check (network_rate > 0) -- Mbit/s of a machine's default NIC, either way; null: as its network has it
);

create table disk_offering (
  id uuid primary key,
  name text not null,
  display_text text not null,
  size_bytes bigint, -- null: the size is given with each disk
  storage_type text not null default 'shared',
  storage_tags text[] not null default '{}', -- a storage pool must have all of them
  sort_key integer not null default 0,
  created timestamptz not null default now(),
  removed timestamptz
);

create table network_offering (
  id uuid primary key,
  name text not null,
  display_text text not null,
  guest_ip_type text not null check (guest_ip_type in ('Isolated', 'Shared')), -- for one account, or for those of a domain
  state text not null default 'Enabled' check (state in ('Enabled', 'Disabled')), -- Disabled: for no new networks
  is_default boolean not null default false, -- it came with the installation
  is_segment boolean not null default true, -- machines reach each other; otherwise each is alone
  forwards_ssh boolean not null default true, -- each machine's SSH is reached by a port of the host
  source_nat boolean not null default false, -- machines open connections outwards
  reaches_host boolean not null default false, -- to the host's own addresses too
  network_rate integer check (network_rate > 0), -- Mbit/s of each network card, either way; null: as fast as it goes
  created timestamptz not null default now(),
  removed timestamptz,
  of_inventory boolean not null default false -- of the networks that hypervisors have of their own: nobody makes one
);
create unique index network_offering_name on network_offering (name) where removed is null;

create table network (
  id uuid primary key,
  account_id uuid not null references account,
  zone_id uuid not null references zone,
  network_offering_id uuid not null references network_offering,
  name text not null,
  display_text text not null,
  cidr cidr, -- null, and so the next three: somebody else gives addresses
  gateway inet,
  start_ip inet, -- machines get addresses from here
  end_ip inet, -- to here
  network_domain text, -- what names of machines end in, inside
  domain_id uuid references domain, -- whose accounts may all use it; null: only the account that owns it
  subdomain_access boolean not null default true, -- and those of the domains below
  state text not null default 'Allocated' check (state in ('Allocated', 'Destroy')), -- Destroy: it is being removed
  created timestamptz not null default now(),
  cluster_id uuid references cluster, -- whose hypervisor has it of its own; null: it is one of ours
  foreign_name text, -- what the hypervisor calls it
  check (gateway << cidr and start_ip << cidr and end_ip << cidr and start_ip <= end_ip),
  check ((cluster_id is null) = (foreign_name is null)),
  check ((foreign_name is null) = (cidr is not null) and num_nulls(cidr, gateway, start_ip, end_ip) in (0, 4)),
  unique (cluster_id, foreign_name)
);
create index network_by_account on network (account_id);
create index network_by_zone on network (zone_id, created);

-- What was changed; names, defaults and meanings stand in core/settings.ts.
create table configuration (
  name text primary key,
  value text not null,
  updated timestamptz not null default now()
);

create table storage_pool_configuration (
  pool_id uuid not null references storage_pool on delete cascade,
  name text not null,
  value text not null,
  updated timestamptz not null default now(),
  primary key (pool_id, name)
);

create table template (
  id uuid primary key,
  account_id uuid not null references account,
  zone_id uuid not null references zone,
  os_type_id uuid references os_type,
  name text not null,
  display_text text not null,
  format text not null,
  hypervisor text not null,
  url text not null,
  checksum text,
  state text not null check (state in ('Active', 'Inactive')),
  download_state text not null check (download_state in ('NOT_DOWNLOADED', 'DOWNLOAD_IN_PROGRESS', 'DOWNLOADED', 'DOWNLOAD_ERROR')),
  download_percent integer not null default 0,
  error text,
  image_store_id uuid not null references image_store,
  install_path text not null,
  virtual_bytes bigint,
  physical_bytes bigint,
  is_public boolean not null,
  is_featured boolean not null,
  is_extractable boolean not null,
  password_enabled boolean not null,
  ssh_key_enabled boolean not null,
  bootable boolean not null default true, -- of an ISO: whether machines can start from it
  created timestamptz not null default now(),
  removed timestamptz,
  cluster_id uuid references cluster -- whose inventory it is in; null: it is a file
);
create index template_by_account on template (account_id) where removed is null;

-- Accounts that may use a template which is not public.
create table launch_permission (
  template_id uuid not null references template on delete cascade,
  account_id uuid not null references account on delete cascade,
  primary key (template_id, account_id)
);

-- A file that whoever knows the token may fetch until it expires.
create table download (
  id uuid primary key,
  account_id uuid not null references account on delete cascade,
  token_hash text not null unique,
  file text not null,
  file_name text not null,
  is_temporary boolean not null, -- made for this download, and removed with it
  template_id uuid references template,
  created timestamptz not null default now(),
  expires timestamptz not null
);

-- A disk file. Immutable as soon as a layer or a template's copy stands on it.
create table layer (
  id uuid primary key,
  pool_id uuid not null references storage_pool,
  parent_id uuid references layer,
  account_id uuid references account, -- null: the copy of a template or a VM snapshot, which no account may write
  state text not null check (state in ('creating', 'ready', 'removing')),
  virtual_bytes bigint not null,
  allocated_bytes bigint not null default 0,
  created timestamptz not null default now(),
  volume_id uuid -- what wrote it until a cut made it hold still
);
create index layer_by_parent on layer (parent_id);
create index layer_by_pool on layer (pool_id);
create index layer_in_creation on layer (pool_id) include (allocated_bytes) where state = 'creating';

-- A template's copy on a primary storage.
create table template_spool_ref (
  id uuid primary key,
  pool_id uuid not null references storage_pool,
  template_id uuid not null references template,
  layer_id uuid references layer,
  state text not null check (state in ('Allocated', 'Creating', 'Ready', 'Destroying')),
  download_state text not null,
  download_pct integer not null default 0,
  install_path text,
  error_str text,
  template_size bigint not null default 0,
  marked_for_gc boolean not null default false,
  created timestamptz not null default now(),
  last_updated timestamptz not null default now(),
  unique (pool_id, template_id)
);
create unique index template_spool_ref_by_layer on template_spool_ref (layer_id);

-- A label that people put on machines.
create table instance_group (
  id uuid primary key,
  account_id uuid not null references account on delete cascade,
  name text not null,
  created timestamptz not null default now(),
  unique (account_id, name)
);

create table vm (
  id uuid primary key,
  number integer not null generated by default as identity unique, -- drawn beforehand: names contain it
  account_id uuid not null references account,
  user_id uuid references "user" on delete set null,
  zone_id uuid not null references zone,
  host_id uuid references host, -- where it runs, or what it occupies
  last_host_id uuid references host on delete set null,
  target_host_id uuid references host, -- where it goes while it migrates
  template_id uuid references template,
  iso_id uuid references template, -- in its CD-ROM drive
  service_offering_id uuid not null references service_offering,
  hypervisor text not null,
  name text not null,
  display_name text not null,
  instance_name text not null unique,
  state text not null check (state in ('Starting', 'Running', 'Stopping', 'Stopped', 'Destroyed', 'Expunging', 'Migrating', 'Error', 'Restoring')),
  update_count integer not null default 0,
  error text, -- why it is in Error, for people
  cpus integer not null,
  cpu_mhz integer not null,
  memory_mib integer not null,
  generation_id uuid not null,
  user_data text, -- base64, as it was given
  password_hash text,
  delete_protection boolean not null default false,
  group_id uuid references instance_group on delete set null,
  os_type_id uuid references os_type, -- null: as the template says
  seed_version integer not null default 0, -- grows when the guest shall customise itself anew
  ha_enabled boolean not null default false,
  details jsonb not null default '{}',
  customized boolean not null default true, -- false while it goes on from another's memory, and that it is somebody of its own is not confirmed
  identity_problems text[] not null default '{}', -- what could not be confirmed, for people
  inventory_problems text[] not null default '{}', -- what somebody else did to it in its vCenter, for people
  destroyed timestamptz, -- since when it waits to be expunged
  created timestamptz not null default now(),
  updated timestamptz not null default now(),
  removed timestamptz,
  is_instant boolean not null default false, -- it went on from another's memory, and its disks still stand on that one's
  is_frozen boolean not null default false, -- a source for clones: it stands still in its fork
  fork_id uuid, -- it is being made of that fork
  memory_image_id uuid, -- what it went on from, and shares pages with while it runs
  memory_counted_mib integer, -- what it counts on its host so long; null: all its memory
  cluster_id uuid references cluster -- whose hypervisor keeps its disks; null: the server does
);
create index vm_by_account on vm (account_id) where removed is null;
create index vm_by_iso on vm (iso_id) where removed is null;
create index vm_by_host on vm (host_id) where removed is null;
create index vm_by_cluster on vm (cluster_id) where removed is null and cluster_id is not null;
create index vm_by_target_host on vm (target_host_id) where target_host_id is not null;
create index vm_by_customization on vm (id) where not customized and removed is null;
create index vm_by_fork on vm (fork_id) where fork_id is not null;
create index vm_by_memory_image on vm (memory_image_id) where memory_image_id is not null;
create unique index vm_name_in_account on vm (account_id, lower(name)) where removed is null and state not in ('Destroyed', 'Expunging', 'Error');

-- What machines that run, or are about to, occupy of each host. Kept by triggers in the transaction that changes a machine: a
-- placement reads, and locks, one row a host instead of adding up all machines.
create table host_load (
  host_id uuid primary key references host on delete cascade,
  machines integer not null default 0,
  cpus integer not null default 0,
  cpu_mhz bigint not null default 0,
  memory_mib bigint not null default 0
) with (fillfactor = 50); -- room for the next version of each row beside it

create function begin_host_load() returns trigger language plpgsql as $$
begin
  insert into host_load (host_id) values (new.id);
  return null;
end $$;

create trigger begin_host_load after insert on host for each row execute function begin_host_load();

-- A machine that migrates counts on both of its hosts.
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

create trigger count_on_hosts after insert or delete or update of state, host_id, target_host_id, cpus, cpu_mhz, memory_mib, memory_counted_mib,
    removed on vm for each row execute function count_on_hosts();

-- What goes off lets go of the memory that it went on from, and counts whole when it starts again.
create function leave_memory() returns trigger language plpgsql as $$
begin
  new.memory_image_id := null;
  new.memory_counted_mib := null;
  return new;
end $$;

create trigger leave_memory before update of state on vm for each row
  when (old.state <> new.state and new.state in ('Stopped', 'Destroyed', 'Expunging', 'Error')) execute function leave_memory();

create table vm_ssh_key_pair (
  vm_id uuid not null references vm on delete cascade,
  name text not null,
  public_key text not null,
  primary key (vm_id, name)
);

-- Machines that shall run on one host, or each on another.
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

-- How a machine was cloned; written at its creation. A missing row means linked.
create table user_vm_clone_setting (
  id integer primary key generated always as identity,
  vm_id uuid not null unique references vm on delete cascade,
  clone_type text not null check (clone_type in ('full', 'linked'))
);

create table volume (
  id uuid primary key,
  number integer not null generated always as identity unique,
  account_id uuid not null references account,
  zone_id uuid not null references zone,
  pool_id uuid references storage_pool,
  vm_id uuid references vm,
  template_id uuid references template,
  service_offering_id uuid references service_offering,
  disk_offering_id uuid references disk_offering,
  layer_id uuid unique references layer, -- the active layer: the one the machine writes
  device_id integer,
  name text not null,
  type text not null check (type in ('ROOT', 'DATADISK')),
  state text not null check (state in ('Allocated', 'Creating', 'Ready', 'Attaching', 'Resizing', 'Migrating', 'Destroy', 'Expunging', 'Expunged', 'NotUploaded', 'UploadInProgress', 'Uploaded', 'UploadError', 'Copying')),
  size_bytes bigint not null,
  display boolean not null default true,
  delete_protection boolean not null default false,
  image_store_id uuid references image_store, -- where the uploaded file is, until the first attachment makes a disk of it
  install_path text,
  format text,
  physical_bytes bigint, -- of that file
  error text, -- why its upload failed, for people
  created timestamptz not null default now(),
  attached timestamptz,
  destroyed timestamptz, -- since when it waits to be expunged
  removed timestamptz,
  disk_key text, -- of a disk without layer: the name that its hypervisor has for it; the volume's id where its machine may lose it
  disk_bytes bigint, -- what its own files occupied when they were last read
  disk_depth integer, -- how many files it consisted of
  seed_id uuid references layer -- the seed that it stands on, where the hypervisor keeps both
);
create index volume_by_seed on volume (seed_id) where seed_id is not null;

create index volume_by_vm on volume (vm_id) where removed is null;
alter table layer add foreign key (volume_id) references volume on delete set null;
create index layer_by_volume on layer (volume_id) where volume_id is not null;

create index volume_by_account on volume (account_id) where removed is null;

-- A machine's place in a network. Address and MAC are nobody else's there until the row goes.
create table nic (
  id uuid primary key,
  vm_id uuid not null references vm on delete cascade,
  network_id uuid not null references network,
  device_id integer not null,
  mac text not null,
  ip_address inet, -- null: somebody else gives it
  ssh_port integer,
  is_default boolean not null,
  created timestamptz not null default now(),
  unique (vm_id, device_id),
  unique (network_id, ip_address),
  unique (network_id, mac)
);

-- An address of the host that an account uses as a way into a network. Networks share addresses of the host; ports they do not.
create table public_ip (
  id uuid primary key,
  account_id uuid not null references account,
  zone_id uuid not null references zone,
  network_id uuid not null references network,
  address inet not null,
  state text not null default 'Allocating' check (state in ('Allocating', 'Allocated', 'Releasing')),
  created timestamptz not null default now(),
  unique (account_id, network_id, address)
);
create index public_ip_by_network on public_ip (network_id);

-- A port of the host that leads to a port of a machine. The port is nobody else's until the row goes, and the row goes when the
-- hypervisor has let go of the port: before the NIC, and so before anybody else gets its address.
create table port_forwarding_rule (
  id uuid primary key,
  account_id uuid not null references account,
  public_ip_id uuid not null references public_ip,
  address inet not null, -- that of public_ip
  public_port integer not null check (public_port between 1024 and 65535),
  nic_id uuid not null references nic,
  private_port integer not null check (private_port between 1 and 65535),
  state text not null default 'Add' check (state in ('Add', 'Active', 'Revoke')),
  created timestamptz not null default now(),
  unique (address, public_port)
);
create index port_forwarding_rule_by_public_ip on port_forwarding_rule (public_ip_id);
create index port_forwarding_rule_by_nic on port_forwarding_rule (nic_id);

-- The first address that no NIC of the network has, from `wish` on and then from the beginning; null when all are taken.
create function free_address(of_network uuid, wish inet) returns inet language plpgsql stable as $$
declare
  n network;
  free inet;
  taken inet;
begin
  select * into n from network where id = of_network;
  foreach free in array array[wish, n.start_ip] loop
    for taken in
      select ip_address from nic where network_id = n.id and ip_address >= free and ip_address <= n.end_ip order by ip_address
    loop
      if free = n.gateway then free := free + 1; end if;
      exit when taken <> free;
      free := free + 1;
    end loop;
    if free = n.gateway then free := free + 1; end if;
    if free <= n.end_ip then return free; end if;
  end loop;
  return null;
end $$;

-- The memory of a running machine at one moment: a file of its RAM and the state of its devices. Immutable.
create table memory_image (
  id uuid primary key,
  pool_id uuid not null references storage_pool,
  account_id uuid not null references account,
  state text not null check (state in ('creating', 'ready', 'removing')),
  memory_bytes bigint not null, -- what the guest sees
  allocated_bytes bigint not null default 0,
  shape text, -- the machine, processor and version that it fits, for people
  created timestamptz not null default now()
);

-- A named node of a machine's tree.
create table vm_snapshot (
  id uuid primary key,
  vm_id uuid not null references vm,
  account_id uuid not null references account,
  parent_id uuid references vm_snapshot,
  service_offering_id uuid not null references service_offering,
  memory_image_id uuid unique references memory_image,
  name text not null,
  display_name text not null,
  description text,
  type text not null check (type in ('Disk', 'DiskAndMemory')),
  state text not null check (state in ('Allocated', 'Creating', 'Ready', 'Reverting', 'Expunging', 'Removed', 'Error')),
  is_current boolean not null default false, -- the machine's disks stand on it
  cpus integer not null, -- the sizes that the machine had
  cpu_mhz integer not null,
  memory_mib integer not null,
  quiesce text check (quiesce in ('quiesced', 'agent-missing', 'failed')), -- null: nobody asked for it
  stun_ms double precision, -- how long the guest stood still
  error text,
  update_count integer not null default 0,
  created timestamptz not null default now(),
  updated timestamptz not null default now(),
  removed timestamptz
);
create index vm_snapshot_by_account on vm_snapshot (account_id) where removed is null;
create index vm_snapshot_by_parent on vm_snapshot (parent_id);
create unique index vm_snapshot_name on vm_snapshot (vm_id, display_name) where removed is null;
create unique index vm_snapshot_current on vm_snapshot (vm_id) where removed is null and is_current;
-- One operation on a machine's snapshots at a time.
create unique index vm_snapshot_at_work on vm_snapshot (vm_id) where removed is null and state in ('Allocated', 'Creating', 'Reverting', 'Expunging');

-- The layers that a VM snapshot names, one a disk: none of them can be forgotten.
create table vm_snapshot_disk (
  snapshot_id uuid not null references vm_snapshot on delete cascade,
  volume_id uuid not null references volume,
  layer_id uuid not null references layer,
  device_id integer not null,
  size_bytes bigint not null,
  primary key (snapshot_id, volume_id)
);
create index vm_snapshot_disk_by_layer on vm_snapshot_disk (layer_id);
create index vm_snapshot_disk_by_volume on vm_snapshot_disk (volume_id);

-- A flat copy of a VM snapshot's root disk, on the same storage, that machines are cloned from.
create table vmsnapshot_spool_ref (
  id uuid primary key references layer, -- the layer that it is
  pool_id uuid not null references storage_pool,
  vm_snapshot_id uuid not null references vm_snapshot,
  created timestamptz not null default now(),
  install_path text not null,
  state text not null check (state in ('Creating', 'Ready', 'Destroying')), -- Destroying: it goes when nothing stands on it
  unique (pool_id, vm_snapshot_id)
);
create index vmsnapshot_spool_ref_by_snapshot on vmsnapshot_spool_ref (vm_snapshot_id);

-- A machine at one instant, made for clones. It is no VM snapshot: nobody sees it, and it goes when no clone is being made of it;
-- that of a frozen machine when the machine goes on.
create table fork (
  id uuid primary key,
  vm_id uuid not null references vm,
  memory_image_id uuid unique references memory_image,
  with_memory boolean not null,
  is_frozen boolean not null default false, -- the machine stands still in it
  state text not null check (state in ('Allocated', 'Creating', 'Ready', 'Error')), -- Allocated: others may still join
  stun_ms double precision, -- how long the guest stood still
  created timestamptz not null default now(),
  is_kept boolean not null default false -- the machine carries many clones: further instant ones are made of this instant
);
create index fork_by_vm on fork (vm_id);
create unique index fork_of_frozen on fork (vm_id) where is_frozen;
create unique index fork_kept_of_vm on fork (vm_id) where is_kept;

-- An instant of a machine is kept while that runs, on one host.
create function leave_kept_fork() returns trigger language plpgsql as $$
begin
  update fork set is_kept = false where vm_id = new.id and is_kept;
  return null;
end $$;

create trigger leave_kept_fork after update of state, host_id on vm for each row
  when (new.state <> 'Running' or old.host_id is distinct from new.host_id) execute function leave_kept_fork();

-- The layers that a fork names, one a disk: none of them can be forgotten.
create table fork_disk (
  fork_id uuid not null references fork on delete cascade,
  volume_id uuid not null references volume,
  layer_id uuid not null references layer,
  device_id integer not null,
  size_bytes bigint not null,
  primary key (fork_id, volume_id)
);
create index fork_disk_by_layer on fork_disk (layer_id);

-- Whose disks a machine stands on, where the hypervisor keeps them: those of its source, and what these stood on.
create table clone_source (
  vm_id uuid not null references vm,
  source_id uuid not null references vm,
  primary key (vm_id, source_id)
);
create index clone_source_by_source on clone_source (source_id);

alter table vm
  add foreign key (fork_id) references fork,
  add foreign key (memory_image_id) references memory_image on delete set null;

-- A volume as it was once, as a file on secondary storage that stands on nothing.
create table snapshot (
  id uuid primary key,
  account_id uuid not null references account,
  zone_id uuid not null references zone,
  volume_id uuid not null references volume,
  vm_snapshot_id uuid references vm_snapshot, -- whose disk it was made from, where it was one
  image_store_id uuid not null references image_store,
  name text not null,
  state text not null check (state in ('Allocated', 'Creating', 'BackingUp', 'BackedUp', 'Destroying', 'Destroyed', 'Error')),
  virtual_bytes bigint not null,
  physical_bytes bigint not null default 0,
  install_path text not null,
  quiesce text check (quiesce in ('quiesced', 'agent-missing', 'failed')),
  error text,
  created timestamptz not null default now(),
  removed timestamptz
);
create index snapshot_by_account on snapshot (account_id) where removed is null;
create index snapshot_by_volume on snapshot (volume_id) where removed is null;

-- A durable job: the CloudStack async job, and the record from which a crash resumes it.
create table job (
  id uuid primary key,
  sequence bigint not null generated always as identity unique,
  kind text not null,
  command text not null,
  account_id uuid not null references account,
  user_id uuid references "user" on delete set null,
  lock_key text not null, -- jobs of one key run one at a time, oldest first
  instance_type text not null,
  instance_id uuid,
  input jsonb not null,
  state text not null check (state in ('queued', 'running', 'undoing', 'stuck', 'done', 'failed', 'cancelled')),
  step text,
  percent integer not null default 0,
  cancel_asked boolean not null default false,
  waits_for uuid references job on delete set null,
  owner uuid, -- the server that holds the lease
  fence bigint not null default 0, -- grows with every claim; a write with an older one is refused
  lease_until timestamptz,
  start_event_id uuid,
  result jsonb,
  problem jsonb,
  created timestamptz not null default now(),
  completed timestamptz
);
create index job_unfinished on job (lock_key, sequence) where completed is null;
create index job_by_account on job (account_id, sequence);

create table job_step (
  job_id uuid not null references job on delete cascade,
  step text not null,
  phase text not null check (phase in ('started', 'done', 'undone')),
  made jsonb,
  attempts integer not null default 1,
  primary key (job_id, step)
);

create table event (
  id uuid primary key,
  sequence bigint not null generated always as identity unique,
  start_event_id uuid,
  account_id uuid not null references account,
  user_id uuid references "user" on delete set null,
  type text not null,
  level text not null check (level in ('INFO', 'WARN', 'ERROR')),
  state text not null check (state in ('Created', 'Scheduled', 'Started', 'Completed')),
  description text not null,
  resource_type text not null,
  resource_id uuid,
  created timestamptz not null default now()
);
create index event_by_account on event (account_id, sequence);

-- Every change of what people watch is told to whoever listens, when and only when it is committed.
create function tell_change() returns trigger language plpgsql as $$
declare
  row_now jsonb := to_jsonb(coalesce(new, old));
begin
  perform pg_notify('ramet_change', json_build_object(
    'table', tg_table_name,
    'op', lower(tg_op),
    'id', row_now ->> 'id',
    'state', row_now ->> 'state',
    'account', row_now ->> 'account_id')::text);
  return null;
end $$;

create trigger tell_change after insert or update or delete on vm for each row execute function tell_change();
create trigger tell_change after insert or update or delete on volume for each row execute function tell_change();
create trigger tell_change after insert or update or delete on vm_snapshot for each row execute function tell_change();
create trigger tell_change after insert or update or delete on snapshot for each row execute function tell_change();
create trigger tell_change after insert or update or delete on template for each row execute function tell_change();
create trigger tell_change after insert or update or delete on cluster for each row execute function tell_change();
create trigger tell_change after insert or update of name, state, resource_state or delete on host for each row execute function tell_change();
create trigger tell_change after insert or update or delete on image_store for each row execute function tell_change();
create trigger tell_change after insert or update or delete on storage_pool for each row execute function tell_change();
create trigger tell_change after insert or update or delete on event for each row execute function tell_change();
create trigger tell_change after insert or update of state, step, percent on job for each row execute function tell_change();
create trigger tell_change after insert or update or delete on configuration for each row execute function tell_change();
create trigger tell_change after insert or update or delete on storage_pool_configuration for each row execute function tell_change();

-- Tags are not bound by a foreign key, since they are on anything; what ends takes its own along.
create function forget_tags() returns trigger language plpgsql as $$
begin
  delete from resource_tag where resource_id = old.id;
  return null;
end $$;

create trigger forget_tags after update of removed on vm for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on volume for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on vm_snapshot for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on snapshot for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on template for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on account for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on "user" for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on domain for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after delete on public_ip for each row execute function forget_tags();
create trigger forget_tags after delete on port_forwarding_rule for each row execute function forget_tags();
