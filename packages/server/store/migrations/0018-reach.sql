-- 0018: ways into networks, and out of them.

alter table network_offering
  add column source_nat boolean not null default false,
  add column reaches_host boolean not null default false,
  add column network_rate integer check (network_rate > 0);

alter table resource_limit drop constraint resource_limit_resource_check;
alter table resource_limit add check (resource in ('user_vm', 'public_ip', 'volume', 'template', 'network', 'cpu', 'memory', 'primary_storage', 'secondary_storage'));

-- An address of the host that an account uses as a way into a network. Networks share addresses of the host; ports they do not.
create table public_ip (
  id uuid primary key,
  account_id uuid not null references account,
  zone_id uuid not null references zone,
  network_id uuid not null references network,
  address inet not null,
  state text not null default 'Allocating' check (state in ('Allocating', 'Allocated', 'Releasing')),
  created timestamptz not null default now(),
  unique (account_id, network_id, address)
);
create index public_ip_by_network on public_ip (network_id);

-- A port of the host that leads to a port of a machine. The port is nobody else's until the row goes, and the row goes when the
-- hypervisor has let go of the port: before the NIC, and so before anybody else gets its address.
create table port_forwarding_rule (
  id uuid primary key,
  account_id uuid not null references account,
  public_ip_id uuid not null references public_ip,
  address inet not null, -- that of public_ip
  public_port integer not null check (public_port between 1024 and 65535),
  nic_id uuid not null references nic,
  private_port integer not null check (private_port between 1 and 65535),
  state text not null default 'Add' check (state in ('Add', 'Active', 'Revoke')),
  created timestamptz not null default now(),
  unique (address, public_port)
);
create index port_forwarding_rule_by_public_ip on port_forwarding_rule (public_ip_id);
create index port_forwarding_rule_by_nic on port_forwarding_rule (nic_id);

create trigger forget_tags after delete on public_ip for each row execute function forget_tags();
create trigger forget_tags after delete on port_forwarding_rule for each row execute function forget_tags();
