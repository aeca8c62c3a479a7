-- How long chains of layers may become: what the hypervisor's driver says, written down at each start.
alter table hypervisor_capabilities
  add column longest_chain integer not null default 64,
  add column consolidate_at integer not null default 16,
  add column most_deltas integer;
