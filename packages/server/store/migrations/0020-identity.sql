-- Clones of running machines become somebody of their own: whether that was confirmed, and what was not.
alter table vm
  add column customized boolean not null default true,
  add column identity_problems text[] not null default '{}';
create index vm_by_customization on vm (id) where not customized and removed is null;
