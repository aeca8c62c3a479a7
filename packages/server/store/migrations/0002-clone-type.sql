-- 0002: a machine is a full or a linked clone. Machines from before have no row, which means linked.

alter table service_offering add column clone_type text check (clone_type in ('full', 'linked'));

create table user_vm_clone_setting (
  id integer primary key generated always as identity,
  vm_id uuid not null unique references vm on delete cascade,
  clone_type text not null check (clone_type in ('full', 'linked'))
);
