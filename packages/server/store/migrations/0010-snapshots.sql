-- 0010: VM snapshots, their disks and memory; snapshots of volumes.

alter table hypervisor_capabilities add column vm_snapshot_enabled boolean not null default true;

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

create trigger tell_change after insert or update or delete on vm_snapshot for each row execute function tell_change();
create trigger tell_change after insert or update or delete on snapshot for each row execute function tell_change();
create trigger forget_tags after update of removed on vm_snapshot for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on snapshot for each row when (new.removed is not null) execute function forget_tags();
