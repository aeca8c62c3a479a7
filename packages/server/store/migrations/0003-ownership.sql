-- Domains, accounts and users end without taking their history along: their rows stay, marked as removed.

alter table domain add column network_domain text;
alter table domain add column state text not null default 'Active' check (state in ('Active', 'Inactive'));
alter table domain add column removed timestamptz;
alter table domain drop constraint domain_path_key;
create unique index domain_path on domain (path) where removed is null;

alter table account add column network_domain text;
alter table account add column details jsonb not null default '{}';
alter table account add column cleanup_needed boolean not null default false;
alter table account add column removed timestamptz;
alter table account add constraint account_state_check check (state in ('enabled', 'disabled', 'locked'));
alter table account drop constraint account_domain_id_name_key;
create unique index account_name_in_domain on account (domain_id, name) where removed is null;

alter table "user" add column timezone text;
alter table "user" add column removed timestamptz;
alter table "user" add constraint user_state_check check (state in ('enabled', 'disabled', 'locked'));
create index user_by_account on "user" (account_id) where removed is null;
create index session_by_user on session (user_id);

create table resource_limit (
  account_id uuid references account on delete cascade,
  domain_id uuid references domain on delete cascade,
  resource text not null check (resource in ('user_vm', 'volume', 'template', 'cpu', 'memory', 'primary_storage', 'secondary_storage')),
  most bigint not null check (most >= -1),
  updated timestamptz not null default now(),
  unique (account_id, resource),
  unique (domain_id, resource),
  check ((account_id is null) <> (domain_id is null))
);

create table resource_tag (
  resource_type text not null,
  resource_id uuid not null,
  key text not null,
  value text not null,
  customer text,
  account_id uuid references account on delete cascade,
  created timestamptz not null default now(),
  primary key (resource_id, key)
);
create index resource_tag_by_key on resource_tag (key, value);

create function forget_tags() returns trigger language plpgsql as $$
begin
  delete from resource_tag where resource_id = old.id;
  return null;
end $$;

create trigger forget_tags after update of removed on vm for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on volume for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on template for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on account for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on "user" for each row when (new.removed is not null) execute function forget_tags();
create trigger forget_tags after update of removed on domain for each row when (new.removed is not null) execute function forget_tags();

create index volume_by_account on volume (account_id) where removed is null;
create index template_by_account on template (account_id) where removed is null;
