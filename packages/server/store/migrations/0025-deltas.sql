-- Deltas of a source: whose writing a layer was, until a cut made it hold still; and forks that are kept, for clones of a machine that carries many.
alter table layer add column volume_id uuid references volume on delete set null;
create index layer_by_volume on layer (volume_id) where volume_id is not null;

alter table fork add column is_kept boolean not null default false;
create unique index fork_kept_of_vm on fork (vm_id) where is_kept;

create function leave_kept_fork() returns trigger language plpgsql as $$
begin
  update fork set is_kept = false where vm_id = new.id and is_kept;
  return null;
end $$;

create trigger leave_kept_fork after update of state, host_id on vm for each row
  when (new.state <> 'Running' or old.host_id is distinct from new.host_id) execute function leave_kept_fork();
