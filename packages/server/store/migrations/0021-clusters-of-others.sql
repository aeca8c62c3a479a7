-- Clusters whose hypervisor is somebody's own and keeps its own disks: how they are reached, and what of them is a machine, template
-- or disk of ours.
create table cluster_connection (
  cluster_id uuid primary key references cluster on delete cascade,
  url text not null,
  username text not null,
  password_sealed text not null,
  thumbprint text,
  guest_network text,
  problem text,
  updated timestamptz not null default now()
);
alter table template add column cluster_id uuid references cluster;
alter table vm add column cluster_id uuid references cluster;
alter table volume
  add column disk_key text,
  add column disk_bytes bigint,
  add column disk_depth integer;
create index vm_by_cluster on vm (cluster_id) where removed is null and cluster_id is not null;
create trigger tell_change after insert or update or delete on cluster for each row execute function tell_change();
