-- Whose disks a machine stands on, where the hypervisor keeps them: those of its source, and what these stood on.
create table clone_source (
  vm_id uuid not null references vm,
  source_id uuid not null references vm,
  primary key (vm_id, source_id)
);
create index clone_source_by_source on clone_source (source_id);
