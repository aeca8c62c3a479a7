-- Volumes of their own: more states, protection, and files that were uploaded.
alter table volume drop constraint volume_state_check;
alter table volume add constraint volume_state_check check (state in ('Allocated', 'Creating', 'Ready', 'Attaching', 'Resizing', 'Migrating', 'Destroy', 'Expunging', 'Expunged', 'NotUploaded', 'UploadInProgress', 'Uploaded', 'UploadError', 'Copying'));
alter table volume add column display boolean not null default true;
alter table volume add column delete_protection boolean not null default false;
alter table volume add column image_store_id uuid references image_store;
alter table volume add column install_path text;
alter table volume add column format text;
alter table volume add column physical_bytes bigint;
alter table volume add column error text;
