-- 0011: seeds, the copies of VM snapshots that machines are cloned from.

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
