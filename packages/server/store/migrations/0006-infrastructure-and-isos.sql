-- 0006: zones, pods, clusters, storage pools and image stores come and go; ISOs, launch permissions, downloads, tags of storage,
-- capabilities of hypervisors. What machines and templates of the past refer to is marked as removed and stays.

alter table zone
  add column dns2 text,
  add column internal_dns2 text,
  add column guest_cidr text,
  add column network_domain text,
  add column sort_key integer not null default 0,
  add column removed timestamptz;
alter table zone drop constraint zone_name_key;
create unique index zone_name on zone (name) where removed is null;

alter table pod
  add column gateway text,
  add column netmask text,
  add column start_ip text,
  add column end_ip text,
  add column removed timestamptz;
create unique index pod_name on pod (zone_id, name) where removed is null;

alter table cluster add column removed timestamptz;
create unique index cluster_name on cluster (pod_id, name) where removed is null;

alter table storage_pool
  add column tags text[] not null default '{}',
  add column problem text;

alter table image_store
  add column provider text not null default 'NFS',
  add column read_only boolean not null default false,
  add column total_bytes bigint not null default 0,
  add column free_bytes bigint not null default 0,
  add column problem text,
  add column removed timestamptz;
alter table image_store drop constraint image_store_name_key;
create unique index image_store_name on image_store (name) where removed is null;

alter table service_offering add column storage_tags text[] not null default '{}';
alter table disk_offering add column storage_tags text[] not null default '{}';

create table hypervisor_capabilities (
  id uuid primary key,
  hypervisor text not null unique,
  max_guests integer,
  max_data_volumes integer not null,
  security_group_enabled boolean not null default false,
  created timestamptz not null default now()
);

alter table template add column bootable boolean not null default true;
alter table vm add column iso_id uuid references template;
create index vm_by_iso on vm (iso_id) where removed is null;

create table launch_permission (
  template_id uuid not null references template on delete cascade,
  account_id uuid not null references account on delete cascade,
  primary key (template_id, account_id)
);

create table download (
  id uuid primary key,
  account_id uuid not null references account on delete cascade,
  token_hash text not null unique,
  file text not null,
  file_name text not null,
  is_temporary boolean not null,
  template_id uuid references template,
  created timestamptz not null default now(),
  expires timestamptz not null
);

create trigger tell_change after insert or update or delete on image_store for each row execute function tell_change();
